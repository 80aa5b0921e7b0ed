"""One session on stage: drives its performance against the real clock and sends what comes of it to its room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from visavis.engine.motion.frame import COEFFICIENTS, MotionFrame
from visavis.engine.motion.mood import Mood
from visavis.engine.output import Output, mood_of
from visavis.engine.render.port import Renderer
from visavis.engine.speech.phones import TimedViseme
from visavis.errors import InvalidRequest
from visavis.rooms.port import OpenRoom, RawPicture, RawSound, RoomSpeech
from visavis.rooms.sinks import Sinks
from visavis.stage import messages
from visavis.stage.encoder import AudioEncoder, VideoEncoder
from visavis.stage.motion_stream import Motion, MotionCut, MotionStream, seconds
from visavis.stage.parts import Avatar, Parts
from visavis.stage.performance import Happening, Performance, StateChanged
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ, SAMPLES_PER_MS, duration_ns, frame_position
from visavis.stage.utterances import Ended, Started

HURRY_SAMPLES = 16 * SAMPLES_PER_MS  # a frame that is so far behind is drawn in a hurry: the next one must not be late
MAX_BEHIND_NS = 500_000_000  # after a longer stall (a suspended machine) the clock starts anew instead of catching up
BEFORE_ALL = -PLAYOUT_RATE_HZ  # the position of the picture that warms an encoder up
METRICS_EVERY_BLOCKS = 50  # one second

Tell = Callable[[messages.Event], None]


class Camera:
    """One size of a session's picture: its renderer and its encoder, warm, so that the first viewer waits
    for neither.
    """

    def __init__(self, renderer: Renderer, encoder: VideoEncoder) -> None:
        self.renderer, self.encoder = renderer, encoder

    @classmethod
    def set_up(
        cls, avatar: Avatar, *, width_px: int, height_px: int, fps: int, output: Output, image: Path | None
    ) -> Camera:
        """Lay the avatar out and draw and encode one picture: half a second of work, for a thread. Raises
        `BackgroundRefused`.
        """
        renderer = avatar.renderer(
            width_px=width_px, height_px=height_px, backdrop=output.backdrop, framing=output.framing, image=image
        )
        encoder = VideoEncoder(width_px=width_px, height_px=renderer.picture_height_px, fps=fps)
        encoder.encode(renderer.render(MotionFrame(coefficients=np.zeros(len(COEFFICIENTS), np.float32))), BEFORE_ALL)
        return cls(renderer, encoder)


class Show:
    """A running session. Everything but `run` is called between its steps, in the same event loop."""

    def __init__(
        self,
        *,
        session_id: str,
        avatar: Avatar,
        camera: Camera,
        output: Output,
        find_picture: Callable[[Output], Path | None],
        parts: Parts,
        fps: int,
        seed: int,
        tell: Tell,
    ) -> None:
        self.session_id = session_id
        self.room: OpenRoom | None = None  # set by `enter`, before run
        self._sinks = Sinks()
        self._avatar, self._fps, self._seed, self._tell = avatar, fps, seed, tell
        self._find_picture = find_picture
        self._performance = Performance(seed=seed, open_speech=parts.open_speech)
        self._audio = AudioEncoder()
        self._motion: MotionStream | None = None  # while somebody wants it
        self._performance.mood = output.mood
        self._camera, self._output = camera, output  # replaced by a resize, or when the session shall look otherwise
        self._setting_up = asyncio.Lock()  # one camera at a time, in the order in which they are asked for
        self._frame = 0  # the number of the next frame
        self._block_taken = asyncio.Event()  # replaced with every block
        self._frames = self._late_frames = self._hurried_frames = 0
        self._latencies_ms: list[float] = []

    # --- the room
    def enter(self, room: OpenRoom) -> None:
        """Perform in this room from now on; `leave` closes it."""
        self.room = room
        self._sinks.add(room.sink)

    async def leave(self) -> None:
        """Close the room, and every other sink."""
        await self._sinks.aclose()

    # --- the room's events
    def viewer_joined(self, viewer_id: str, viewers: int) -> None:
        self._tell(messages.ViewerJoined(session_id=self.session_id, viewer_id=viewer_id, viewers=viewers))

    def viewer_left(self, viewer_id: str, viewers: int) -> None:
        self._tell(messages.ViewerLeft(session_id=self.session_id, viewer_id=viewer_id, viewers=viewers))

    def keyframe_wanted(self, *, joining: bool) -> None:
        self._camera.encoder.want_keyframe(joining=joining)

    def first_frame_sent(self) -> None:
        self._tell(messages.FirstFrameSent(session_id=self.session_id))

    def speech_arrived(self, speech: RoomSpeech) -> None:
        self._queue(speech.pcm, speech.sample_rate_hz, utterance_id=speech.segment_id, final=speech.final)

    def interrupted(self) -> None:
        self._performance.interrupt()
        self._sinks.drop_backlog()

    # --- what the session is asked to do
    def speak(self, said: messages.Speak) -> str:
        """Queue PCM16 LE and return the utterance's id. Raises `QueueFull`, and `InvalidRequest` for what is no such
        sound.
        """
        return self._queue(
            said.pcm,
            said.sample_rate_hz,
            utterance_id=said.utterance_id,
            final=said.final,
            visemes=None if said.visemes is None else tuple(TimedViseme(*viseme) for viseme in said.visemes),
            mood=None if said.mood is None else mood_of(said.mood),
        )

    def _queue(
        self,
        pcm: bytes,
        sample_rate_hz: int,
        *,
        utterance_id: str | None,
        final: bool,
        visemes: tuple[TimedViseme, ...] | None = None,
        mood: Mood | None = None,
    ) -> str:
        if len(pcm) % 2:
            raise InvalidRequest("PCM16 has an even number of bytes")
        if not 8000 <= sample_rate_hz <= 48_000:
            raise InvalidRequest("sample_rate is 8000 to 48000")
        return self._performance.speak(
            np.frombuffer(pcm, dtype="<i2"),
            sample_rate_hz,
            utterance_id=utterance_id,
            final=final,
            now_ns=time.monotonic_ns(),
            visemes=visemes,
            mood=mood,
        )

    async def interrupt(self) -> None:
        """Drop all speech; return when the fade has been sent and the lips are on their way to rest."""
        self.interrupted()
        await self._block_taken.wait()

    def hush(self, on: bool) -> None:
        """Fall silent at once, the interrupt that drops the speech being on its way; or speak again."""
        self._performance.hush(on)
        if on:
            self._sinks.drop_backlog()

    def attend(self, state: str) -> None:
        """Listen or think where nothing is said. Raises `InvalidRequest` for anything else."""
        if state not in ("listening", "thinking"):
            raise InvalidRequest("state is listening or thinking")
        self._performance.attend("listening" if state == "listening" else "thinking")

    def stream_motion(self, on: bool) -> None:
        """Tell the motion from now on, or no more."""
        if on and self._motion is None:
            self._motion = MotionStream(self._performance, seed=self._seed)
        elif not on and self._motion is not None:
            self._motion.close()
            self._motion = None

    async def resize(self, *, width_px: int, height_px: int) -> None:
        """Change the picture's size: the picture goes on in its old one until the new one is laid out."""
        async with self._setting_up:
            shown = self._camera.renderer
            if (width_px, height_px) != (shown.width_px, shown.height_px):
                await self._set_up(width_px, height_px, self._output)

    async def dress(self, output: Output) -> None:
        """Look otherwise: the picture goes on as it was until the new one is laid out. Raises `BackgroundRefused`, and
        then nothing has changed.
        """
        async with self._setting_up:
            shown, before = self._camera.renderer, self._output
            if (output.backdrop, output.framing) != (before.backdrop, before.framing):
                await self._set_up(shown.width_px, shown.height_px, output)
            self._output = output
            self._performance.mood = output.mood

    async def _set_up(self, width_px: int, height_px: int, output: Output) -> None:
        camera = await asyncio.to_thread(
            Camera.set_up,
            self._avatar,
            width_px=width_px,
            height_px=height_px,
            fps=self._fps,
            output=output,
            image=self._find_picture(output),
        )
        camera.encoder.want_keyframe(joining=True)
        self._camera = camera

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
            frame_at = frame_position(self._frame, self._fps)
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
                late = frame_position(self._frame + 1, self._fps) <= behind
                self._perform_frame(frame_at, late=late, hurried=behind - frame_at > HURRY_SAMPLES)

    def _perform_block(self) -> None:
        position = self._performance.position
        block = self._performance.next_block()
        if self._sinks.want("encoded"):
            self._sinks.publish(self._audio.encode(block, position))
        if self._sinks.want("raw"):
            self._sinks.publish(RawSound(samples=block, position=position))
        for happening in self._performance.happenings():
            self._tell(self._event_of(happening))
        for motion in self._motion.step() if self._motion else ():
            self._tell(self._event_of(motion))
        if position // BLOCK_SAMPLES % METRICS_EVERY_BLOCKS == METRICS_EVERY_BLOCKS - 1:
            self._tell_metrics()
        self._block_taken.set()
        self._block_taken = asyncio.Event()

    def _event_of(self, said: Happening | Motion | MotionCut) -> messages.Event:
        match said:
            case Started():
                return messages.PlaybackStarted(session_id=self.session_id, utterance_id=said.utterance_id)
            case Ended():
                position_s = seconds(said.played_samples)
                return messages.PlaybackFinished(
                    session_id=self.session_id,
                    utterance_id=said.utterance_id,
                    position_s=position_s,
                    interrupted=said.interrupted,
                )
            case StateChanged():
                return messages.StateChanged(session_id=self.session_id, state=said.state)
            case MotionCut():
                return messages.MotionCut(
                    session_id=self.session_id, utterance_id=said.utterance_id, position_s=seconds(said.position)
                )
            case Motion():
                return messages.MotionFrames(
                    session_id=self.session_id,
                    utterance_id=said.utterance_id,
                    position_s=seconds(said.position),
                    coefficients=said.coefficients,
                    heads=said.heads,
                )

    def _perform_frame(self, position: int, *, late: bool, hurried: bool) -> None:
        self._frame += 1
        face = self._performance.face(position)
        encoded_wanted, raw_wanted = self._sinks.want("encoded"), self._sinks.want("raw")
        if not (encoded_wanted or raw_wanted):
            return
        if late:  # the next frame is due already: the viewer sees the last picture a little longer
            self._late_frames += 1
            return
        picture = self._camera.renderer.render(face.motion, hurried=hurried)
        self._frames += 1
        self._hurried_frames += hurried
        if raw_wanted:
            self._sinks.publish(RawPicture(pixels=picture, position=position))
        packet = self._camera.encoder.encode(picture, position) if encoded_wanted else None
        if packet is not None:
            self._sinks.publish(packet)
        if (raw_wanted or packet is not None) and face.arrived_ns is not None:
            self._latencies_ms.append((time.monotonic_ns() - face.arrived_ns) / 1e6)

    def _tell_metrics(self) -> None:
        p50 = p95 = None
        if self._latencies_ms:
            p50, p95 = (round(float(p), 1) for p in np.percentile(self._latencies_ms, (50, 95)))
        self._tell(
            messages.PerformerMetrics(
                session_id=self.session_id,
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
