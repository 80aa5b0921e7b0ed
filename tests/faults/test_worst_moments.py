"""Faults at the worst moment: while a server hands its sessions over, while the next one takes them up, and while a
spare stage starts. Then each session lives or, where nothing else was possible, has ended once, for a reason that is
true and at the right second; every stage has an owner, and no process is left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from tests.faults.faulty_server import FaultyServer, faulty_server
from tests.faults.scale import only_in_full
from tests.faults.test_random_kills import FATES, SILENT_S, Client, Ledger

pytestmark = pytest.mark.anyio

SESSIONS = 2
FAULT_S = 4.0  # how long a database is locked, or a disk full
FROZEN_S, THAWED_EVERY_S = 20.0, 0.3  # the sleep of a machine
WITHIN_S = 120.0
FAULTS = ("stage killed", "stage stopped", "server killed", "database locked", "disk full", "all frozen")
# Where sessions may end: the next server did not learn what the stage has performed.
MAY_END = {("adoption", "stage killed"), ("adoption", "stage stopped")}
FATES["worst moment"] = {"", "performer_lost", "server_died"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(slots=True)
class Scene:
    """A server with sessions that speak. `began_s`: when the trouble began."""

    server: FaultyServer
    client: Client
    began_s: float = 0.0

    def count(self, event: str) -> int:
        """How often a line of this event is in the log."""
        return self.server.log.count(f'"event": "{event}"')

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(WITHIN_S):
            while not condition():  # noqa: ASYNC110 (foreign processes tell nobody)
                await anyio.sleep(0.005)

    async def until_ready(self) -> None:
        """Wait until a server is ready; start one if there is none, as a supervisor does."""
        with anyio.fail_after(WITHIN_S):
            while True:
                assert self.server.process is not None
                if all(process.poll() is not None for process in self.server.processes):
                    self.server.launch()
                with suppress(Exception):
                    if (await self.client.http.get("/readyz", timeout=2)).status_code == 200:
                        return
                await anyio.sleep(0.1)

    async def bring(self, fault: str) -> None:
        """Bring a fault upon the server, and end it again where it is one of the machine."""
        stages = self.server.stages
        match fault:
            case "stage killed" | "stage stopped":
                number = signal.SIGKILL if fault == "stage killed" else signal.SIGSTOP
                for stage in stages[:1]:
                    os.kill(stage, number)
            case "server killed":  # the newest
                self.server.kill()
            case "database locked":
                with self.server.locked_database():
                    await anyio.sleep(FAULT_S)
            case "disk full":
                with self.server.full_disk():
                    await anyio.sleep(FAULT_S)
            case "all frozen":
                await freeze([*stages, *(one.pid for one in self.server.processes if one.poll() is None)])


async def freeze(pids: list[int]) -> None:
    """Stop processes, and let them go on one after the other, in any order."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    await anyio.sleep(FROZEN_S)
    random.shuffle(pids)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
        await anyio.sleep(THAWED_EVERY_S)


async def hand_over(scene: Scene, fault: str) -> None:
    before = scene.count("server_hands_over")
    scene.server.launch("--take-over")
    await scene.until(lambda: scene.count("server_hands_over") > before)
    await scene.bring(fault)


async def adoption(scene: Scene, fault: str) -> None:
    before = scene.count("server_connected")
    scene.server.kill()
    if fault == "stage stopped":
        await scene.bring(fault)
        scene.server.launch()
        return
    scene.server.launch()
    await scene.until(lambda: scene.count("server_connected") > before)
    await scene.bring(fault)


async def start_of_a_spare_stage(scene: Scene, fault: str) -> None:
    """The spare stage dies, so that another one starts; then the fault."""
    (spare,) = set(scene.server.stages) - {await performing_stage(scene)}
    os.kill(spare, signal.SIGKILL)
    known = set(scene.server.stages)
    await scene.until(lambda: bool(set(scene.server.stages) - known))
    await scene.bring(fault)


async def performing_stage(scene: Scene) -> int:
    """Return the oldest stage, when there is a spare one, too."""
    await scene.until(lambda: scene.count("stage_started") >= 2)
    return min(scene.server.stages)


async def speech(scene: Scene, fault: str) -> None:
    """No worst moment, to compare."""
    await scene.bring(fault)


MOMENTS = {
    "speech": speech,
    "hand-over": hand_over,
    "adoption": adoption,
    "start of a spare stage": start_of_a_spare_stage,
}


@only_in_full
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("moment", list(MOMENTS))
async def test_a_fault_at_the_worst_moment(moment: str, fault: str, tmp_path: Path) -> None:
    settings = {
        "VISAVIS_ADMISSION": "counted",
        "VISAVIS_SESSIONS_PER_STAGE": "4",
        "VISAVIS_STAGE_SILENCE_S": str(SILENT_S),
        "VISAVIS_STAGE_GRACE_S": "30",
        "VISAVIS_RATE_LIMIT_PER_MINUTE": "1000000",
        "VISAVIS_CHANNEL_GRACE_S": "100000",
        "VISAVIS_JOIN_TIMEOUT_S": "100000",
        "VISAVIS_MIN_FREE_DISK_MB": "0",
        "VISAVIS_LOG_JSON": "true",
        "VISAVIS_SPARE_STAGE": "true",
    }
    if moment != "start of a spare stage":
        settings["VISAVIS_STAGES"] = "1"
    with faulty_server(tmp_path, **settings) as server:
        scene = Scene(server, Client(server))
        ledger = Ledger(scene.client)
        async with scene.client.http, anyio.create_task_group() as speaking:
            for _ in range(SESSIONS):
                speaking.start_soon(scene.client.speak_always, await scene.client.start())
            await until_spoken(scene)
            hit, scene.began_s = list(scene.client.living), time.monotonic()
            await MOMENTS[moment](scene, fault)
            await scene.until_ready()
            for one in hit:
                scene.client.sessions[one].hits.append(("worst moment", scene.began_s, time.monotonic()))
            await scene.until(lambda: owned_stages(server) == set(server.stages))
            ledger.look()
            print(f"\n{moment}, {fault}: {len(scene.client.living)} of {len(hit)} go on, {dict(ledger.fates)}", end="")
            if (moment, fault) not in MAY_END:
                assert scene.client.living == hit, ledger.fates
            if scene.client.living:
                await until_spoken(scene)
            await scene.until(lambda: not zombies(server))
            for one in list(scene.client.living):
                await scene.client.end(one)
            await ledger.wait_written()
            await ledger.add_up()
        print(f", off by {ledger.off_s}, after {time.monotonic() - scene.began_s:.1f} s")
        assert server.process is not None
        server.process.terminate()
        assert await anyio.to_thread.run_sync(server.process.wait, 60) == 0
        await scene.until(lambda: server.stages == [])
        assert "Traceback" not in server.log, server.log[-8000:]


async def until_spoken(scene: Scene) -> None:
    """Wait until every living session has spoken once more."""
    wanted = scene.client.spoken + 2 * len(scene.client.living)
    await scene.until(lambda: scene.client.spoken >= wanted)


def owned_stages(server: FaultyServer) -> set[int]:
    """Return the processes that are in the roster."""
    found = set()
    for entry in (server.data / "stages").glob("*.json"):
        with suppress(OSError, ValueError):
            found.add(int(json.loads(entry.read_text())["pid"]))
    return found


def zombies(server: FaultyServer) -> list[int]:
    """Return the children of the server that have ended and were not waited for."""
    assert server.process is not None
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == server.process.pid:
                found.append(int(entry.name))
    return found
