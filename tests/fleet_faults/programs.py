"""The programs of a fleet, each on a machine of its own: they are started, killed, stopped, and started again."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.e2e.namespaces import Machine
from tests.e2e.nginx import NGINX
from tests.postgresql import OPTIONS, programs

READY_WITHIN_S = 120.0  # a bound on a busy machine
STOP_WITHIN_S = 60.0
HTTP_PORT, DATABASE_PORT, STAGE_PORT = 8000, 5432, 8443
ENTERED = "This machine performs sessions of the fleet"


def as_installed() -> dict[str, str]:
    """The environment of programs that are set up as their operators do it, and not as tests do."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VISAVIS_")}


def tree(pid: int) -> list[int]:
    """Return a process and all that it has started, parents first."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    parents.setdefault(int(stat[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def zombies_of(pids: Sequence[int]) -> set[int]:
    """Return the children of these processes that have ended and that nobody has waited for."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if stat[0] == "Z" and int(stat[1]) in pids:
                    found.add(int(entry.name))
    return found


def send(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@dataclass(slots=True)
class Program:
    """One program, and all processes that it starts. Its output is appended to `log`. `ready`: returns whether it is;
    asked with what it has written since its start.
    """

    name: str
    machine: Machine
    command: Sequence[str]
    environment: dict[str, str]
    log: Path
    ready: Callable[[str], bool]
    process: subprocess.Popen[bytes] | None = None
    _began_at: int = 0  # in the log
    _stopped: list[int] = field(default_factory=list)

    def start(self) -> None:
        assert self.process is None or self.process.poll() is not None, f"{self.name} runs"
        self._began_at = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.machine.command(*self.command),
                env=as_installed() | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} has ended with {self.process.returncode}: {self.tail()}"
        with self.log.open("rb") as log:
            log.seek(self._began_at)
            return self.ready(log.read().decode(errors="replace"))

    def wait_ready(self) -> None:
        deadline_s = time.monotonic() + READY_WITHIN_S
        while not self.is_ready():
            assert time.monotonic() < deadline_s, f"{self.name} is not ready: {self.tail()}"
            time.sleep(0.05)  # another process tells nobody

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def pids(self) -> list[int]:
        """The processes of the program, parents first."""
        assert self.process is not None
        return tree(self.process.pid) if self.process.poll() is None else []

    def kill(self) -> list[int]:
        """Kill all its processes at once; return them."""
        assert self.process is not None
        killed = self.pids()
        send(killed, signal.SIGKILL)
        self._stopped.clear()
        self.process.wait()
        return killed

    def stop(self) -> list[int]:
        """Stop all its processes, as a machine that is suspended; return them. `go_on` lets them go on."""
        self._stopped = self.pids()
        send(self._stopped, signal.SIGSTOP)
        return self._stopped

    def go_on(self) -> None:
        send(self._stopped, signal.SIGCONT)
        self._stopped = []

    def terminate(self) -> int:
        """Ask it to end, and wait; return its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STOP_WITHIN_S)

    def end(self) -> None:
        """Leave nothing behind, whatever has happened before."""
        if self.process is not None and self.process.poll() is None:
            self.kill()


def _serves(url: str) -> Callable[[str], bool]:
    def ask(_: str) -> bool:
        try:
            return httpx.get(f"{url}/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    return ask


def server(name: str, machine: Machine, folder: Path, settings: dict[str, str]) -> Program:
    url = f"http://{machine.address}:{HTTP_PORT}"
    own = {"VISAVIS_DATA_DIR": str(folder / name), "VISAVIS_STAGE_SOURCE_URL": url, "OMP_NUM_THREADS": "1"}
    serve = ["serve", "--stages", "none", "--host", "0.0.0.0", "--port", str(HTTP_PORT)]
    return Program(
        name, machine, [sys.executable, "-m", "visavis", *serve], settings | own, folder / f"{name}.log", _serves(url)
    )


def stage_machine(name: str, machine: Machine, folder: Path, settings: dict[str, str], token: Path) -> Program:
    """A machine with one stage process."""
    perform = ["stage", "--listen", f"wss://0.0.0.0:{STAGE_PORT}", "--address", machine.address, "--log-json"]
    files = ["--fleet-token-file", str(token), "--cache", str(folder / f"{name}-cache")]
    return Program(
        name,
        machine,
        [sys.executable, "-m", "visavis", *perform, *files],
        settings | {"VISAVIS_STAGES": "1", "OMP_NUM_THREADS": "1"},
        folder / f"{name}.log",
        lambda log: ENTERED in log,
    )


BALANCER = """
user root;
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/balancer.log warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        ''      '';
    }}
    upstream visavis {{
{servers}
    }}
    server {{
        listen 80;
        location /internal/ {{
            return 404;
        }}
        location / {{
            proxy_pass http://visavis;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            client_max_body_size 17m;
            proxy_read_timeout 120s;
            # A server that is gone: the call goes to the next one, unless this one may have acted on it.
            proxy_connect_timeout 1s;
            proxy_next_upstream error timeout;
        }}
    }}
}}
"""


def balancer(machine: Machine, folder: Path, servers: Sequence[Machine]) -> Program:
    """An nginx that sends each connection to any server."""
    assert NGINX is not None
    lines = [f"        server {one.address}:{HTTP_PORT} max_fails=1 fail_timeout=2s;" for one in servers]
    config = folder / "nginx.conf"
    config.write_text(BALANCER.format(folder=folder, servers="\n".join(lines)))
    command = [NGINX, "-c", str(config), "-e", str(folder / "balancer.log"), "-p", str(folder)]

    def is_ready(_: str) -> bool:
        try:
            httpx.get(f"http://{machine.address}/", timeout=2)
        except httpx.TransportError:
            return False
        return True

    return Program("balancer", machine, command, {}, folder / "balancer.log", is_ready)


def database(machine: Machine, folder: Path) -> Program:
    """A PostgreSQL that a crash of its own processes leaves whole; its owner is called visavis."""
    found = programs()
    assert found is not None, "PostgreSQL is not installed"
    data = folder / "postgresql"
    data.mkdir()
    user = pwd.getpwnam("postgres")
    os.chown(data, user.pw_uid, user.pw_gid)
    folder.chmod(0o755)
    as_user = [shutil.which("setpriv") or "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}"]
    as_user += ["--clear-groups", "--"]
    make = [str(found / "initdb"), "-D", str(data), "-U", "visavis", "-E", "UTF8", "--locale=C", "-A", "trust"]
    subprocess.run([*as_user, *make, "--no-sync"], check=True, capture_output=True, cwd="/")
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all visavis 10.204.0.0/16 trust\nhost all all 10.204.0.0/16 scram-sha-256\n")
    options = OPTIONS | {"listen_addresses": "*", "unix_socket_directories": ""}
    serve = [str(found / "postgres"), "-D", str(data), "-p", str(DATABASE_PORT)]
    serve += [f"-c{name}={value}" for name, value in options.items()]
    (folder / "database.log").touch()
    return Program(
        "database",
        machine,
        [*as_user, *serve],
        {},
        folder / "database.log",
        lambda log: re.search("database system is ready to accept connections", log) is not None,
    )
