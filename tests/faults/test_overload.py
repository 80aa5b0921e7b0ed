"""Twice the load that a machine carries, and one session's flood beside others. Real stages, real viewers.

Rates and gaps are machine time, so this runs in `make faults` only; the properties in media time are in
tests/stage/test_turns.py, test_pace.py and test_lanes.py, on a virtual clock.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.faults.scale import only_in_full
from visavis.bench import density
from visavis.bench.viewer_process import ViewerProcess
from visavis.engine.pack_ref import PackRef
from visavis.fleet.admission import Limits
from visavis.fleet.local import LocalStages
from visavis.fleet.performer import StagePerformer
from visavis.fleet.stages import StageFleet
from visavis.machine.cores import cores, processes_for
from visavis.stage.port.report import SessionShape
from visavis.stage.port.values import PerformanceSpec, Speech

SHAPE = SessionShape(width_px=density.WIDTH_PX, height_px=density.HEIGHT_PX)
LEAST_FPS, LONGEST_GAP_MS = 10.0, 250
SETTLE_S, MEASURE_S = 2.0, 6.0  # of each step until the machine carries no more
TINY_UTTERANCES, CHUNKS_PER_S, JOINS = 5000, 595, 20


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackRef]:
    folder = tmp_path_factory.mktemp("overload")
    return folder, asyncio.run(density.prepared(folder))


def carried(folder: Path, pack: PackRef) -> int:
    """Return how many sessions this machine carries without a late frame when all of them speak."""
    steps = asyncio.run(
        density.measure(
            folder, pack, first=4, most=64, stages=processes_for(cores()), settle_s=SETTLE_S, measure_s=MEASURE_S
        )
    )
    return max((step.sessions for step in steps if not density.is_overloaded(step)), default=2)


@only_in_full
def test_twice_the_load_is_shared_evenly(pack: tuple[Path, PackRef]) -> None:
    count = 2 * carried(*pack)
    (step,) = asyncio.run(
        density.measure(*pack, first=count, most=count, stages=processes_for(cores()), settle_s=10.0, measure_s=30.0)
    )
    print(step)
    assert step.fps_least >= LEAST_FPS and step.fps_mean - step.fps_least < 2.0
    assert step.longest_gap_ms <= LONGEST_GAP_MS
    assert step.sound_missing == 0 and step.sound_least > 49.5


@asynccontextmanager
async def two_sessions(folder: Path, pack: PackRef) -> AsyncIterator[tuple[StagePerformer, StagePerformer]]:
    """Two sessions on one stage: the one that floods, and its neighbour, which speaks and has a viewer."""
    fleet = StageFleet(LocalStages(data_dir=folder, max_stages=1), limits=Limits(measured=False))
    await fleet.start()
    try:
        specs = (
            PerformanceSpec(session_id=name, pack=pack, width_px=SHAPE.width_px, height_px=SHAPE.height_px)
            for name in ("flooding", "neighbour")
        )
        one, other = [await fleet.allocate(spec) for spec in specs]
        yield one, other
    finally:
        await fleet.aclose()


async def tiny_utterances(performer: StagePerformer, _viewers: ViewerProcess) -> None:
    await asyncio.gather(
        *(
            performer.speak(
                Speech(
                    pcm=b"\1\1" * 160, sample_rate_hz=16_000, number=number, utterance_id=f"tiny {number}", final=True
                )
            )
            for number in range(1, TINY_UTTERANCES + 1)
        ),
        return_exceptions=True,  # beyond 4,096 utterances the stage refuses more
    )


async def tiny_chunks(performer: StagePerformer, _viewers: ViewerProcess) -> None:
    for number in range(1, 8 * CHUNKS_PER_S):
        await performer.speak(Speech(pcm=b"\1\1" * 16, sample_rate_hz=16_000, number=number, utterance_id="chunks"))
        await asyncio.sleep(1 / CHUNKS_PER_S)


async def offer(performer: StagePerformer, number: int, sdp: str) -> str:
    return await performer.offer(viewer_id=f"viewer-{number}", sdp=sdp)


async def joins(performer: StagePerformer, viewers: ViewerProcess) -> None:
    numbers = itertools.count(1)
    await viewers.join_at_once(range(1, JOINS + 1), lambda sdp: offer(performer, next(numbers), sdp))


@only_in_full
@pytest.mark.parametrize("flood", [tiny_utterances, tiny_chunks, joins])
def test_a_flood_is_not_its_neighbours_trouble(pack: tuple[Path, PackRef], flood: object) -> None:
    async def scenario() -> dict[str, list[int]]:
        async with two_sessions(*pack) as (flooding, neighbour):
            viewers = await ViewerProcess.start()
            try:
                await viewers.join(0, partial(offer, neighbour, 0))
                await asyncio.sleep(3.0)
                await viewers.count()
                await asyncio.wait_for(asyncio.gather(flood(flooding, viewers), asyncio.sleep(8.0)), 60.0)  # type: ignore[operator]
                return await viewers.count()
            finally:
                await viewers.aclose()

    counted = asyncio.run(scenario())
    print(flood, {name: figures[0] for name, figures in counted.items()})
    assert counted["sound_missing"][0] == 0
    assert counted["gaps_ms"][0] <= 120
    assert counted["sound_gaps_ms"][0] <= 120
