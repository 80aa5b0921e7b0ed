"""A machine of stages or a server is killed, stopped or cut off, or the database is gone, while sessions speak and are
watched: what viewers and clients notice of it.

The figures are printed. `make fleet-faults` asserts them in proportion to `visavis bench pipeline`, with 250 frames a
second as 1: they are machine time, and here all machines of the fleet share one.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.e2e.namespaces import why_unavailable
from tests.fleet_faults.accounts import check_ledger, check_places, machine_of, owner_of
from tests.fleet_faults.acting import Act, acting, check_stage_logs, until_settled
from tests.fleet_faults.fleet import Fleet, running_fleet
from tests.fleet_faults.speaker import Speaker
from visavis.bench.pipeline import speaking_fps
from visavis.library.prepared import FOLDER

UNAVAILABLE = why_unavailable()
pytestmark = [pytest.mark.anyio, pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))]

BENCHED_FPS = 250.0
PICTURE_WITHIN_S = RESUMED_WITHIN_S = 3.0
LEAST_GAP_S = 1.0
DATABASE_AWAY_S = 30.0
LASTS_S = 60.0  # a bound on waiting for a picture or a channel
FAULTS = ("kill", "stop", "cut")


class Named:
    """The fleet, and all sessions that it has had."""

    def __init__(self, fleet: Fleet, slower: float) -> None:
        self.fleet, self.slower = fleet, slower
        self.speakers: list[Speaker] = []


@pytest.fixture(scope="module")
def named() -> Iterator[Named]:
    slower = max(1.0, BENCHED_FPS / speaking_fps(FOLDER / "iris").median)
    print(f"\nbounds are {slower:.2f} times those of a machine that makes {BENCHED_FPS:.0f} frames a second")
    with running_fleet() as fleet:
        yield Named(fleet, slower)
        assert fleet.tracebacks() == []


@asynccontextmanager
async def two_sessions(named: Named) -> AsyncIterator[list[Act]]:
    chance = random.Random(1)
    async with AsyncExitStack() as stack:
        acts = [await stack.enter_async_context(acting(named.fleet, number, chance)) for number in range(2)]
        named.speakers += [act.speaker for act in acts]
        await until_settled(named.fleet, lambda: acts, time.time())
        yield acts


async def begin(fleet: Fleet, fault: str, name: str) -> float:
    return {"kill": fleet.kill, "stop": fleet.stop, "cut": fleet.cut}[fault](name)


async def be_over(fleet: Fleet, fault: str, name: str) -> None:
    {"kill": fleet.start, "stop": fleet.go_on, "cut": fleet.mend}[fault](name)
    await asyncio.to_thread(fleet.wait_ready, name)


async def picture_again(act: Act, since_s: float) -> float:
    """Return after how long the viewer of a session has had a picture again. Shorter gaps are another matter: a lost
    machine shows nothing until its lease has ended.
    """
    assert act.watched is not None
    async with asyncio.timeout(LASTS_S):
        while True:
            for gap in act.watched.gaps:
                if gap.kind == "picture" and gap.s >= LEAST_GAP_S and gap.from_s <= since_s + 2 and gap.to_s > since_s:
                    return gap.to_s - since_s
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("seen_by", [0, 1], ids=["viewer", "chromium"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_the_picture_is_back_after_a_machine_was_lost(named: Named, fault: str, seen_by: int) -> None:
    fleet = named.fleet
    async with two_sessions(named) as acts:
        act = acts[seen_by]
        if act.watched is None:
            pytest.skip("there is no Chromium on this machine")
        name = await machine_of(fleet, act.speaker)
        at_s = await begin(fleet, fault, name)
        after_s = await picture_again(act, at_s)
        fleet.note(f"FIGURE machine {fault}: picture again after {after_s:.2f} s ({act.watched.name})")
        await be_over(fleet, fault, name)
        await until_settled(fleet, lambda: acts, time.time())
    assert after_s <= PICTURE_WITHIN_S * named.slower


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_channel_is_resumed_elsewhere_after_its_server_was_lost(named: Named, fault: str) -> None:
    fleet = named.fleet
    async with two_sessions(named) as acts:
        act = acts[0]
        speaker, name = act.speaker, await owner_of(fleet, act.speaker)
        returns = len(speaker.returns)
        at_s = await begin(fleet, fault, name)
        async with asyncio.timeout(LASTS_S):
            while len(speaker.returns) == returns:
                if act.task.done():
                    act.task.result()
                await asyncio.sleep(0.05)
        back = speaker.returns[-1]
        assert await owner_of(fleet, speaker) != name
        fleet.note(
            f"FIGURE server {fault}: the client came back after {back.at_s - at_s:.2f} s, and was resumed "
            f"{back.took_s:.2f} s later"
        )
        await be_over(fleet, fault, name)
        await until_settled(fleet, lambda: acts, time.time())
        if act.watched is not None:
            gap = act.watched.longest("picture", at_s, time.time())
            fleet.note(f"FIGURE server {fault}: longest gap between two pictures {0 if gap is None else gap.s:.2f} s")
    assert back.took_s <= RESUMED_WITHIN_S * named.slower


async def test_no_session_notices_that_the_database_is_gone(named: Named) -> None:
    fleet = named.fleet
    async with two_sessions(named) as acts:
        watched = acts[0].watched
        assert watched is not None
        before, returns = watched.counts[-1], [len(act.speaker.returns) for act in acts]
        at_s = fleet.cut("database")
        await asyncio.sleep(DATABASE_AWAY_S)
        after, over_s = watched.counts[-1], time.time()
        fleet.mend("database")
        await until_settled(fleet, lambda: acts, time.time())
        assert [len(act.speaker.returns) for act in acts] == returns, "no channel broke"
        missing = after["missing"] - before["missing"]
        gaps = {
            f"{act.watched.name} {kind}": 0.0 if gap is None else round(gap.s, 2)
            for act in acts
            if act.watched is not None
            for kind in ("picture", "sound")
            for gap in [act.watched.longest(kind, at_s, over_s)]
        }
        fleet.note(f"FIGURE database gone for {over_s - at_s:.0f} s: {missing} blocks of sound missing, gaps {gaps}")
        assert missing == 0 and watched.counts[-1]["joins"] == before["joins"]
        assert max(gaps.values()) <= named.slower, "of a second"


async def test_all_that_was_named_left_the_fleet_in_order(named: Named) -> None:
    """The last one: reads what the others have left."""
    fleet = named.fleet
    await check_places(fleet, empty=True)
    fleet.note(f"ledger: {await check_ledger(fleet, named.speakers)}")
    fleet.note(f"stages: {await check_stage_logs(fleet)}")
