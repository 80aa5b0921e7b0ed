"""Faults at random for VISAVIS_FAULTS_S (default: an hour), of servers, machines of stages and the database, while
sessions begin, speak, are watched and end. Afterwards the logs of the stages, the ledger and the clients tell whether
all was right. The seed is printed; VISAVIS_FAULTS_SEED takes it again.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from statistics import median

import pytest

from tests.e2e.namespaces import why_unavailable
from tests.fleet_faults.accounts import check_ledger, check_places
from tests.fleet_faults.acting import Act, acting, check_stage_logs, until_settled
from tests.fleet_faults.fleet import MACHINES, SERVERS, Fleet, running_fleet
from tests.fleet_faults.speaker import Speaker

UNAVAILABLE = why_unavailable()
pytestmark = [pytest.mark.anyio, pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))]

RUN_S = float(os.environ.get("VISAVIS_FAULTS_S", "3600"))
DATABASE_AWAY_S = float(os.environ.get("VISAVIS_FAULTS_DATABASE_S", "30"))
SESSIONS = int(os.environ.get("VISAVIS_FAULTS_SESSIONS", "3"))
SESSION_LASTS_S = 60.0, 240.0  # at least and at most

Fault = Callable[[Fleet, random.Random], Awaitable[None]]


async def killed(fleet: Fleet, name: str, down_s: float) -> None:
    fleet.kill(name)
    await asyncio.sleep(down_s)
    fleet.start(name)
    await asyncio.to_thread(fleet.wait_ready, name)


async def stopped(fleet: Fleet, name: str, down_s: float) -> None:
    fleet.stop(name)
    await asyncio.sleep(down_s)
    fleet.go_on(name)


async def cut_off(fleet: Fleet, name: str, down_s: float) -> None:
    fleet.cut(name)
    await asyncio.sleep(down_s)
    fleet.mend(name)


async def ended(fleet: Fleet, name: str, down_s: float) -> None:
    await asyncio.to_thread(fleet.terminate, name)
    await asyncio.sleep(down_s)
    fleet.start(name)
    await asyncio.to_thread(fleet.wait_ready, name)


async def process_killed(fleet: Fleet, name: str, down_s: float) -> None:
    fleet.kill_process(name)


# By name: what is done, to which programs, and for how long at least and at most.
FAULTS: dict[str, tuple[Callable[[Fleet, str, float], Awaitable[None]], tuple[str, ...], tuple[float, float]]] = {
    "server killed": (killed, SERVERS, (0.0, 5.0)),
    "server stopped": (stopped, SERVERS, (0.3, 8.0)),
    "server cut off": (cut_off, SERVERS, (0.3, 8.0)),
    "server ended": (ended, SERVERS, (0.0, 3.0)),
    "machine killed": (killed, MACHINES, (0.0, 5.0)),
    "machine stopped": (stopped, MACHINES, (0.3, 8.0)),
    "machine cut off": (cut_off, MACHINES, (0.3, 8.0)),
    "machine drained": (ended, MACHINES, (0.0, 3.0)),
    "stage process killed": (process_killed, MACHINES, (0.0, 0.0)),
    "database cut off": (cut_off, ("database",), (0.3, DATABASE_AWAY_S)),
    "database stopped": (stopped, ("database",), (0.3, DATABASE_AWAY_S)),
    "database killed": (killed, ("database",), (0.0, DATABASE_AWAY_S / 3)),
}
KINDS = tuple(kind for kind in os.environ.get("VISAVIS_FAULTS_KINDS", "").split(",") if kind) or tuple(FAULTS)


class Figures:
    """How long viewers saw nothing, and clients waited for their channel, by fault."""

    def __init__(self) -> None:
        self.picture_s: dict[str, list[float]] = defaultdict(list)
        self.channel_s: dict[str, list[float]] = defaultdict(list)
        self.faults: dict[str, int] = defaultdict(int)

    def take(self, fault: str, acts: list[Act], began_s: float) -> None:
        self.faults[fault] += 1
        for act in acts:
            self.channel_s[fault] += [one.took_s for one in act.speaker.returns if one.at_s >= began_s]
            gap = None if act.watched is None else act.watched.longest("picture", began_s, time.time())
            if gap is not None:
                self.picture_s[fault].append(gap.s)

    def text(self) -> str:
        lines = []
        for fault, count in sorted(self.faults.items()):
            parts = [
                f"{what}: {len(of[fault])}, median {median(of[fault]):.2f} s, longest {max(of[fault]):.2f} s"
                for what, of in (("gaps in pictures", self.picture_s), ("channels resumed", self.channel_s))
                if of[fault]
            ]
            lines.append(f"{fault} ({count}): {'; '.join(parts) or 'nothing noticed'}")
        return "\n".join(lines)


class Hour:
    """Sessions that follow each other, and the faults meanwhile."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self.fleet, self.chance = fleet, chance
        self.until_s = time.monotonic() + RUN_S
        self.speakers: list[Speaker] = []
        self.acts: dict[int, Act] = {}
        self.figures = Figures()
        self.calm = asyncio.Lock()  # sessions begin and end between two faults of the database

    async def perform(self, number: int) -> None:
        """Let one session follow the other."""
        chance = random.Random(self.chance.random())
        while time.monotonic() < self.until_s:
            async with acting(self.fleet, number, chance) as act:
                self.speakers.append(act.speaker)
                self.acts[number] = act
                lasts_s = min(chance.uniform(*SESSION_LASTS_S), max(10.0, self.until_s - time.monotonic()))
                await asyncio.wait((act.task,), timeout=lasts_s)
                del self.acts[number]

    def _living_of(self, acts: list[Act]) -> list[Act]:
        return [act for act in acts if act in self.acts.values()]

    async def break_things(self, performing: list[asyncio.Task[None]]) -> None:
        while time.monotonic() < self.until_s:
            await asyncio.sleep(self.chance.uniform(1.0, 5.0))
            fault = self.chance.choice(KINDS)
            bring, names, (least_s, most_s) = FAULTS[fault]
            acts, began_s = list(self.acts.values()), time.time()
            await bring(self.fleet, self.chance.choice(names), self.chance.uniform(least_s, most_s))
            over_s = time.time()
            for task in performing:
                if task.done():
                    task.result()
            still = self._living_of(acts)
            await until_settled(self.fleet, partial(self._living_of, still), over_s)
            self.figures.take(fault, still, began_s)


async def test_faults_at_random_lose_no_word_and_no_second() -> None:
    seed = os.environ.get("VISAVIS_FAULTS_SEED") or str(random.randrange(10**6))
    print(f"\nVISAVIS_FAULTS_SEED={seed}")
    with running_fleet() as fleet:
        hour = Hour(fleet, random.Random(seed))
        performing = [asyncio.create_task(hour.perform(number)) for number in range(SESSIONS)]
        try:
            await hour.break_things(performing)
            await asyncio.gather(*performing)
        finally:
            for task in performing:
                task.cancel()
            await asyncio.wait(performing)
            fleet.note(f"figures:\n{hour.figures.text()}")
        fleet.note(f"stages: {await check_stage_logs(fleet)}")
        fleet.note(f"ledger: {await check_ledger(fleet, hour.speakers)}")
        await check_places(fleet, empty=True)
        words = sum(len(speaker.said) for speaker in hour.speakers)
        fleet.note(f"{sum(hour.figures.faults.values())} faults, {words} utterances, none lost and none said twice")
        assert fleet.tracebacks() == []
