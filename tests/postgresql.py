"""A PostgreSQL for the tests of one run: its own cluster in a temporary folder, on a free port, as another user than
root. The first test that needs it starts it; all processes of the run share it; it ends with the run.

A test gets a database of its own, copied from a template whose migrations have run.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

FOLDER = "VISAVIS_TEST_POSTGRESQL"  # names the folder of this run's cluster to its other processes
START_WITHIN_S = 60
# Nothing must outlive the run. Few buffers and workers: the cluster stands beside stages and browsers.
OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "64MB",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "listen_addresses": "127.0.0.1",
    "dynamic_shared_memory_type": "mmap",
    "logging_collector": "off",
}
# Of sh: the server ends when the run of tests does, even if that was killed.
GUARD = """
run=$1
shift
"$@" &
server=$!
while kill -0 $server 2>/dev/null; do
    [ ! -d /proc/self ] || [ -d /proc/$run ] || kill -INT $server
    sleep 0.5
done
"""


def programs() -> Path | None:
    """Return the folder of initdb and postgres, None where PostgreSQL is not installed."""
    folders = [Path(found).parent for found in (shutil.which("postgres"),) if found]
    versions = Path("/usr/lib/postgresql")  # Debian's, which are not in PATH
    folders += sorted(versions.glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return next((one for one in folders if (one / "initdb").exists() and (one / "postgres").exists()), None)


class Cluster:
    """One PostgreSQL server in a folder. Its user needs no password on this machine."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self.folder, self._bin = folder, bin_folder
        self._port_file = folder / "port"

    def url(self, database: str) -> str:
        return f"postgresql://visavis@127.0.0.1:{self.port}/{database}"

    @property
    def port(self) -> int:
        return int(self._port_file.read_text())

    @property
    def pid(self) -> int:
        """The process of the server."""
        return int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    def make(self) -> None:
        """Create the cluster, and start it."""
        as_user: dict[str, Any] = {"cwd": "/"}
        if os.geteuid() == 0:
            user = _user()
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            as_user |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        make: list[str | Path] = [
            self._bin / "initdb",
            "-D",
            self.folder / "data",
            "-U",
            "visavis",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run([*make, "-A", "trust", "--no-sync"], check=True, capture_output=True, **as_user)
        for _ in range(3):  # another process may take the port meanwhile
            if self.start(port=_free_port()):
                return
        raise TimeoutError((self.folder / "log").read_text(errors="replace")[-2000:])

    def start(self, *, port: int | None = None) -> bool:
        """Start the server on this port, or where it was before; return whether it takes connections."""
        port = port or self.port
        options = [f"-c{name}={value}" for name, value in OPTIONS.items()]
        server = [self._bin / "postgres", "-D", self.folder / "data", "-k", self.folder, "-p", port, *options]
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = _user()
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        run = self.folder.name.rpartition("-")[2]  # the process that runs the tests
        with (self.folder / "log").open("ab") as log:
            started = subprocess.Popen(
                ["sh", "-c", GUARD, "guard", run, *map(str, server)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                **as_user,
            )
        deadline_s = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline_s and started.poll() is None:
            if _takes_connections(port):
                self._port_file.write_text(str(port))
                started.returncode = 0  # nobody waits for it: it outlives the test
                return True
            time.sleep(0.02)  # polls another process; no test asserts how long this takes
        return False

    def kill(self) -> None:
        """Kill the server at once, and wait until its processes are gone."""
        pid = self.pid
        os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.01)  # as above

    def stop(self) -> None:
        with suppress(OSError, ValueError):
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _user() -> pwd.struct_passwd:
    """PostgreSQL does not run as root."""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise KeyError("postgres")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def begin_run() -> None:
    """Name the folder of this run's cluster, in the process that starts the others. Nothing is made yet."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="visavis-postgresql-", suffix=f"-{os.getpid()}")


def end_run() -> None:
    """Stop the cluster, in the process that has called `begin_run`."""
    folder = Path(os.environ.get(FOLDER, "/nonexistent"))
    if folder.name.endswith(f"-{os.getpid()}"):
        found = programs()
        if found is not None:
            Cluster(folder, found).stop()
        shutil.rmtree(folder, ignore_errors=True)


def shared_cluster() -> Cluster:
    """Return this run's cluster, which the first call makes. PostgreSQL is installed."""
    folder, found = Path(os.environ[FOLDER]), programs()
    assert found is not None
    cluster = Cluster(folder, found)
    with _locked(folder / "lock"):
        if not (folder / "made").exists():
            cluster.make()
            asyncio.run(_make_template(cluster))
            (folder / "made").touch()
    return cluster


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


async def _make_template(cluster: Cluster) -> None:
    from visavis.store.database import Database

    await _execute(cluster, "CREATE DATABASE template_visavis")
    await (await Database.open(cluster.url("template_visavis"))).aclose()


def new_database(cluster: Cluster, *, migrated: bool = True) -> str:
    """Make a database; return its address."""
    name = f"test_{uuid4().hex}"
    template = "template_visavis" if migrated else "template1"
    # The strategy copies files, which is quicker for a small database without fsync.
    with _locked(cluster.folder / "lock"):  # a template cannot be copied twice at the same time
        _in_thread(_execute(cluster, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    return cluster.url(name)


def drop_database(cluster: Cluster, url: str) -> None:
    with suppress(OSError):  # a test may have stopped the cluster
        _in_thread(_execute(cluster, f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)"))


async def _execute(cluster: Cluster, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(cluster.url("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _takes_connections(port: int) -> bool:
    """A server listens before it does: then it answers that it is starting up."""
    import asyncpg

    async def connect() -> None:
        address = f"postgresql://visavis@127.0.0.1:{port}/postgres"
        await (await asyncpg.connect(address, timeout=1)).close()

    try:
        _in_thread(connect())
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    return True


def _in_thread(work: Any) -> None:
    """Run a coroutine to its end: fixtures may be asked for inside a running event loop."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, work).result()
