"""A session on a stage with several sinks, and with a room that sends speech: which media are made, and which sink gets
them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import anyio
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rooms.recorders import EncodedRecorder, RawRecorder
from tests.stage.flashing_parts import FlashingRenderer, parts
from visavis.engine.motion.frame import MotionFrame
from visavis.engine.output import DEFAULT_OUTPUT
from visavis.engine.pack_ref import PackRef
from visavis.errors import InvalidRequest, OfferRefused
from visavis.rooms.port import AudienceFigures, EncodedPacket, LostSegment, OpenRoom, RoomAnswer, RoomSpeech
from visavis.rooms.spec import LiveKitRoomSpec
from visavis.stage.encoder import VideoEncoder
from visavis.stage.first_words import SETTLE_SAMPLES
from visavis.stage.port.events import (
    PerformerEvent,
    PerformerMetrics,
    PlaybackFinished,
    PlaybackStarted,
    RoomTokenRefreshed,
    SegmentsOpen,
)
from visavis.stage.port.so_far import PerformanceSoFar, SegmentSoFar
from visavis.stage.port.values import PerformanceSpec
from visavis.stage.session import StageSession
from visavis.stage.sources import FolderPackSource
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ
from visavis.stage.turns import Turns
from visavis.stage.video import VideoPipeline, VideoSpec

WIDTH_PX, HEIGHT_PX = 64, 48
WHITE, LOUD = 100, 2000
STARTED_WITHIN_BLOCKS = 4  # 80 ms


class CountingRenderer(FlashingRenderer):
    drawn = 0

    def render(self, motion: MotionFrame, *, hurried: bool = False) -> NDArray[np.uint8]:
        self.drawn += 1
        return super().render(motion, hurried=hurried)


class CountingEncoder(VideoEncoder):
    encoded = 0

    def encode(self, picture: NDArray[np.uint8], position: int) -> EncodedPacket | None:
        self.encoded += 1
        return super().encode(picture, position)


class Harness:
    """A running session with a renderer and an encoder that count."""

    def __init__(self) -> None:
        self.renderer = CountingRenderer(WIDTH_PX, HEIGHT_PX)
        self.encoder = CountingEncoder(width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=25)
        self.events: list[PerformerEvent] = []
        self._event_added = asyncio.Event()
        spec = VideoSpec(width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=25, output=DEFAULT_OUTPUT)
        avatar = parts().load_avatar(Path.cwd())
        video = replace(VideoPipeline.build(avatar, spec), renderer=self.renderer, encoder=self.encoder)
        self.session = StageSession(
            session_id="sess_1",
            avatar=avatar,
            video=video,
            parts=parts(),
            source=FolderPackSource(Path.cwd()),
            seed=1,
            emit=self._emit,
        )
        self.session.stream_motion(True)

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait until `happened` returns true. It is called after every event; motion events come several times a
        second.
        """
        while not happened():
            self._event_added.clear()
            await self._event_added.wait()

    def _emit(self, event: PerformerEvent) -> None:
        self.events.append(event)
        self._event_added.set()


def perform(scenario: Callable[[Harness], Awaitable[None]]) -> None:
    async def bounded() -> None:
        harness = Harness()
        with anyio.fail_after(20):
            turns = Turns()
            running = [asyncio.create_task(turns.run()), asyncio.create_task(harness.session.run(turns))]
            try:
                await scenario(harness)
            finally:
                for task in running:
                    task.cancel()
                await harness.session.close_sinks()

    asyncio.run(bounded())


def tone(duration_ms: int) -> bytes:
    return bytes((np.sin(2 * np.pi * 500 * np.arange(duration_ms * 16) / 16_000) * 9000).astype("<i2"))


def test_a_room_and_a_recorder_get_the_same_pictures_which_are_drawn_once() -> None:
    async def scenario(harness: Harness) -> None:
        raw = RawRecorder()
        encoded = EncodedRecorder.open(harness.session)
        harness.session.enter_room(OpenRoom(sink=encoded))
        harness.session.add_sink(raw)

        def twelve_are_drawn() -> bool:
            encoded.write()
            raw.write()
            return harness.renderer.drawn >= 12

        await harness.until(twelve_are_drawn)
        packet_positions = [packet.position for packet in encoded.written if packet.kind == "video"]
        picture_positions = [position for position, _ in raw.pictures]
        assert packet_positions == picture_positions
        assert len(picture_positions) == harness.renderer.drawn == harness.encoder.encoded
        assert len(raw.sound) == len([packet for packet in encoded.written if packet.kind == "audio"]) > 20
        await harness.session.close_sinks()
        assert not raw.watched and not encoded.watched

    perform(scenario)


class LosingAudience:
    """Loses packets, and takes half of the bit rate, except at the beginning."""

    asked = 0

    def figures(self) -> AudienceFigures:
        self.asked += 1
        if self.asked == 1:
            return AudienceFigures()
        return AudienceFigures(viewers=((20.0, 0.0), (40.0, 0.2)), bit_rate_share=0.5, struggling=1)


def test_pictures_and_sound_follow_what_viewers_report() -> None:
    async def scenario(harness: Harness) -> None:
        encoded = EncodedRecorder.open(harness.session)
        harness.session.enter_room(OpenRoom(sink=encoded, audience=LosingAudience()))

        def fourth_second() -> bool:
            encoded.write()
            return len([event for event in harness.events if isinstance(event, PerformerMetrics)]) >= 3

        await harness.until(fourth_second)
        keyframes = [packet.position for packet in encoded.written if packet.kind == "video" and packet.keyframe]
        assert harness.encoder.share == 0.5 and len(keyframes) == 2, "it is changed once"
        sound = [packet.data for packet in encoded.written if packet.kind == "audio"]
        celt_alone = [data[0] & 0x80 != 0 for data in sound]  # RFC 6716, section 3.1: it cannot carry redundancy
        assert celt_alone[0] and not celt_alone[-1]
        last = next(event for event in reversed(harness.events) if isinstance(event, PerformerMetrics))
        assert (last.bit_rate_share, last.struggling) == (0.5, 1)

    perform(scenario)


def test_frames_keep_their_exact_positions_when_the_pace_changes() -> None:
    async def scenario(harness: Harness) -> None:
        raw = RawRecorder()
        harness.session.add_sink(raw)

        async def drawn(count: int) -> list[int]:
            raw.write()
            before = len(raw.pictures)

            def are_drawn() -> bool:
                raw.write()
                return len(raw.pictures) >= before + count

            await harness.until(are_drawn)
            return [position for position, _ in raw.pictures[before:]]

        first = await drawn(3)
        harness.session.set_pace(4)
        slow = await drawn(4)
        harness.session.set_pace(0)
        last = await drawn(3)
        positions = first + slow + last
        assert all(position % 1920 == 0 for position in first)
        assert all((after - before) % 4800 == 0 for before, after in pairwise(slow))
        assert (last[-1] - last[-2]) % 1920 == 0
        assert positions == sorted(set(positions))
        assert np.diff([position for position, _ in raw.sound]).tolist() == [960] * (len(raw.sound) - 1)

    perform(scenario)


def test_media_that_no_sink_wants_are_not_made() -> None:
    async def scenario(harness: Harness) -> None:
        raw = RawRecorder()
        harness.session.add_sink(raw)
        await harness.until(lambda: harness.renderer.drawn >= 5)
        assert not harness.encoder.encoded, "no sink takes packets"
        raw.watched = False
        drawn = harness.renderer.drawn
        before = len(harness.events)
        await harness.until(lambda: len(harness.events) >= before + 5)
        assert harness.renderer.drawn == drawn, "the sink is not watched"

    perform(scenario)


def test_whoever_begins_to_watch_gets_the_picture_of_now_and_not_the_next_one() -> None:
    async def scenario(harness: Harness) -> None:
        session = harness.session
        recorder = EncodedRecorder(session)
        recorder.watched = False
        session.add_sink(recorder)
        await harness.until(lambda: session._undrawn is not None and session._undrawn[0] > 0)
        assert session._undrawn is not None and not harness.renderer.drawn
        now, _ = session._undrawn
        recorder.watched = True
        session.keyframe_wanted(joining=True)
        await harness.until(lambda: harness.encoder.encoded >= 3)
        recorder.write()
        pictures = [packet for packet in recorder.written if packet.kind == "video"]
        assert [packet.keyframe for packet in pictures[:2]] == [True, False]
        assert pictures[0].position == now < pictures[1].position

    perform(scenario)


def test_a_change_of_size_begins_with_a_keyframe() -> None:
    async def scenario(harness: Harness) -> None:
        recorder = EncodedRecorder.open(harness.session)
        harness.session.enter_room(OpenRoom(sink=recorder))

        def keyframes() -> list[EncodedPacket]:
            recorder.write()
            return [packet for packet in recorder.written if packet.kind == "video" and packet.keyframe]

        await harness.until(lambda: harness.encoder.encoded >= 3 and len(keyframes()) == 1)
        await harness.session.resize(width_px=2 * WIDTH_PX, height_px=2 * HEIGHT_PX)
        await harness.until(lambda: len(keyframes()) == 2)
        first = keyframes()[1]
        size = first.data[6:10]  # RFC 6386, section 9.1
        assert (int.from_bytes(size[:2], "little"), int.from_bytes(size[2:], "little")) == (2 * WIDTH_PX, 2 * HEIGHT_PX)
        pictures = [packet for packet in recorder.written if packet.kind == "video"]
        assert pictures.index(first) == harness.encoder.encoded, "all pictures before it are of the old size"

    perform(scenario)


def test_speech_from_a_room_is_spoken_until_the_room_interrupts() -> None:
    async def scenario(harness: Harness) -> None:
        raw = RawRecorder()
        harness.session.enter_room(OpenRoom(sink=raw))

        def is_speaking() -> bool:
            raw.write()
            return (
                bool(raw.pictures)
                and raw.pictures[-1][1][HEIGHT_PX // 2 : HEIGHT_PX].mean() > WHITE
                and np.abs(raw.sound[-1][1]).max() > LOUD
            )

        harness.session.speech_arrived(
            RoomSpeech(pcm=tone(4000), sample_rate_hz=16_000, segment_id="segment", final=False)
        )
        await harness.until(is_speaking)
        harness.session.interrupted()
        await harness.until(lambda: any(isinstance(event, PlaybackFinished) for event in harness.events))
        await harness.until(lambda: not is_speaking() and np.abs(raw.sound[-1][1]).max() == 0)
        playback = [event for event in harness.events if isinstance(event, PlaybackStarted | PlaybackFinished)]
        assert playback[0] == PlaybackStarted(utterance_id="segment")
        assert isinstance(playback[1], PlaybackFinished) and playback[1].interrupted and playback[1].position_s < 4

    perform(scenario)


def test_first_words_wait_for_a_user_whoever_else_watches() -> None:
    async def scenario(harness: Harness) -> None:
        raw = RawRecorder()
        harness.session.enter_room(OpenRoom(sink=raw, agent_side=Told()))
        harness.session.viewer_joined("agent", 1)
        harness.session.hold_for_viewer(15)
        harness.session.speech_arrived(RoomSpeech(pcm=tone(200), sample_rate_hz=16_000, segment_id="s", final=True))
        harness.session.viewer_joined("recorder", 2)

        def blocks() -> int:
            raw.write()
            return len(raw.sound)

        await harness.until(lambda: blocks() >= 40)  # longer than a viewer needs to begin to play
        user_came_at = blocks()
        assert PlaybackStarted(utterance_id="s") not in harness.events
        harness.session.user_came()
        await harness.until(lambda: any(isinstance(event, PlaybackFinished) for event in harness.events))
        blocks()
        loud = [number for number, (_, block) in enumerate(raw.sound) if np.abs(block).max() > LOUD]
        assert loud[0] >= user_came_at + SETTLE_SAMPLES // BLOCK_SAMPLES - 1

    perform(scenario)


def test_a_room_gets_an_error_for_speech_that_cannot_be_queued() -> None:
    async def scenario(harness: Harness) -> None:
        harness.session.enter_room(OpenRoom(sink=RawRecorder()))
        with pytest.raises(InvalidRequest):
            harness.session.speech_arrived(RoomSpeech(pcm=b"even", sample_rate_hz=4_000, segment_id="segment"))
        with pytest.raises(OfferRefused, match="admits its viewers itself"):
            _ = harness.session.entrance

    perform(scenario)


class Told:
    """An agent's side of a room. `lost`: the segments whose ends it was to tell."""

    def __init__(self) -> None:
        self.finished: list[str] = []
        self.lost: list[LostSegment] = []

    def speech_started(self, utterance_id: str) -> None: ...

    def speech_finished(self, utterance_id: str, *, position_s: float, interrupted: bool) -> None:
        self.finished.append(utterance_id)

    def segments_lost(self, lost: Iterable[LostSegment]) -> None:
        self.lost += lost

    def answer(self, answer: RoomAnswer) -> None: ...

    def tell(self, state: str, *, reason: str, seconds_left: int | None = None) -> None: ...


def test_a_room_is_told_of_the_beginning_of_speech_with_its_first_sound() -> None:
    async def scenario(harness: Harness) -> None:
        raw = RawRecorder()
        told_at: list[int] = []  # the block that was published last

        class Telling(Told):
            def speech_started(self, utterance_id: str) -> None:
                raw.write()
                told_at.append(len(raw.sound) - 1)

        told = Telling()

        def is_quiet_after(segments: int) -> bool:
            raw.write()
            return len(told.finished) == segments and bool(raw.sound) and not raw.sound[-1][1].any()

        harness.session.enter_room(OpenRoom(sink=raw, agent_side=told))
        for before, segment_id in enumerate(("one", "two")):
            await harness.until(partial(is_quiet_after, before))
            speech = RoomSpeech(pcm=tone(200), sample_rate_hz=16_000, segment_id=segment_id, final=True)
            harness.session.speech_arrived(speech)
        await harness.until(partial(is_quiet_after, 2))
        loud = [bool(np.abs(block).max() > LOUD) for _, block in raw.sound]
        begins = [at for at in range(1, len(loud)) if loud[at] and not loud[at - 1]]
        assert len(begins) == 2
        assert np.abs(np.array(told_at) - begins).max() <= STARTED_WITHIN_BLOCKS

    perform(scenario)


def test_the_segments_of_a_room_that_are_lost_with_their_stage_end_on_the_next_one() -> None:
    spec = PerformanceSpec(session_id="sess_1", pack=PackRef(avatar_id="avat_1", version=1, digest="0" * 64))

    async def scenario(harness: Harness) -> None:
        told = Told()
        harness.session.enter_room(OpenRoom(sink=RawRecorder(), agent_side=told))
        harness.session.segments_changed({"s": "agent"})
        harness.session.speech_arrived(RoomSpeech(pcm=tone(4000), sample_rate_hz=16_000, segment_id="s"))
        await harness.until(lambda: PlaybackStarted(utterance_id="s") in harness.events)
        held = harness.session.held(spec, memo=b"").performance
        assert held is not None and held.utterances == ()
        assert [(one.segment_id, one.agent) for one in held.segments] == [("s", "agent")]
        assert SegmentsOpen(agents={"s": "agent"}) in harness.events

        lost = SegmentSoFar(segment_id="earlier", agent="agent", played_samples=PLAYOUT_RATE_HZ // 2)
        harness.session.go_on(PerformanceSoFar(spec=spec, segments=(lost,)), position_ns=None)
        assert told.lost == [LostSegment(agent="agent", position_s=0.5)]
        assert PlaybackFinished(utterance_id="earlier", position_s=0.5, interrupted=True) in harness.events

    perform(scenario)


def test_a_stage_tells_the_next_server_the_newest_token_of_its_room() -> None:
    room = LiveKitRoomSpec(url="wss://livekit.example.com", token="first")
    spec = PerformanceSpec(session_id="sess_1", pack=PackRef(avatar_id="avat_1", version=1, digest="0" * 64), room=room)

    async def scenario(harness: Harness) -> None:
        assert harness.session.held(spec, memo=b"").spec.room == room
        harness.session.token_refreshed("second")
        held = harness.session.held(spec, memo=b"")
        assert held.performance is not None
        assert held.spec.room == held.performance.spec.room == msgspec.structs.replace(room, token="second")
        assert RoomTokenRefreshed(token="second") in harness.events

    perform(scenario)


def test_a_session_that_goes_on_has_lasted_since_its_beginning_elsewhere() -> None:
    """However long its opening here took."""

    async def scenario(harness: Harness) -> None:
        spec = PerformanceSpec(session_id="sess_1", pack=PackRef(avatar_id="avat_1", version=1, digest="0" * 64))
        await harness.until(lambda: True)
        assert harness.session.held(spec, memo=b"").performed_s < 20
        so_far = PerformanceSoFar(spec=spec, position=100 * PLAYOUT_RATE_HZ)
        harness.session.go_on(so_far, position_ns=None)
        assert 100 <= harness.session.held(spec, memo=b"").performed_s < 120
        harness.session.go_on(so_far, position_ns=time.monotonic_ns() - 50 * 10**9)  # it was on its way for so long
        assert 150 <= harness.session.held(spec, memo=b"").performed_s < 170

    perform(scenario)
