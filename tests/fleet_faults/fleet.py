"""A whole fleet: PostgreSQL, a balancer, three servers and four machines of one stage process each, every one in a
network namespace of its own; and the faults that are brought upon it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.namespaces import Machine
from tests.fleet_faults import programs
from tests.fleet_faults.network import PREFIX, Network, network
from tests.fleet_faults.programs import DATABASE_PORT, Program
from tests.fleet_faults.stage_logs import Ended
from visavis.library.prepared import FOLDER
from visavis.stage.calibration import measure, remember
from visavis.stage.parts import built_in

SERVERS, MACHINES = ("server-1", "server-2", "server-3"), ("stage-1", "stage-2", "stage-3", "stage-4")
VIEWERS = ("viewer", "browser")
ADDRESSES = {
    "database": f"{PREFIX}.2",
    "balancer": f"{PREFIX}.3",
    **{name: f"{PREFIX}.{11 + number}" for number, name in enumerate(SERVERS)},
    **{name: f"{PREFIX}.{21 + number}" for number, name in enumerate(MACHINES)},
    **{name: f"{PREFIX}.{31 + number}" for number, name in enumerate(VIEWERS)},
}
SETTINGS = {
    "VISAVIS_DATABASE_URL": f"postgresql://visavis@{ADDRESSES['database']}:{DATABASE_PORT}/postgres",
    "VISAVIS_SECRET": "s" * 32,
    "VISAVIS_PUBLIC_URL": f"http://{ADDRESSES['balancer']}",
    "VISAVIS_TRUSTED_PROXIES": json.dumps([ADDRESSES["balancer"]]),
    "VISAVIS_RATE_LIMIT_PER_MINUTE": "100000",
    "VISAVIS_CHANNEL_GRACE_S": "60",
    "VISAVIS_JOIN_TIMEOUT_S": "100000",  # one of the sessions has no viewer
    "VISAVIS_ROOM_EMPTY_GRACE_S": "60",
    "VISAVIS_LOG_JSON": "true",
}
# Room is counted, not measured: a machine that other work fills shall not seem full. All share the cores of one.
ROOM = {"VISAVIS_ADMISSION": "counted", "VISAVIS_SESSIONS_PER_STAGE": "3"}


@dataclass(slots=True)
class Fleet:
    """`folder`: of all logs. `ended`: when processes have ended that had no time to say so, by our hands."""

    folder: Path
    network: Network
    programs: Mapping[str, Program]
    headers: dict[str, str] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)
    journal: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """Where clients find a server: the balancer."""
        return f"http://{ADDRESSES['balancer']}"

    @property
    def database_url(self) -> str:
        return SETTINGS["VISAVIS_DATABASE_URL"]

    def machine(self, name: str) -> Machine:
        return self.network.machines[name]

    def note(self, text: str) -> None:
        line = f"{time.strftime('%H:%M:%S')} {text}"
        self.journal.append(line)
        with (self.folder / "journal").open("a") as journal:
            journal.write(f"{time.time():.3f} {line}\n")
        print(line, flush=True)

    # --- faults, and what ends them; each returns when it began (unix s)
    def kill(self, name: str) -> float:
        """All processes of a machine end at once, as when its power fails."""
        at_s = time.time()
        self.note(f"{name} killed")
        self.ended += [Ended(pid=pid, at_s=at_s) for pid in self.programs[name].kill()]
        return at_s

    def stop(self, name: str) -> float:
        """All processes of a machine stop."""
        at_s = time.time()
        self.note(f"{name} stopped")
        self.programs[name].stop()
        return at_s

    def go_on(self, name: str) -> None:
        self.note(f"{name} goes on")
        self.programs[name].go_on()

    def cut(self, name: str) -> float:
        at_s = time.time()
        self.note(f"{name} cut off")
        self.network.cut(name)
        return at_s

    def mend(self, name: str) -> None:
        self.note(f"{name} reached again")
        self.network.mend(name)

    def terminate(self, name: str) -> float:
        """SIGTERM; returns when it has ended."""
        at_s = time.time()
        self.note(f"{name} asked to end")
        pids = self.programs[name].pids()
        status = self.programs[name].terminate()
        self.ended += [Ended(pid=pid, at_s=time.time()) for pid in pids]
        assert status == 0, f"{name} has ended with {status}: {self.programs[name].tail()}"
        return at_s

    def kill_process(self, name: str) -> float:
        """The stage process of a machine dies; its supervisor does not."""
        at_s = time.time()
        stages = self.programs[name].pids()[1:]
        self.note(f"{name}: its processes {stages} killed")
        programs.send(stages, signal.SIGKILL)
        self.ended += [Ended(pid=pid, at_s=at_s) for pid in stages]
        return at_s

    def start(self, name: str) -> None:
        self.programs[name].start()

    def wait_ready(self, name: str) -> None:
        self.programs[name].wait_ready()
        self.note(f"{name} is there")

    @property
    def pids(self) -> list[int]:
        return [pid for program in self.programs.values() for pid in program.pids()]

    def commands(self, *words: str) -> str:
        """Run `visavis …` with the servers' settings; return what it prints."""
        environment = SETTINGS | {"VISAVIS_DATA_DIR": str(self.folder / SERVERS[0])}
        command = [sys.executable, "-m", "visavis", *words]
        done = subprocess.run(
            command,
            env=programs.as_installed() | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd="/",
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tracebacks(self) -> list[str]:
        """Return what is in the logs that no fault explains."""
        found = []
        for log in sorted(self.folder.glob("*.log")):
            text = log.read_text(errors="replace")
            if "Traceback" in text:
                at = text.index("Traceback")
                found.append(f"{log.name}: {text[max(0, at - 500) : at + 4000]}")
        return found


@contextmanager
def running_fleet() -> Iterator[Fleet]:
    """Start a fleet, and leave nothing of it behind but its logs, if something failed (VISAVIS_FAULTS_FOLDER: there, in
    any case).
    """
    kept = os.environ.get("VISAVIS_FAULTS_FOLDER")
    folder = Path(tempfile.mkdtemp(prefix="visavis-fleet-")) if kept is None else Path(kept)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        net = stack.enter_context(network(ADDRESSES))
        fleet = Fleet(folder=folder, network=net, programs=_programs(folder, net))
        for program in fleet.programs.values():
            stack.callback(program.end)
        _start(fleet)
        print(f"logs: {folder}", flush=True)
        yield fleet
    if kept is None:
        shutil.rmtree(folder)


def _programs(folder: Path, net: Network) -> dict[str, Program]:
    made = {
        "database": programs.database(net.machines["database"], folder),
        "balancer": programs.balancer(net.machines["balancer"], folder, [net.machines[name] for name in SERVERS]),
    }
    for name in SERVERS:
        made[name] = programs.server(name, net.machines[name], folder, SETTINGS | ROOM)
    parts = built_in()
    costs = measure(parts.load_avatar(FOLDER / "iris"), parts)  # once for all
    for name in MACHINES:
        cache = folder / f"{name}-cache"
        cache.mkdir()
        remember(cache, costs)
        made[name] = programs.stage_machine(name, net.machines[name], folder, ROOM, folder / f"{name}.token")
    return made


def _start(fleet: Fleet) -> None:
    fleet.start("database")
    fleet.wait_ready("database")
    fleet.start(SERVERS[0])  # it makes the tables
    fleet.wait_ready(SERVERS[0])
    for name in (*SERVERS[1:], "balancer"):
        fleet.start(name)
    url = fleet.commands("db", "stage-role").strip().splitlines()[-1]
    for name in MACHINES:
        token = fleet.commands("stage-tokens", "create", "--name", name).strip().splitlines()[-1]
        fleet.programs[name].environment["VISAVIS_DATABASE_URL"] = url
        (fleet.folder / f"{name}.token").write_text(token)
        fleet.start(name)
    key = next(line for line in fleet.commands("keys", "create", "--name", "tests").splitlines() if "ah_" in line)
    fleet.headers = {"x-api-key": key.strip()}
    for name in (*SERVERS[1:], "balancer", *MACHINES):
        fleet.wait_ready(name)
