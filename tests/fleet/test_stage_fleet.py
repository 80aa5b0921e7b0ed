"""The local fleet with real stage processes, which use the test's own renderer."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from tests.packs import place_pack
from tests.processes import PYTHON_PATH
from visavis.errors import InvalidRequest, NoCapacity, OfferRefused, PackUnreadable, PerformerLost, QueueFull
from visavis.fleet.admission import Limits
from visavis.fleet.local import LocalStage, LocalStages
from visavis.fleet.performer import StagePerformer
from visavis.fleet.stages import StageFleet
from visavis.stage.port.address import Address
from visavis.stage.port.events import (
    PerformanceMoved,
    PerformerEnded,
    PerformerEvent,
    PlaybackFinished,
    PlaybackStarted,
)
from visavis.stage.port.values import PerformanceSpec, Speech
from visavis.stage.work_marks import SharedMarks

REPOSITORY = Path(__file__).parents[2]
PARTS = "tests.stage.flashing_parts:parts"
NUMBERS = itertools.count(100)

Run = Callable[[Awaitable[None]], None]


def at_most(sessions_per_stage: int) -> Limits:
    """Admission by number: these tests do not depend on what else the machine does."""
    return Limits(measured=False, sessions_per_stage=sessions_per_stage)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PYTHON_PATH)
        yield runner


@pytest.fixture
def run(runner: asyncio.Runner) -> Run:
    """Run one scenario within 30 s."""

    async def bounded(scenario: Awaitable[None]) -> None:
        with anyio.fail_after(30):
            await scenario

    return lambda scenario: runner.run(bounded(scenario))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder. `place_pack` puts a pack into it."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def fleet(runner: asyncio.Runner, data_dir: Path) -> Iterator[StageFleet]:
    """A fleet that several tests share. Each ends its sessions or leaves them without effect on the others."""
    fleet = StageFleet(LocalStages(data_dir=data_dir, max_stages=1, parts=PARTS), limits=at_most(8))
    runner.run(fleet.start())
    yield fleet
    runner.run(fleet.aclose())


@contextlib.asynccontextmanager
async def own_fleet(data_dir: Path, *, stages: int = 1, sessions_per_stage: int = 4) -> AsyncIterator[StageFleet]:
    supply = LocalStages(data_dir=data_dir, max_stages=stages, parts=PARTS)
    fleet = StageFleet(supply, limits=at_most(sessions_per_stage))
    await fleet.start()
    try:
        yield fleet
    finally:
        await fleet.aclose()


async def allocate(fleet: StageFleet, data_dir: Path, session_id: str | None = None) -> StagePerformer:
    return await fleet.allocate(
        PerformanceSpec(
            session_id=session_id or f"sess_{next(NUMBERS)}", pack=place_pack(data_dir), width_px=160, height_px=120
        )
    )


def speech(
    samples: int,
    *,
    number: int = 1,
    rate_hz: int = 16_000,
    utterance_id: str | None = None,
    final: bool = False,
) -> Speech:
    """Return speech with this many equal samples."""
    return Speech(pcm=b"\1\1" * samples, sample_rate_hz=rate_hz, number=number, utterance_id=utterance_id, final=final)


def sessions_and_places(fleet: StageFleet) -> tuple[int, int]:
    capacity = fleet.capacity()
    return capacity.sessions, capacity.places[0].free


def process_of(fleet: StageFleet) -> asyncio.subprocess.Process:
    (stage,) = fleet._stages
    assert isinstance(stage, LocalStage) and isinstance(stage.process, asyncio.subprocess.Process)
    return stage.process


async def wait_for(performer: StagePerformer, kind: type[PerformerEvent]) -> PerformerEvent:
    async for event in performer.events():
        if isinstance(event, kind):
            return event
    raise AssertionError(f"{kind.__name__} never came")


def test_speech_is_played_without_viewers_and_each_utterance_ends_once(
    run: Run, fleet: StageFleet, data_dir: Path
) -> None:
    async def scenario() -> None:
        performer = await allocate(fleet, data_dir)
        assert (await performer.speak(speech(3200, utterance_id="a", final=True))).utterance_id == "a"
        assert (await performer.speak(speech(1600, number=2, utterance_id="b", final=True))).utterance_id == "b"
        events = []
        async for event in performer.events():
            events.append(event)
            if event == PlaybackFinished(utterance_id="b", position_s=0.1, interrupted=False):
                break
        assert [e for e in events if isinstance(e, PlaybackStarted | PlaybackFinished)] == [
            PlaybackStarted(utterance_id="a"),
            PlaybackFinished(utterance_id="a", position_s=0.2, interrupted=False),
            PlaybackStarted(utterance_id="b"),
            PlaybackFinished(utterance_id="b", position_s=0.1, interrupted=False),
        ]

    run(scenario())


def test_an_interrupt_returns_after_the_end_events_of_all_dropped_utterances(
    run: Run, fleet: StageFleet, data_dir: Path
) -> None:
    async def scenario() -> None:
        performer = await allocate(fleet, data_dir)
        await performer.speak(speech(160_000, utterance_id="a", final=True))
        await performer.speak(speech(160_000, number=2, utterance_id="b", final=True))
        await wait_for(performer, PlaybackStarted)
        await performer.interrupt(through=2)
        finished = [e for e in list(performer._events) if isinstance(e, PlaybackFinished)]
        assert [(e.utterance_id, e.interrupted) for e in finished] == [("a", True), ("b", True)]
        assert 0.0 < finished[0].position_s < 5.0 and finished[1].position_s == 0.0

    run(scenario())


def test_sessions_that_start_at_once_are_distributed_evenly_over_the_stages(run: Run, data_dir: Path) -> None:
    async def scenario() -> None:
        async with own_fleet(data_dir, stages=2, sessions_per_stage=8) as fleet:
            await asyncio.gather(*(allocate(fleet, data_dir) for _ in range(8)))
            assert sorted(len(stage.link.sessions) for stage in fleet._stages) == [4, 4]

    run(scenario())


def test_a_killed_stage_is_replaced_and_its_sessions_go_on(run: Run, data_dir: Path) -> None:
    async def scenario() -> None:
        async with own_fleet(data_dir) as fleet:
            one, other = await allocate(fleet, data_dir, "sess_1"), await allocate(fleet, data_dir, "sess_2")
            os.kill(process_of(fleet).pid, signal.SIGKILL)
            for performer in (one, other):
                await wait_for(performer, PerformanceMoved)
                await performer.speak(speech(320, final=True))
                await wait_for(performer, PlaybackFinished)
            assert fleet.capacity().sessions == 2

    run(scenario())


def test_a_call_pending_when_the_stage_dies_is_answered_by_the_next_one(run: Run, data_dir: Path) -> None:
    async def scenario() -> None:
        async with own_fleet(data_dir) as fleet:
            performer = await allocate(fleet, data_dir)
            process = process_of(fleet)
            os.kill(process.pid, signal.SIGSTOP)  # it receives the call but never answers
            pending = asyncio.create_task(performer.speak(speech(1)))
            await asyncio.sleep(0)
            os.kill(process.pid, signal.SIGKILL)
            assert (await pending).samples == 1

    run(scenario())


def test_a_stage_ends_with_the_service(run: Run, data_dir: Path) -> None:
    async def scenario() -> None:
        supply = LocalStages(data_dir=data_dir, max_stages=1, parts=PARTS, grace_s=0.0)
        fleet = StageFleet(supply, limits=at_most(4))
        await fleet.start()
        await allocate(fleet, data_dir)
        process = process_of(fleet)
        await fleet.let_go()  # its connection ends, as that of a server that is killed
        assert await process.wait() == 0
        await fleet.aclose()

    run(scenario())


def test_a_starting_stage_is_reaped_however_often_its_start_is_cancelled(run: Run, data_dir: Path) -> None:
    started: asyncio.Queue[asyncio.subprocess.Process] = asyncio.Queue()

    class NotedStages(LocalStages):
        async def _start(self, address: Address, marks: SharedMarks | None) -> asyncio.subprocess.Process:
            process = await super()._start(address, marks)
            started.put_nowait(process)
            return process

    async def scenario() -> None:
        supply = NotedStages(data_dir=data_dir, max_stages=1, parts=PARTS)
        opening = asyncio.create_task(supply.open())
        process = await started.get()
        while not opening.done():
            opening.cancel()
            await asyncio.sleep(0)
        assert opening.cancelled() and process.returncode is not None
        await supply.aclose()

    run(scenario())


def test_a_stage_is_reaped_however_often_its_end_is_cancelled(run: Run, data_dir: Path) -> None:
    async def scenario() -> None:
        supply = LocalStages(data_dir=data_dir, max_stages=1, parts=PARTS)
        stage = await supply.open()
        closing = asyncio.create_task(stage.aclose())
        await asyncio.sleep(0)
        while not closing.done():
            closing.cancel()
            await asyncio.sleep(0)
        assert closing.cancelled() and stage.process.returncode is not None
        await supply.aclose()

    run(scenario())


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads what a process inherited in /proc")
def test_a_stage_inherits_no_secret_and_writes_no_core_dump(
    run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VISAVIS_SECRET", "VISAVIS_STAGE_TOKEN", "VISAVIS_ICE_SERVERS", "DATABASE_PASSWORD"):
        monkeypatch.setenv(name, "hush")

    async def scenario() -> None:
        async with own_fleet(data_dir) as fleet:
            stage = Path(f"/proc/{process_of(fleet).pid}")
            inherited = (stage / "environ").read_bytes() + (stage / "cmdline").read_bytes()
            assert b"PYTHONPATH=" in inherited and b"hush" not in inherited
            assert all(name + b"=1\0" in inherited for name in (b"OMP_NUM_THREADS", b"OPENBLAS_NUM_THREADS"))
            limits = (stage / "limits").read_text()
            assert re.search(r"^Max core file size +[01] +[01] ", limits, re.MULTILINE), limits

    run(scenario())


def test_performer_ended_is_the_last_event_and_end_may_be_repeated(run: Run, fleet: StageFleet, data_dir: Path) -> None:
    async def scenario() -> None:
        before = sessions_and_places(fleet)
        performer = await allocate(fleet, data_dir)
        assert sessions_and_places(fleet) == (before[0] + 1, before[1] - 1)
        await performer.end()
        await performer.end()
        events = [event async for event in performer.events()]
        assert events[-1] == PerformerEnded(reason="ended")
        assert sessions_and_places(fleet) == before
        with pytest.raises(PerformerLost):
            await performer.interrupt(through=2)

    run(scenario())


def test_a_cancelled_allocation_leaves_no_session_on_the_stage(run: Run, fleet: StageFleet, data_dir: Path) -> None:
    async def scenario() -> None:
        before = sessions_and_places(fleet)
        waiting = asyncio.create_task(allocate(fleet, data_dir, "sess_cancelled"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert sessions_and_places(fleet) == before
        again = await allocate(fleet, data_dir, "sess_cancelled")
        await again.speak(speech(320, final=True))
        await wait_for(again, PlaybackFinished)

    run(scenario())


def test_the_fleet_refuses_more_sessions_than_it_has_places(run: Run, data_dir: Path) -> None:
    async def scenario() -> None:
        async with own_fleet(data_dir, stages=2, sessions_per_stage=1) as fleet:
            first = await allocate(fleet, data_dir, "sess_1")
            await allocate(fleet, data_dir, "sess_2")
            assert len(fleet._stages) == 2
            with pytest.raises(NoCapacity):
                await allocate(fleet, data_dir, "sess_3")
            await first.end()
            await allocate(fleet, data_dir, "sess_3")

    run(scenario())


def test_a_full_machine_refuses_at_once_and_starts_no_stage_for_it(run: Run, data_dir: Path) -> None:
    async def scenario() -> None:
        supply = LocalStages(data_dir=data_dir, max_stages=2, parts=PARTS)
        fleet = StageFleet(supply, limits=Limits(share=1e-6))  # nothing fits but the first session
        await fleet.start()
        try:
            first = await allocate(fleet, data_dir, "sess_1")
            with pytest.raises(NoCapacity):
                await allocate(fleet, data_dir, "sess_2")
            assert len(fleet._stages) == 1
            capacity = fleet.capacity()
            assert capacity.sessions == 1 and not any(place.free for place in capacity.places)
            await first.end()
            await allocate(fleet, data_dir, "sess_2")
        finally:
            await fleet.aclose()

    run(scenario())


def test_errors_of_the_stage_reach_the_caller(run: Run, fleet: StageFleet, data_dir: Path) -> None:
    async def scenario() -> None:
        before = sessions_and_places(fleet)
        with pytest.raises(PackUnreadable):
            await fleet.allocate(
                PerformanceSpec(
                    session_id="sess_0",
                    pack=replace(place_pack(data_dir), digest="0" * 64),
                    width_px=160,
                    height_px=120,
                )
            )
        assert sessions_and_places(fleet) == before
        performer = await allocate(fleet, data_dir)
        for garbage in (
            "",
            "garbage",
            "v=0\r\nm=video\r\n",
            "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
            "\0" * 100,
            "v=0\n" * 20_000,
        ):
            with pytest.raises(OfferRefused):
                await performer.offer(viewer_id="v", sdp=garbage)
        for pcm, rate_hz in ((b"\0\0", 7999), (b"\0\0", 48_001)):
            with pytest.raises(InvalidRequest):
                await performer.speak(Speech(pcm=pcm, sample_rate_hz=rate_hz, number=1))
        minute = speech(48_000 * 60, rate_hz=48_000, utterance_id="long")
        for _ in range(10):
            await performer.speak(minute)
        with pytest.raises(QueueFull) as refusal:
            await performer.speak(minute)
        assert refusal.value.code == "QUEUE_FULL" and refusal.value.suggestion

    run(scenario())


def test_closing_the_fleet_ends_every_performance_and_process(run: Run, data_dir: Path) -> None:
    async def scenario() -> None:
        fleet = StageFleet(LocalStages(data_dir=data_dir, max_stages=1, parts=PARTS), limits=at_most(4))
        await fleet.start()
        performer = await allocate(fleet, data_dir)
        process = process_of(fleet)
        await fleet.aclose()
        await fleet.aclose()
        assert process.returncode == 0
        assert [e async for e in performer.events()][-1] == PerformerEnded(reason="ended")

    run(scenario())
