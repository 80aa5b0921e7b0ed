"""A session on stage with several sinks, and with a room that brings speech in: what is made, and who gets it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rooms.recorders import EncodedRecorder, RawRecorder
from tests.stage.flashing_parts import FlashingRenderer, parts
from visavis.engine.motion.frame import MotionFrame
from visavis.engine.output import DEFAULT_OUTPUT
from visavis.errors import InvalidRequest, OfferRefused
from visavis.rooms.port import EncodedPacket, OpenRoom, RoomSpeech
from visavis.stage.encoder import VideoEncoder
from visavis.stage.port.events import PerformerEvent, PlaybackFinished, PlaybackStarted
from visavis.stage.session import StageSession
from visavis.stage.sources import FolderPackSource
from visavis.stage.video import VideoPipeline, VideoSpec

WIDTH_PX, HEIGHT_PX = 64, 48
WHITE, LOUD = 100, 2000


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


class Stand:
    """A running session with a renderer and an encoder that count."""

    def __init__(self) -> None:
        self.renderer = CountingRenderer(WIDTH_PX, HEIGHT_PX)
        self.encoder = CountingEncoder(width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=25)
        self.told: list[PerformerEvent] = []
        self._anything_told = asyncio.Event()
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
            tell=self._tell,
        )
        self.session.stream_motion(True)

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for something; looked at whenever motion is told, several times a second."""
        while not happened():
            self._anything_told.clear()
            await self._anything_told.wait()

    def _tell(self, event: PerformerEvent) -> None:
        self.told.append(event)
        self._anything_told.set()


def perform(scenario: Callable[[Stand], Awaitable[None]]) -> None:
    async def bounded() -> None:
        stand = Stand()
        with anyio.fail_after(20):
            running = asyncio.create_task(stand.session.run())
            try:
                await scenario(stand)
            finally:
                running.cancel()
                await stand.session.leave()

    asyncio.run(bounded())


def tone(duration_ms: int) -> bytes:
    return bytes((np.sin(2 * np.pi * 500 * np.arange(duration_ms * 16) / 16_000) * 9000).astype("<i2"))


def test_a_room_and_a_recorder_get_the_same_pictures_drawn_once() -> None:
    async def scenario(stand: Stand) -> None:
        raw = RawRecorder()
        encoded = EncodedRecorder.open(stand.session)
        stand.session.enter(OpenRoom(sink=encoded))
        stand.session.add_sink(raw)

        def twelve_are_drawn() -> bool:
            encoded.write()
            raw.write()
            return stand.renderer.drawn >= 12

        await stand.until(twelve_are_drawn)
        of_packets = [packet.position for packet in encoded.written if packet.kind == "video"]
        of_pictures = [position for position, _ in raw.pictures]
        assert of_packets == of_pictures and len(of_pictures) == stand.renderer.drawn == stand.encoder.encoded
        assert len(raw.sound) == len([packet for packet in encoded.written if packet.kind == "audio"]) > 20
        await stand.session.leave()
        assert not raw.watched and not encoded.watched

    perform(scenario)


def test_what_no_sink_wants_is_not_made() -> None:
    async def scenario(stand: Stand) -> None:
        raw = RawRecorder()
        stand.session.add_sink(raw)
        await stand.until(lambda: stand.renderer.drawn >= 5)
        assert not stand.encoder.encoded, "nobody takes packets"
        raw.watched = False
        drawn = stand.renderer.drawn
        before = len(stand.told)
        await stand.until(lambda: len(stand.told) >= before + 5)
        assert stand.renderer.drawn == drawn, "nobody watches"

    perform(scenario)


def test_speech_from_a_room_is_spoken_until_the_room_interrupts() -> None:
    async def scenario(stand: Stand) -> None:
        raw = RawRecorder()
        stand.session.enter(OpenRoom(sink=raw))

        def is_speaking() -> bool:
            raw.write()
            return (
                bool(raw.pictures)
                and raw.pictures[-1][1][HEIGHT_PX // 2 : HEIGHT_PX].mean() > WHITE
                and np.abs(raw.sound[-1][1]).max() > LOUD
            )

        stand.session.speech_arrived(
            RoomSpeech(pcm=tone(4000), sample_rate_hz=16_000, segment_id="segment", final=False)
        )
        await stand.until(is_speaking)
        stand.session.interrupted()
        await stand.until(lambda: any(isinstance(event, PlaybackFinished) for event in stand.told))
        await stand.until(lambda: not is_speaking() and np.abs(raw.sound[-1][1]).max() == 0)
        playback = [event for event in stand.told if isinstance(event, PlaybackStarted | PlaybackFinished)]
        assert playback[0] == PlaybackStarted(utterance_id="segment")
        assert isinstance(playback[1], PlaybackFinished) and playback[1].interrupted and playback[1].position_s < 4

    perform(scenario)


def test_a_room_is_told_of_speech_that_cannot_be_queued() -> None:
    async def scenario(stand: Stand) -> None:
        stand.session.enter(OpenRoom(sink=RawRecorder()))
        for refused in (
            RoomSpeech(pcm=b"odd", sample_rate_hz=16_000, segment_id="segment"),
            RoomSpeech(pcm=b"even", sample_rate_hz=4_000, segment_id="segment"),
        ):
            with pytest.raises(InvalidRequest):
                stand.session.speech_arrived(refused)
        with pytest.raises(OfferRefused, match="admits its viewers itself"):
            _ = stand.session.entrance

    perform(scenario)
