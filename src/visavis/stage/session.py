"""One session on a stage: drives its performance against the real clock and publishes what comes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.errors import InvalidRequest, OfferRefused
from visavis.rooms.port import OpenRoom, RawPicture, RawSound, RoomSpeech, Sink, ViewerEntrance
from visavis.rooms.sinks import Sinks
from visavis.stage.encoder import AudioEncoder
from visavis.stage.motion_stream import MotionStream
from visavis.stage.parts import Avatar, Parts
from visavis.stage.performance import Performance
from visavis.stage.port.events import FirstFrameSent, PerformerEvent, PerformerMetrics, ViewerJoined, ViewerLeft
from visavis.stage.port.values import Speech
from visavis.stage.sources import PackSource
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ, SAMPLES_PER_MS, duration_ns, frame_position
from visavis.stage.video import VideoPipeline, VideoSpec

HURRY_SAMPLES = 16 * SAMPLES_PER_MS  # a frame that is so far behind is drawn in a hurry: the next one must not be late
MAX_BEHIND_NS = 500_000_000  # after a longer stall (a suspended machine) the clock starts anew instead of catching up
METRICS_EVERY_BLOCKS = 50  # one second
LEAST_RATE_HZ, MOST_RATE_HZ = 8_000, 48_000

Tell = Callable[[PerformerEvent], None]


class StageSession:
    """A running session. Everything but `run` is called between its steps, in the same event loop.

    Implements `rooms.port.RoomEvents`. What no sink wants is not made: no picture is drawn and no sound encoded.
    """

    def __init__(
        self,
        *,
        session_id: str,
        avatar: Avatar,
        video: VideoPipeline,
        parts: Parts,
        source: PackSource,
        seed: int,
        tell: Tell,
    ) -> None:
        self.session_id = session_id
        self._room: OpenRoom | None = None  # set by `enter`, before run
        self._sinks = Sinks()
        self._avatar, self._source, self._seed, self._tell = avatar, source, seed, tell
        self._performance = Performance(seed=seed, open_speech=parts.open_speech)
        self._performance.mood = video.spec.output.mood
        self._audio = AudioEncoder()
        self._video = video  # replaced by `resize` and by `set_output`
        self._changing_video = asyncio.Lock()  # one change at a time, in the order in which they are asked for
        self._motion: MotionStream | None = None  # while the service wants it
        self._last_number = 0  # the highest number of a piece of speech that has come
        self._frame = 0  # the number of the next frame
        self._block_taken = asyncio.Event()  # replaced with every block
        self._frames = self._late_frames = self._hurried_frames = 0
        self._latencies_ms: list[float] = []

    # --- the room
    def enter(self, room: OpenRoom) -> None:
        """Perform in this room from now on; `leave` closes it."""
        self._room = room
        self.add_sink(room.sink)

    def add_sink(self, sink: Sink) -> None:
        """Publish to another sink, too, a recorder for instance; `leave` closes it."""
        self._sinks.add(sink)

    async def leave(self) -> None:
        """Close the room, and every other sink."""
        await self._sinks.aclose()

    @property
    def entrance(self) -> ViewerEntrance:
        """Where viewers come in. Raises `OfferRefused` for a room that admits its viewers itself."""
        if self._room is None or self._room.entrance is None:
            raise OfferRefused("This session's room admits its viewers itself")
        return self._room.entrance

    # --- the room's events
    def viewer_joined(self, viewer_id: str, viewers: int) -> None:
        self._tell(ViewerJoined(viewer_id=viewer_id, viewers=viewers))

    def viewer_left(self, viewer_id: str, viewers: int) -> None:
        self._tell(ViewerLeft(viewer_id=viewer_id, viewers=viewers))

    def keyframe_wanted(self, *, joining: bool) -> None:
        self._video.encoder.want_keyframe(joining=joining)

    def first_frame_sent(self) -> None:
        self._tell(FirstFrameSent())

    def speech_arrived(self, speech: RoomSpeech) -> None:
        self.speak(
            Speech(
                pcm=speech.pcm,
                sample_rate_hz=speech.sample_rate_hz,
                number=self._last_number + 1,
                utterance_id=speech.segment_id,
                final=speech.final,
            )
        )

    def interrupted(self) -> None:
        self._drop_speech(through=self._last_number)

    # --- what the session is asked to do
    def speak(self, speech: Speech) -> str:
        """Queue a piece of speech and return the id of its utterance.

        Raises `QueueFull`, and `InvalidRequest` for an odd number of bytes or a rate out of bounds.
        """
        if len(speech.pcm) % 2:
            raise InvalidRequest("PCM16 has an even number of bytes")
        if not LEAST_RATE_HZ <= speech.sample_rate_hz <= MOST_RATE_HZ:
            raise InvalidRequest(f"sample_rate is {LEAST_RATE_HZ} to {MOST_RATE_HZ}")
        self._last_number = max(self._last_number, speech.number)
        return self._performance.speak(speech, now_ns=time.monotonic_ns())

    async def interrupt(self, *, through: int) -> None:
        """Drop all speech up to the piece `through`; return when the fade has been sent and the lips go to rest."""
        self._drop_speech(through=through)
        await self._block_taken.wait()

    def _drop_speech(self, *, through: int) -> None:
        self._last_number = max(self._last_number, through)
        self._performance.interrupt(through=through)
        self._sinks.drop_backlog()

    def set_state(self, state: SettableState) -> None:
        self._performance.set_state(state)

    def stream_motion(self, on: bool) -> None:
        """Tell the motion from now on, or no more."""
        if on and self._motion is None:
            self._motion = MotionStream(self._performance, seed=self._seed)
        elif not on and self._motion is not None:
            self._motion.close()
            self._motion = None

    async def resize(self, *, width_px: int, height_px: int) -> None:
        """Change the picture's size: the old picture goes on until the new one is laid out."""
        async with self._changing_video:
            spec = self._video.spec
            if (width_px, height_px) != (spec.width_px, spec.height_px):
                await self._change_video(replace(spec, width_px=width_px, height_px=height_px))

    async def set_output(self, output: Output) -> None:
        """Change the output: the old picture goes on until the new one is laid out.

        Raises `BackgroundRefused`, and then nothing has changed.
        """
        async with self._changing_video:
            before = self._video.spec
            if (output.backdrop, output.framing) != (before.output.backdrop, before.output.framing):
                image = await background_of(output, session_id=self.session_id, source=self._source)
                await self._change_video(replace(before, output=output, image=image))
            self._performance.mood = output.mood

    async def _change_video(self, spec: VideoSpec) -> None:
        video = await asyncio.to_thread(VideoPipeline.build, self._avatar, spec)
        video.encoder.want_keyframe(joining=True)
        self._video = video

    # --- the clock
    async def run(self) -> None:
        """Perform until cancelled."""
        try:
            await self._run()
        finally:
            self._block_taken.set()  # nobody waits for a block that does not come

    async def _run(self) -> None:
        origin_ns = time.monotonic_ns()
        while True:
            block_at = self._performance.position
            frame_at = frame_position(self._frame, self._video.spec.fps)
            # A frame is shown within a block that has been taken: a block goes before a frame of the same instant.
            due_at = min(block_at, frame_at)
            wait_ns = origin_ns + duration_ns(due_at) - time.monotonic_ns()
            if wait_ns > 0:
                await asyncio.sleep(wait_ns / 1e9)
            else:
                if -wait_ns > MAX_BEHIND_NS:
                    origin_ns -= wait_ns
                await asyncio.sleep(0)  # what was published leaves before more is made
            if block_at <= frame_at:
                self._perform_block()
            else:
                behind = (time.monotonic_ns() - origin_ns) * PLAYOUT_RATE_HZ // 1_000_000_000
                late = frame_position(self._frame + 1, self._video.spec.fps) <= behind
                self._perform_frame(frame_at, late=late, hurried=behind - frame_at > HURRY_SAMPLES)

    def _perform_block(self) -> None:
        position = self._performance.position
        block = self._performance.next_block()
        if self._sinks.want("encoded"):
            self._sinks.publish(self._audio.encode(block, position))
        if self._sinks.want("raw"):
            self._sinks.publish(RawSound(samples=block, position=position))
        for event in self._performance.events():
            self._tell(event)
        if self._motion:
            for motion in self._motion.step():
                self._tell(motion)
        if position // BLOCK_SAMPLES % METRICS_EVERY_BLOCKS == METRICS_EVERY_BLOCKS - 1:
            self._tell_metrics()
        self._block_taken.set()
        self._block_taken = asyncio.Event()

    def _perform_frame(self, position: int, *, late: bool, hurried: bool) -> None:
        self._frame += 1
        face = self._performance.face(position)
        encoded_wanted, raw_wanted = self._sinks.want("encoded"), self._sinks.want("raw")
        if not (encoded_wanted or raw_wanted):
            return
        if late:  # the next frame is due already: the viewer sees the last picture a little longer
            self._late_frames += 1
            return
        picture = self._video.renderer.render(face.motion, hurried=hurried)
        self._frames += 1
        self._hurried_frames += hurried
        if raw_wanted:
            self._sinks.publish(RawPicture(pixels=picture, position=position))
        packet = self._video.encoder.encode(picture, position) if encoded_wanted else None
        if packet is not None:
            self._sinks.publish(packet)
        if face.arrived_ns is not None and (packet is not None or raw_wanted):
            self._latencies_ms.append((time.monotonic_ns() - face.arrived_ns) / 1e6)

    def _tell_metrics(self) -> None:
        p50 = p95 = None
        if self._latencies_ms:
            p50, p95 = (round(float(p), 1) for p in np.percentile(self._latencies_ms, (50, 95)))
        self._tell(
            PerformerMetrics(
                frames=self._frames,
                late_frames=self._late_frames,
                hurried_frames=self._hurried_frames,
                queued_s=round(self._performance.queued_samples / PLAYOUT_RATE_HZ, 3),
                sample_to_frame_ms_p50=p50,
                sample_to_frame_ms_p95=p95,
            )
        )
        self._frames = self._late_frames = self._hurried_frames = 0
        self._latencies_ms.clear()


async def background_of(output: Output, *, session_id: str, source: PackSource) -> Path | None:
    """Return the file of the picture behind the avatar, None where there is none. Raises `BackgroundRefused`."""
    picture_id = output.backdrop.picture_id
    return None if picture_id is None else await source.picture(session_id, picture_id)
