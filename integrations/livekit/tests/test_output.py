"""The agent's output and its calls without a room: what they do while answers are on their way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities
from livekit.plugins.visavis import output as output_module
from livekit.plugins.visavis.calls import PAUSE_TRIES, AvatarCalls
from livekit.plugins.visavis.output import AvatarOutput

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(10)]

FRAME = rtc.AudioFrame(bytes(960), 24_000, 1, 480)


class Participant:
    """Answers each call when the test says so. `made`: the methods that were called, in order."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self._answers: dict[int, asyncio.Future[str]] = {}

    async def perform_rpc(self, *, method: str, **_: Any) -> str:
        number = len(self.made)
        self.made.append(method)
        self._answers[number] = asyncio.get_running_loop().create_future()
        return await self._answers[number]

    async def until(self, count: int) -> None:
        while len(self.made) < count:  # noqa: ASYNC110  # within one step of the event loop or two
            await asyncio.sleep(0)

    async def answer(self, number: int, error: rtc.RpcError | None = None) -> None:
        await self.until(number + 1)
        if error is None:
            self._answers[number].set_result("ok")
        else:
            self._answers[number].set_exception(error)
        await settle()


class Sink(AudioOutput):
    """The avatar, as the library's output to it: it tells what has become of segments when the test says so."""

    def __init__(self) -> None:
        super().__init__(label="sink", capabilities=AudioOutputCapabilities(pause=False))
        self.frames = self.clears = 0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self.frames += 1

    def flush(self) -> None:
        super().flush()

    def clear_buffer(self) -> None:
        self.clears += 1


async def settle() -> None:
    """Let what is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def participant() -> Participant:
    return Participant()


@pytest.fixture
def calls(participant: Participant) -> AvatarCalls:
    room: Any = SimpleNamespace(local_participant=participant)
    return AvatarCalls(room, "avatar")


async def test_a_pause_waits_for_no_other_call(calls: AvatarCalls, participant: Participant) -> None:
    calls.send("visavis.output", {"emotion": "happy"})
    calls.send("visavis.state", {"state": "thinking"})
    calls.pause(True)
    await settle()
    assert sorted(participant.made) == ["visavis.output", "visavis.pause"], "others keep their order"
    await calls.aclose()


async def test_of_pauses_the_last_one_holds_and_nothing_is_sent_in_vain(
    calls: AvatarCalls, participant: Participant
) -> None:
    calls.pause(False)  # as before each sentence
    await settle()
    assert participant.made == []
    for on in (True, False, True, False):
        calls.pause(on)
        await settle()
    assert participant.made == ["visavis.pause"]
    await participant.answer(0)
    await participant.answer(1)
    assert participant.made == ["visavis.pause", "visavis.resume"]
    calls.pause(False)
    await settle()
    assert len(participant.made) == 2
    await calls.aclose()


async def test_a_resume_that_nobody_answers_is_tried_again_within_limits(
    calls: AvatarCalls, participant: Participant
) -> None:
    silent = rtc.RpcError(1501, "Connection timeout")
    calls.pause(True)
    await participant.answer(0)
    calls.pause(False)
    for number in range(1, 1 + PAUSE_TRIES):
        await participant.answer(number, silent)
    assert participant.made == ["visavis.pause", *["visavis.resume"] * PAUSE_TRIES]
    calls.pause(False)  # the next sentence: whether the avatar pauses is not known
    await participant.answer(1 + PAUSE_TRIES)
    assert participant.made[-1] == "visavis.resume"
    await calls.aclose()


async def test_an_interruption_ends_the_pause_of_what_it_interrupts() -> None:
    sink, paused = Sink(), list[bool]()
    output = AvatarOutput(sink, pause_avatar=paused.append)
    output.open()
    await output.capture_frame(FRAME)
    output.flush()
    output.pause()
    output.clear_buffer()
    assert sink.clears == 1 and paused == [True], "while the clear is on its way nothing may sound again"
    sink.on_playback_finished(playback_position=0.01, interrupted=True)
    assert paused == [True, False]
    output.aclose()


async def test_a_segment_that_begins_in_a_pause_waits_and_an_interruption_drops_it() -> None:
    sink, paused, ends = Sink(), list[bool](), list[bool]()
    output = AvatarOutput(sink, pause_avatar=paused.append)
    output.on("playback_finished", lambda event: ends.append(event.interrupted))
    output.open()
    for resumes in (True, False):
        output.pause()
        capturing = asyncio.create_task(output.capture_frame(FRAME))
        await settle()
        assert not capturing.done() and paused == [] and sink.frames == 0
        if not resumes:
            break
        output.resume()
        await capturing
        output.flush()
        sink.on_playback_finished(playback_position=0.02, interrupted=False)
        paused.clear()
        sink.frames = 0
    output.clear_buffer()
    await capturing
    assert sink.frames == 0 and ends == [False, True]
    output.aclose()


@pytest.mark.parametrize("ends_late", [True, False])
async def test_a_segment_that_was_given_up_holds_up_no_other_whether_it_ends_late_or_never(
    ends_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_module, "CLEARED_WITHIN_S", 0.0)
    sink, ends = Sink(), list[tuple[float, bool]]()
    output = AvatarOutput(sink, pause_avatar=lambda _: None)
    output.on("playback_finished", lambda event: ends.append((event.playback_position, event.interrupted)))
    output.open()
    await output.capture_frame(FRAME)
    output.flush()
    output.clear_buffer()
    while not ends:  # noqa: ASYNC110  # within one step of the event loop or two
        await asyncio.sleep(0)
    await output.capture_frame(FRAME)
    output.flush()
    if ends_late:
        sink.on_playback_finished(playback_position=0.01, interrupted=True)
    assert ends == [(0.0, True)], "the late end is not that of the next segment"
    sink.on_playback_finished(playback_position=0.02, interrupted=False)
    assert ends == [(0.0, True), (0.02, False)]
    output.aclose()
