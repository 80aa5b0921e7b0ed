"""A server on a small disk of its own, with the faults that a test brings on it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.faults.stepped_server import OFFSET
from tests.processes import children
from visavis.demo.server_process import free_port

READY_WITHIN_S = 300.0
DISK_MB = 400


@dataclass(slots=True)
class FaultyServer:
    """`folder`: the test's. The data folder in it may be a disk of its own. A restarted server has the same address."""

    folder: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None  # the newest
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)  # all of them
    key: str = ""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def stages(self) -> list[int]:
        """The processes of all stages that use the data folder, whoever has started them."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
                if b"visavis.stage" in line and str(self.data).encode() in line:
                    found.append(int(entry.name))
        return sorted(found)

    def start(self) -> None:
        """Start the server, and wait until it is ready."""
        self.launch()
        self.wait_ready()

    def launch(self, *arguments: str) -> None:
        """Start a server, and do not wait for it."""
        serve = ["serve", "--port", str(self.port), *arguments]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.stepped_server", str(self.folder / "offset"), *serve],
                env=os.environ | {"VISAVIS_DATA_DIR": str(self.data)} | self.environment,
                stdout=log,
                stderr=log,
            )
        self.processes.append(self.process)

    def wait_ready(self) -> None:
        """Wait until the newest server is ready."""
        assert self.process is not None
        deadline_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, self.log[-5000:]
            with suppress(httpx.TransportError):
                if httpx.get(self.base_url + "/readyz", timeout=2).status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"not ready: {self.log[-5000:]}")

    def kill(self) -> None:
        """Kill the server as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def set_clock(self, ahead_s: float) -> None:
        """The server has the file in its memory: a file that is cut, even for a moment, would kill it by SIGBUS."""
        descriptor = os.open(self.folder / "offset", os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(descriptor, OFFSET.pack(ahead_s), 0)
        os.close(descriptor)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Fill the disk of the data folder, to the last byte."""
        ballast = self.data / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024 * 1024))
        with suppress(OSError), ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(512))
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def locked_database(self) -> Iterator[None]:
        """Another program writes, and does not finish."""
        with closing(sqlite3.connect(self.data / "visavis.db", isolation_level=None, timeout=20)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    def rows(self, columns: str) -> dict[str, tuple[object, ...]]:
        """Return columns of all sessions, by session."""
        with closing(sqlite3.connect(self.data / "visavis.db", timeout=20)) as database:
            found = database.execute(f"SELECT id, {columns} FROM sessions").fetchall()
        return {str(row[0]): tuple(row[1:]) for row in found}

    def usage(self) -> dict[str, list[tuple[int, int, int, bool]]]:
        """Return the entries of the usage ledger by session, in order: (began, until, minutes, closed), unix ms."""
        found: dict[str, list[tuple[int, int, int, bool]]] = {}
        with closing(sqlite3.connect(self.data / "visavis.db", timeout=20)) as database:
            columns = "session_id, began_at_ms, until_ms, minutes, closed"
            for one, *entry in database.execute(f"SELECT {columns} FROM usage_entries ORDER BY session_id, number"):
                found.setdefault(one, []).append((int(entry[0]), int(entry[1]), int(entry[2]), bool(entry[3])))
        return found


@contextmanager
def faulty_server(folder: Path, **environment: str) -> Iterator[FaultyServer]:
    """Run a server, and end all that belongs to it."""
    server = FaultyServer(folder, environment)
    server.data.mkdir()
    server.set_clock(0.0)
    with ExitStack() as stack:
        own_disk = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(server.data)]
        if subprocess.run(own_disk, capture_output=True, check=False).returncode == 0:
            stack.callback(subprocess.run, ["umount", "--lazy", str(server.data)], check=False)
        stack.callback(_end_all, server)
        server.start()
        make_key = [sys.executable, "-m", "visavis", "keys", "create", "--name", "tests"]
        made = subprocess.run(
            make_key,
            env=os.environ | {"VISAVIS_DATA_DIR": str(server.data)},
            capture_output=True,
            text=True,
            check=True,
        )
        server.key = next(line for line in made.stdout.splitlines() if line.startswith("ah_"))
        yield server


def _end_all(server: FaultyServer) -> None:
    for stage in server.stages:
        with suppress(ProcessLookupError):
            os.kill(stage, signal.SIGCONT)
    for process in server.processes:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    for stage in server.stages:
        with suppress(ProcessLookupError):
            os.kill(stage, signal.SIGKILL)
    assert children(os.getpid(), "stepped_server") == []
