"""A session whose speech or pack crashes the process of every stage that performs it, in native code: it ends with its
reason, and its neighbours go on. Real processes with the tests' own renderer.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import anyio
import numpy as np
import pytest

from tests.faults.test_lost_stages import Listener
from tests.faults.test_silent_stages import FOR_EVER_S, own_fleet, plays, processes_of
from tests.faults.waiting import until
from tests.fleet.test_stage_fleet import allocate, speech
from tests.packs import place_pack
from tests.processes import PYTHON_PATH
from tests.stage.breaking_parts import BREAKING_PACK, MAGIC
from visavis.errors import NoCapacity, PackUnreadable
from visavis.fleet.stages import StageFleet
from visavis.stage.port.events import PerformanceMoved, PerformerEnded, PlaybackFinished, PlaybackStarted
from visavis.stage.port.values import PerformanceSpec, Speech

pytestmark = pytest.mark.anyio

PARTS = "tests.stage.breaking_parts:parts"
RATE_HZ = 16_000


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)


def breaking_speech() -> Speech:
    return Speech(pcm=np.full(1600, MAGIC, "<i2").tobytes(), sample_rate_hz=RATE_HZ, number=1, utterance_id="breaks")


def processes_in_all(fleet: StageFleet) -> list[int]:
    pids: list[int] = fleet._supply.pids  # type: ignore[attr-defined]
    return pids


@pytest.mark.parametrize("stages", [1, 2])
async def test_speech_that_breaks_every_stage_ends_its_session_alone(tmp_path: Path, stages: int) -> None:
    async with own_fleet(tmp_path, silent_s=FOR_EVER_S, stages=stages, parts=PARTS) as fleet:
        neighbours = [await allocate(fleet, tmp_path) for _ in range(2)]
        listeners = [Listener(one) for one in neighbours]
        breaking = await allocate(fleet, tmp_path)
        listener = Listener(breaking)
        for one in neighbours:
            await one.speak(speech(2 * RATE_HZ, number=1, utterance_id="long", final=True))
        for heard in listeners:
            await heard.until(PlaybackStarted)
        pending = asyncio.create_task(breaking.speak(breaking_speech()))
        (ended,) = await listener.until(PerformerEnded)
        assert ended.reason == "lost" and "the work for it has broken one stage after the other" in ended.detail
        for heard in listeners:
            (finished,) = await heard.until(PlaybackFinished)
            assert (finished.position_s, finished.interrupted) == (2.0, False)
            assert len(heard.of(PerformanceMoved)) <= 2, "disturbed once, and at most once more"
            assert heard.playback == [("started", "long"), ("finished", "long")]
        await asyncio.wait([pending])
        await plays(await allocate(fleet, tmp_path))
        await until(lambda: len(processes_in_all(fleet)) <= stages, seen=lambda: processes_in_all(fleet))
        assert fleet.capacity().sessions == 3 and fleet._alone == []


async def test_a_suspected_session_performs_alone_until_it_ends(tmp_path: Path) -> None:
    """Its client interrupts the speech that has broken two stages."""
    async with own_fleet(tmp_path, silent_s=FOR_EVER_S, stages=1, parts=PARTS) as fleet:
        one, other = await allocate(fleet, tmp_path), await allocate(fleet, tmp_path)
        listener = Listener(one)
        pending = asyncio.create_task(one.speak(breaking_speech()))
        await until(
            lambda: fleet._suspects.verdict(one.session_id) == "alone",
            seen=lambda: fleet._suspects.verdict(one.session_id),
        )
        await one.interrupt(through=1)
        await listener.until(PerformanceMoved, 2)
        await pending
        (alone,) = fleet._alone
        assert one.link is alone.link and other.link is fleet._stages[0].link
        await allocate(fleet, tmp_path)
        assert alone.link.sessions == {one.session_id}, "nobody else is placed there"
        await one.speak(speech(320, number=2, utterance_id="a", final=True))
        assert [end.utterance_id for end in await listener.until(PlaybackFinished, 2)] == ["breaks", "a"]
        await one.end()
        await until(lambda: len(processes_in_all(fleet)) <= 1, seen=lambda: processes_in_all(fleet))
        assert fleet._alone == []


async def test_a_pack_that_breaks_every_stage_is_refused_after_two(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=FOR_EVER_S, stages=1, parts=PARTS) as fleet:
        neighbour = await allocate(fleet, tmp_path)
        listener = Listener(neighbour)
        pack = place_pack(tmp_path, "avat_broken", BREAKING_PACK)
        for session_id in ("sess_1", "sess_1", "sess_2"):
            spec = PerformanceSpec(session_id=session_id, pack=pack, width_px=160, height_px=120)
            with pytest.raises(PackUnreadable, match="breaks every stage"), anyio.fail_after(30):
                await fleet.allocate(spec)
        await listener.until(PerformanceMoved)
        await neighbour.speak(speech(320, number=1, utterance_id="u", final=True))
        await listener.until(PlaybackFinished)
        assert len(listener.of(PerformanceMoved)) == 1, "the second time it was loaded alone"
        assert fleet.capacity().sessions == 1


async def test_a_start_whose_stages_are_killed_by_others_suspects_no_pack(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=FOR_EVER_S, stages=1, parts=PARTS) as fleet:
        for _ in range(2):
            processes_of(fleet)[0].send_signal(signal.SIGSTOP)
            starting = asyncio.create_task(allocate(fleet, tmp_path, "sess_1"))
            await until(lambda: "sess_1" in fleet._opening, seen=lambda: fleet._opening)
            processes_of(fleet)[0].send_signal(signal.SIGKILL)
            performer = await starting
            await plays(performer)
            await performer.end()
            assert not fleet._suspects._packs
        with pytest.raises(NoCapacity):
            for _ in range(6):
                await allocate(fleet, tmp_path)
