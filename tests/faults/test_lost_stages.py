"""Sessions outlive their stage: it is killed, stopped or broken while they speak, and they go on on another one. Real
processes with the tests' own renderer.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import TypeVar

import anyio
import numpy as np
import pytest

from tests.faults.scale import FULL, only_in_full
from tests.faults.test_silent_stages import FOR_EVER_S, PARTS, SHORT_S, WITHIN_S, own_fleet, plays, processes_of
from tests.faults.waiting import until
from tests.fleet.test_stage_fleet import allocate, speech
from tests.processes import PYTHON_PATH
from tests.stage.stuck_parts import MAGIC
from visavis.errors import PerformerLost
from visavis.fleet import moves, spare_stage
from visavis.fleet.admission import Limits
from visavis.fleet.local import LocalStages
from visavis.fleet.performer import StagePerformer
from visavis.fleet.stages import StageFleet
from visavis.stage.port.events import (
    PerformanceMoved,
    PerformerEnded,
    PerformerEvent,
    PlaybackFinished,
    PlaybackStarted,
)
from visavis.stage.port.values import Speech

pytestmark = pytest.mark.anyio

E = TypeVar("E")
RATE_HZ = 16_000
KILLS = 12 if FULL else 2


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)


class Listener:
    """Collects the events of a performer."""

    def __init__(self, performer: StagePerformer) -> None:
        self.performer = performer
        self.events: list[PerformerEvent] = []
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self.performer.events():
            self.events.append(event)
            self._changed.set()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[E], count: int = 1) -> list[E]:
        """Wait for so many events of a kind; fail with all that have come."""
        with anyio.move_on_after(WITHIN_S):
            while len(found := self.of(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
            return found
        raise AssertionError(f"no {kind.__name__} number {count} within {WITHIN_S:g} s: {self.events}")

    @property
    def playback(self) -> list[tuple[str, str]]:
        """Every start and end of an utterance, in order."""
        kinds = {PlaybackStarted: "started", PlaybackFinished: "finished"}
        return [
            (kinds[type(event)], event.utterance_id)
            for event in self.events
            if isinstance(event, PlaybackStarted | PlaybackFinished)
        ]


def stop(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGSTOP)


def kill(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("fault", [kill, stop])
async def test_speech_goes_on_where_it_was(tmp_path: Path, fault: object) -> None:
    async with own_fleet(tmp_path, silent_s=SHORT_S) as fleet:
        performer = await allocate(fleet, tmp_path)
        listener = Listener(performer)
        await performer.speak(speech(2 * RATE_HZ, number=1, utterance_id="a", final=True))
        await performer.speak(speech(RATE_HZ // 4, number=2, utterance_id="b"))
        await listener.until(PlaybackStarted)
        (process,) = processes_of(fleet)
        assert callable(fault)
        fault(process)
        pending = asyncio.create_task(performer.speak(speech(RATE_HZ // 4, number=3, utterance_id="b", final=True)))
        (moved,) = await listener.until(PerformanceMoved)
        assert (await pending).samples == RATE_HZ // 4
        await listener.until(PlaybackFinished, 2)
        assert listener.playback == [("started", "a"), ("finished", "a"), ("started", "b"), ("finished", "b")]
        assert [(end.position_s, end.interrupted) for end in listener.of(PlaybackFinished)] == [
            (2.0, False),
            (0.5, False),
        ]
        assert moved.after_s > 0
        assert fleet.capacity().sessions == 1 and len(processes_of(fleet)) == 1
        await performer.end()
        assert listener.of(PerformerEnded) == [] or listener.of(PerformerEnded)[-1].reason == "ended"


async def test_many_losses_one_after_the_other_lose_no_word(tmp_path: Path) -> None:
    """Two stages, of which one after the other is killed. Each utterance ends once, at its full length."""
    async with own_fleet(tmp_path, silent_s=SHORT_S, stages=2) as fleet:
        performers = [await allocate(fleet, tmp_path) for _ in range(4)]
        listeners = [Listener(performer) for performer in performers]
        for round_number in range(KILLS):
            moved = [len(listener.of(PerformanceMoved)) for listener in listeners]
            for performer in performers:
                piece = speech(RATE_HZ, number=round_number + 1, utterance_id=f"u{round_number}", final=True)
                await performer.speak(piece)
            for listener in listeners:
                await listener.until(PlaybackStarted, round_number + 1)
            stage = max(fleet._stages, key=lambda one: len(one.link.sessions))
            hit = [performer.link is stage.link for performer in performers]
            stage.kill()
            for listener in listeners:
                await listener.until(PlaybackFinished, round_number + 1)
            assert [len(listener.of(PerformanceMoved)) for listener in listeners] == [
                before + was_hit for before, was_hit in zip(moved, hit, strict=True)
            ]
            for performer in performers:  # kills that come so fast would look like a session that breaks its stages
                fleet._suspects.forget(performer.session_id)
            await until(lambda: fleet._stages, seen=fleet.problem)
        for listener in listeners:
            names = [f"u{number}" for number in range(KILLS)]
            assert listener.playback == [(kind, name) for name in names for kind in ("started", "finished")]
            assert all((end.position_s, end.interrupted) == (1.0, False) for end in listener.of(PlaybackFinished))


async def test_an_interrupt_is_confirmed_while_there_is_no_stage(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=SHORT_S) as fleet:
        performer = await allocate(fleet, tmp_path)
        listener = Listener(performer)
        await performer.speak(speech(5 * RATE_HZ, number=1, utterance_id="a", final=True))
        await listener.until(PlaybackStarted)
        kill(processes_of(fleet)[0])
        await until(lambda: performer.moving, seen=lambda: listener.events)
        await performer.interrupt(through=1)
        assert performer.moving, "it does not wait for the next stage"
        (end,) = await listener.until(PlaybackFinished)
        assert end.interrupted and 0 <= end.position_s < 5
        await listener.until(PerformanceMoved)
        await performer.speak(speech(320, number=2, utterance_id="b", final=True))
        await listener.until(PlaybackFinished, 2)
        assert listener.playback == [("started", "a"), ("finished", "a"), ("started", "b"), ("finished", "b")]


async def test_a_session_may_end_while_it_has_no_stage(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=SHORT_S) as fleet:
        performer = await allocate(fleet, tmp_path)
        listener = Listener(performer)
        await performer.speak(speech(RATE_HZ, number=1, utterance_id="a"))
        kill(processes_of(fleet)[0])
        await until(lambda: performer.moving, seen=lambda: listener.events)
        await performer.end()
        (ended,) = await listener.until(PerformerEnded)
        assert ended.reason == "ended" and listener.playback[-1] == ("finished", "a")
        assert fleet.capacity().sessions == 0
        await plays(await allocate(fleet, tmp_path))


async def test_a_session_for_which_no_stage_can_be_opened_ends_and_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "MOVE_WITHIN_S", 0.1)
    monkeypatch.setattr(moves, "RETRY_AFTER_S", 0.02)
    async with own_fleet(tmp_path, silent_s=SHORT_S) as fleet:
        performer = await allocate(fleet, tmp_path)
        listener = Listener(performer)
        await performer.speak(speech(RATE_HZ, number=1, utterance_id="a"))

        async def refuse() -> None:
            raise PerformerLost("no memory is left")

        with monkeypatch.context() as patch:
            patch.setattr(fleet._supply, "open", refuse)
            kill(processes_of(fleet)[0])
            (ended,) = await listener.until(PerformerEnded)
        assert ended.reason == "lost" and "its stage is gone" in ended.detail and "no memory is left" in ended.detail
        assert listener.playback[-1] == ("finished", "a")
        with pytest.raises(PerformerLost):
            await performer.speak(speech(1, number=2))


async def test_a_session_for_which_there_is_no_place_ends_and_tells_why(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=SHORT_S, stages=2, sessions_per_stage=1) as fleet:
        one, other = await allocate(fleet, tmp_path), await allocate(fleet, tmp_path)
        listener = Listener(one)
        lost = next(stage for stage in fleet._stages if stage.link is one.link)
        monkey = fleet._supply.max_stages
        assert monkey == 2
        fleet._supply._max_stages = 1  # type: ignore[attr-defined]  # the other stage alone is left
        lost.kill()
        (ended,) = await listener.until(PerformerEnded)
        assert ended.reason == "lost" and "no other has a place for it" in ended.detail
        await plays(other)


async def test_a_session_that_starts_while_its_stage_dies_starts_on_another(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=FOR_EVER_S) as fleet:
        (process,) = processes_of(fleet)
        stop(process)  # it gets the command but does not carry it out
        starting = asyncio.create_task(allocate(fleet, tmp_path, "sess_1"))
        await until(lambda: "sess_1" in fleet._opening, seen=lambda: fleet._opening)
        kill(process)
        await plays(await starting)
        assert fleet.capacity().sessions == 1


async def test_calls_that_change_the_session_hold_on_the_next_stage(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=SHORT_S) as fleet:
        performer = await allocate(fleet, tmp_path)
        listener = Listener(performer)
        await performer.resize(width_px=320, height_px=240)
        await performer.set_state("listening")
        kill(processes_of(fleet)[0])
        resizing = asyncio.create_task(performer.resize(width_px=64, height_px=64))
        await listener.until(PerformanceMoved)
        await resizing
        spec = performer.kept.spec
        assert (spec.width_px, spec.height_px) == (64, 64)
        kill(processes_of(fleet)[0])
        await listener.until(PerformanceMoved, 2)
        await performer.speak(speech(320, number=1, utterance_id="a", final=True))
        await listener.until(PlaybackFinished)


async def test_a_fleet_that_closes_ends_sessions_without_a_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(StageFleet, "place_moved", never)
    async with own_fleet(tmp_path, silent_s=SHORT_S) as fleet:
        performer = await allocate(fleet, tmp_path)
        listener = Listener(performer)
        kill(processes_of(fleet)[0])
        await until(lambda: performer.moving, seen=lambda: listener.events)
    assert (await listener.until(PerformerEnded))[0].reason == "ended"


@only_in_full
async def test_a_session_that_breaks_every_stage_is_given_up(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=SHORT_S) as fleet:
        performer = await allocate(fleet, tmp_path)
        listener = Listener(performer)
        magic = np.full(1600, MAGIC, "<i2").tobytes()
        pending = asyncio.create_task(performer.speak(Speech(pcm=magic, sample_rate_hz=RATE_HZ, number=1)))
        (ended,) = await listener.until(PerformerEnded)
        assert ended.reason == "lost" and "one stage after the other" in ended.detail
        with anyio.move_on_after(1):
            await asyncio.wait([pending])
        await plays(await allocate(fleet, tmp_path))


async def test_the_time_without_a_stage_is_measured(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=SHORT_S) as fleet:
        listener = Listener(await allocate(fleet, tmp_path))
        began_s = time.monotonic()
        os.kill(processes_of(fleet)[0].pid, signal.SIGKILL)
        (moved,) = await listener.until(PerformanceMoved)
        assert 0 < moved.after_s <= time.monotonic() - began_s


async def test_a_spare_stage_takes_over_at_once_and_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spare_stage, "AFTER_START_S", 0.0)
    monkeypatch.setattr(spare_stage, "AFTER_LOSS_S", 0.0)
    monkeypatch.setattr(spare_stage, "NEEDS_BYTES", 0)
    supply = LocalStages(data_dir=tmp_path, max_stages=1, parts=PARTS)
    fleet = StageFleet(supply, limits=Limits(measured=False), keep_spare=True)
    assert fleet._spare is not None
    await fleet.start()
    try:
        with anyio.fail_after(WITHIN_S):
            performer = await allocate(fleet, tmp_path)
            listener = Listener(performer)
            for number in (1, 2):
                while (spare := fleet._spare.stage) is None:  # noqa: ASYNC110 (the fleet tells nobody)
                    await asyncio.sleep(0.02)
                assert fleet.capacity().sessions == 1 and fleet._stages != [spare]
                kill(processes_of(fleet)[0])
                await listener.until(PerformanceMoved, number)
                assert fleet._stages == [spare] and performer.link is spare.link
            while (spare := fleet._spare.stage) is None:  # noqa: ASYNC110 (the fleet tells nobody)
                await asyncio.sleep(0.02)
            spare.kill()
            while fleet._spare.stage in (None, spare):  # noqa: ASYNC110 (the fleet tells nobody)
                await asyncio.sleep(0.02)
            await performer.speak(speech(320, number=1, utterance_id="a", final=True))
            await listener.until(PlaybackFinished)
    finally:
        await fleet.aclose()
    assert supply.pids == [], "the spare one ends with the fleet"
