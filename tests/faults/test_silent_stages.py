"""Stages that do not answer: stopped, in an endless loop, paused, or frozen together with their server. Real processes
with the tests' own renderer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import numpy as np
import pytest
import structlog.testing

from tests.faults.scale import FULL
from tests.faults.waiting import until
from tests.fleet.test_stage_fleet import REPOSITORY, allocate, speech, wait_for
from tests.processes import PYTHON_PATH
from tests.stage.stuck_parts import MAGIC
from visavis.errors import NoCapacity
from visavis.fleet.admission import Limits
from visavis.fleet.local import SILENT_S, LocalStage, LocalStages
from visavis.fleet.performer import StagePerformer
from visavis.fleet.stages import StageFleet
from visavis.stage.port.events import PerformanceMoved, PerformerEnded, PlaybackFinished, PlaybackStarted
from visavis.stage.port.messages import End
from visavis.stage.port.values import Speech

pytestmark = pytest.mark.anyio

PARTS = "tests.stage.stuck_parts:parts"
# Below QUIET_S a stage would be given up before it counts as quiet.
SHORT_S = SILENT_S if FULL else 2.5
FOR_EVER_S = 600.0
WITHIN_S = 60.0  # a bound on waiting for what must happen


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)


@contextlib.asynccontextmanager
async def own_fleet(
    data_dir: Path, *, silent_s: float, stages: int = 1, sessions_per_stage: int = 4, parts: str = PARTS
) -> AsyncIterator[StageFleet]:
    supply = LocalStages(data_dir=data_dir, max_stages=stages, parts=parts, silent_s=silent_s)
    fleet = StageFleet(supply, limits=Limits(measured=False, sessions_per_stage=sessions_per_stage))
    await fleet.start()
    try:
        with anyio.fail_after(WITHIN_S):
            yield fleet
    finally:
        for process in processes_of(fleet):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
        await fleet.aclose()


def processes_of(fleet: StageFleet) -> list[asyncio.subprocess.Process]:
    processes = [stage.process for stage in fleet._stages if isinstance(stage, LocalStage)]
    return [process for process in processes if isinstance(process, asyncio.subprocess.Process)]


async def until_quiet(fleet: StageFleet, index: int, quiet: bool) -> None:
    await until(lambda: fleet._stages[index].link.quiet is quiet, seen=fleet.problem)


async def end_of(performer: StagePerformer) -> PerformerEnded:
    ended = await wait_for(performer, PerformerEnded)
    assert isinstance(ended, PerformerEnded)
    return ended


async def plays(performer: StagePerformer) -> None:
    """Assert that the session performs: its speech is played."""
    await performer.speak(speech(320, utterance_id="u", final=True))
    assert await wait_for(performer, PlaybackFinished) == PlaybackFinished(
        utterance_id="u", position_s=0.02, interrupted=False
    )


async def test_a_stage_that_hangs_is_killed_and_replaced_and_its_sessions_go_on(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with own_fleet(tmp_path, silent_s=SHORT_S) as fleet:
            one, other = await allocate(fleet, tmp_path), await allocate(fleet, tmp_path)
            (process,) = processes_of(fleet)
            process.send_signal(signal.SIGSTOP)
            for performer in (one, other):
                moved = await wait_for(performer, PerformanceMoved)
                assert isinstance(moved, PerformanceMoved) and "has not answered" in moved.detail
                await plays(performer)
            assert await process.wait() == -signal.SIGKILL
            assert fleet.capacity().sessions == 2
    assert [log["sessions"] for log in logs if log["event"] == "stage_lost"] == [2]


async def test_a_stage_in_an_endless_loop_is_killed_and_replaced(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=SHORT_S) as fleet:
        session = await allocate(fleet, tmp_path)
        (process,) = processes_of(fleet)
        magic = np.full(1600, MAGIC, "<i2").tobytes()
        speaking = asyncio.create_task(session.speak(Speech(pcm=magic, sample_rate_hz=16_000, number=1)))
        assert await process.wait() == -signal.SIGKILL
        await session.interrupt(through=1)  # or it would hang the next one
        await speaking
        await session.speak(speech(320, number=2, utterance_id="u", final=True))
        while not isinstance(end := await wait_for(session, PlaybackFinished), PlaybackFinished) or end.interrupted:
            pass
        assert end.utterance_id == "u"


async def test_sessions_of_other_stages_do_not_notice(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=SHORT_S, stages=2, sessions_per_stage=1) as fleet:
        one, other = await allocate(fleet, tmp_path), await allocate(fleet, tmp_path)
        processes_of(fleet)[0].send_signal(signal.SIGSTOP)
        await plays(other)
        await wait_for(one, PerformanceMoved)
        await plays(one)


async def test_a_silent_stage_gets_no_new_session_and_is_used_again_when_it_answers(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=FOR_EVER_S, stages=1, sessions_per_stage=4) as fleet:
        session = await allocate(fleet, tmp_path)
        (process,) = processes_of(fleet)
        process.send_signal(signal.SIGSTOP)
        await until_quiet(fleet, 0, True)
        assert fleet.problem() == "No stage process answers"
        with pytest.raises(NoCapacity, match="No stage process answers"):
            await allocate(fleet, tmp_path)
        process.send_signal(signal.SIGCONT)
        await until_quiet(fleet, 0, False)
        assert fleet.problem() is None
        await plays(session)
        await plays(await allocate(fleet, tmp_path))


async def test_a_stage_that_pauses_while_a_session_ends_gives_its_place_back(tmp_path: Path) -> None:
    async with own_fleet(tmp_path, silent_s=FOR_EVER_S, sessions_per_stage=1) as fleet:
        session = await allocate(fleet, tmp_path, "sess_1")
        (process,) = processes_of(fleet)
        process.send_signal(signal.SIGSTOP)
        with anyio.move_on_after(0.1):  # as a session that waits no longer for its performer
            await session.end()
        assert fleet.capacity().sessions == 1, "the stage may still perform it"
        process.send_signal(signal.SIGCONT)
        assert (await end_of(session)).reason == "ended"
        assert fleet.capacity().sessions == 0
        await until_quiet(fleet, 0, False)
        await plays(await allocate(fleet, tmp_path, "sess_1"))


async def test_a_stage_that_was_stopped_plays_no_burst_of_old_sound(tmp_path: Path) -> None:
    """Sound never plays faster than time passes, but for the half second that a stage makes up."""
    spoken_s, stopped_s, made_up_s = 3.0, 20.0 if FULL else 2.0, 0.5
    async with own_fleet(tmp_path, silent_s=FOR_EVER_S) as fleet:
        session = await allocate(fleet, tmp_path)
        (process,) = processes_of(fleet)
        began_s = time.monotonic()
        await session.speak(speech(int(16_000 * spoken_s), utterance_id="u", final=True))
        await wait_for(session, PlaybackStarted)
        process.send_signal(signal.SIGSTOP)
        played_s = time.monotonic() - began_s  # at most
        await asyncio.sleep(stopped_s)
        thawed_s = time.monotonic()
        process.send_signal(signal.SIGCONT)
        assert await wait_for(session, PlaybackFinished) == PlaybackFinished(
            utterance_id="u", position_s=spoken_s, interrupted=False
        )
        assert time.monotonic() - thawed_s >= spoken_s - played_s - made_up_s


async def test_places_and_sessions_that_differ_are_put_right(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with own_fleet(tmp_path, silent_s=FOR_EVER_S) as fleet:
            forgotten, gone, other = [await allocate(fleet, tmp_path, f"sess_{number}") for number in (1, 2, 3)]
            fleet._remove("sess_1")  # a place that was freed too early
            await fleet._stages[0].link.request("sess_2", 1, End())  # a session that the stage has lost
            await wait_for(gone, PerformanceMoved)
            await plays(gone)
            await until(lambda: any(log["event"] == "session_without_place" for log in logs), seen=lambda: logs)
            await until(lambda: not fleet._strays, seen=lambda: fleet._strays)
            assert fleet.capacity().sessions == 2
            await plays(await allocate(fleet, tmp_path, "sess_1"))
            await plays(other)
            assert forgotten.session_id == "sess_1"
    told = {(log["event"], log["session_id"]) for log in logs if log["event"].startswith("session_")}
    assert told == {("session_without_place", "sess_1"), ("session_not_on_its_stage", "sess_2")}


@pytest.mark.parametrize("first", ["server", "stage"])
async def test_a_server_and_its_stage_that_were_frozen_together_go_on(tmp_path: Path, first: str) -> None:
    """Suspended for longer than a stage may be silent, and thawed one after the other."""
    frozen_s, between_s = (20.0, 2.0) if FULL else (SHORT_S + 0.5, 0.5)
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.fleet_server",
        str(tmp_path),
        str(SHORT_S),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": PYTHON_PATH},
        cwd=REPOSITORY,
    )
    assert server.stdin is not None and server.stdout is not None
    stage_pid = 0
    try:
        with anyio.fail_after(WITHIN_S + frozen_s):
            stage_pid = int(await server.stdout.readline())
            pids = {"server": server.pid, "stage": stage_pid}
            for pid in pids.values():
                os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(frozen_s)
            os.kill(pids.pop(first), signal.SIGCONT)
            await asyncio.sleep(between_s)
            os.kill(next(iter(pids.values())), signal.SIGCONT)
            server.stdin.write(b"speak\n")
            assert await server.stdout.readline() == b"played 0.2\n"
            server.stdin.write(b"pid\n")
            assert int(await server.stdout.readline()) == stage_pid, "it is the same stage"
    finally:
        for pid in (server.pid, *([stage_pid] if stage_pid else [])):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        server.stdin.close()
        with anyio.move_on_after(WITHIN_S):
            await server.wait()
        if server.returncode is None:
            server.kill()
            await server.wait()
