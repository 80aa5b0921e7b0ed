"""A bot in a LiveKit room for tests: a scripted voice, the avatar, Pipecat's own LiveKit transport, and a user who sees
and hears with LiveKit's client library.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from livekit import api, rtc
from pipecat.frames.frames import Frame, OutputAudioRawFrame, UserAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.livekit.transport import LiveKitParams, LiveKitTransport
from pipecat.workers.runner import WorkerRunner
from pipecat_visavis.livekit import VisavisLiveKitService
from visavis_client import AsyncVisavis

from tests.bot import VOICE_HZ, IdleUser, Voice, Watch, cancel_rest, public_avatar

LOUD = 500  # RMS: below is silence, and what Opus leaves of it
LOW_HZ, HIGH_HZ = 600.0, 1800.0
FFT_SIZE = 16_384
LOOKED_AT = 5  # pictures of each track: more cost the processor of a busy machine, and tell no more


def token(room: str, identity: str) -> str:
    grants = api.VideoGrants(room_join=True, room=room, can_publish=True, can_subscribe=True, can_publish_data=True)
    minted = api.AccessToken(os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"])
    return minted.with_identity(identity).with_grants(grants).to_jwt()


def rising(seconds: float) -> np.ndarray:
    """A sound whose pitch tells the place in it."""
    times = np.arange(round(seconds * VOICE_HZ)) / VOICE_HZ
    turns = LOW_HZ * times + (HIGH_HZ - LOW_HZ) / (2 * seconds) * times**2
    return (np.sin(2 * np.pi * turns) * 12_000).astype("<i2")


@dataclass(slots=True)
class Seen:
    """Of one participant: pictures, and the level of each 10 ms of its sound, with its pitch if it is not silent."""

    pictures: int = 0
    size_px: tuple[int, int] = (0, 0)
    contrast: float = 0.0
    levels: list[float] = field(default_factory=list)
    pitches_hz: list[float] = field(default_factory=list)

    def heard_until_s(self, rising_s: float) -> float:
        """How far `rising(rising_s)` was heard. A busy machine stretches sound, and leaves its pitch alone."""
        until_s = 0.0
        for pitch_hz in self.pitches_hz:
            place_s = (pitch_hz - LOW_HZ) / (HIGH_HZ - LOW_HZ) * rising_s
            if 0.0 < place_s - until_s < 0.1:
                until_s = place_s
        return until_s

    @property
    def loud_s(self) -> float:
        return sum(level > LOUD for level in self.levels) / 100

    @property
    def is_silent(self) -> bool:
        """For the last 300 ms."""
        return len(self.levels) >= 30 and max(self.levels[-30:]) <= LOUD


class User:
    """Somebody in the room. `seen`: what came of each participant, by identity."""

    def __init__(self, room: str, identity: str = "user") -> None:
        self._token = token(room, identity)
        self.room = rtc.Room()
        self.seen: dict[str, Seen] = defaultdict(Seen)
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    async def join(self) -> None:
        self.room.on("track_subscribed", self._watch)
        self.room.on("participant_disconnected", lambda *_: self._changed.set())
        await self.room.connect(os.environ["LIVEKIT_URL"], self._token)

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.room.disconnect()

    async def until(self, fact: Any) -> None:
        """Wait until `fact()` holds."""
        while not fact():
            self._changed.clear()
            await self._changed.wait()

    async def say(self, sound: np.ndarray, rate_hz: int) -> None:
        """Speak into the room, once somebody listens."""
        source = rtc.AudioSource(rate_hz, 1)
        track = rtc.LocalAudioTrack.create_audio_track("voice", source)
        publication = await self.room.local_participant.publish_track(
            track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        )
        await publication.wait_for_subscription()
        await source.capture_frame(rtc.AudioFrame.create(rate_hz, 1, rate_hz // 2))  # packets that come first are lost
        for at in range(0, len(sound), rate_hz // 50):
            piece = sound[at : at + rate_hz // 50]
            await source.capture_frame(rtc.AudioFrame(piece.tobytes(), rate_hz, 1, len(piece)))
        await source.wait_for_playout()

    def _watch(self, track: rtc.Track, _: rtc.RemoteTrackPublication, whose: rtc.RemoteParticipant) -> None:
        watch = self._see if track.kind == rtc.TrackKind.KIND_VIDEO else self._hear
        self._tasks.append(asyncio.ensure_future(watch(track, self.seen[whose.identity])))

    async def _see(self, track: rtc.Track, seen: Seen) -> None:
        stream = rtc.VideoStream(track)
        async for event in stream:
            seen.pictures += 1
            seen.size_px = (event.frame.width, event.frame.height)
            seen.contrast = float(np.frombuffer(event.frame.data, np.uint8)[::997].std())
            self._changed.set()
            if seen.pictures % LOOKED_AT == 0:
                break
        await stream.aclose()

    async def _hear(self, track: rtc.Track, seen: Seen) -> None:
        async for event in rtc.AudioStream(track, sample_rate=48_000, num_channels=1, frame_size_ms=10):
            samples = np.frombuffer(event.frame.data, np.int16).astype(float)
            seen.levels.append(float(np.sqrt(np.mean(samples**2))))
            if seen.levels[-1] > LOUD:
                loudness = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), FFT_SIZE))
                seen.pitches_hz.append(float(np.argmax(loudness)) * 48_000 / FFT_SIZE)
            self._changed.set()


class Ears(FrameProcessor):
    """Behind the transport's input: who is heard, and how long."""

    def __init__(self) -> None:
        super().__init__()
        self.loud_s: dict[str, float] = defaultdict(float)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, UserAudioRawFrame):
            samples = np.frombuffer(frame.audio, np.int16).astype(float)
            level = float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0
            self.loud_s[frame.user_id] += (level > LOUD) * len(samples) / frame.sample_rate
        await self.push_frame(frame, direction)


class Recorder(FrameProcessor):
    """Behind the transport's output, where recordings of a conversation are made: the bot's sound."""

    def __init__(self) -> None:
        super().__init__()
        self.heard_s = 0.0
        self.pieces = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputAudioRawFrame):
            self.heard_s += len(frame.audio) / 2 / frame.sample_rate
            self.pieces += 1
        await self.push_frame(frame, direction)


@dataclass(slots=True)
class RoomBot(Voice):
    """`greeted`: the participants that the bot took for the first one in its room. `lost`: why it has no avatar.
    `ends`: how far each utterance was played, and whether it was interrupted.
    """

    transport: LiveKitTransport
    avatar: VisavisLiveKitService
    ears: Ears
    recorder: Recorder
    user: User
    greeted: list[str]
    lost: list[str]
    ends: list[tuple[float, bool]]
    running: asyncio.Task[Any]
    client: AsyncVisavis

    @property
    def seen(self) -> Seen:
        """What the user has seen and heard of the avatar."""
        return self.user.seen[self.avatar.avatar_identity]

    @property
    def own_track(self) -> Seen:
        """What the user has heard of the bot itself."""
        return self.user.seen["bot"]

    async def session_ended(self) -> None:
        """Wait for the end of the session."""
        assert self.avatar.session is not None
        while (await self.client.sessions.get(self.avatar.session.id)).status != "ended":
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running_in_room(*, waits: bool = True, joins: bool = True, **service: Any) -> AsyncIterator[RoomBot]:
    """Run a bot in a room of its own with one user; the avatar is seen when the context is entered, unless `waits` is
    False. Without `joins` the user is not in the room yet. Cancel it at the end.
    """
    room, url = f"room-{secrets.token_hex(6)}", os.environ["LIVEKIT_URL"]
    params = LiveKitParams(audio_in_enabled=True, audio_out_enabled=True)
    transport = LiveKitTransport(url=url, token=token(room, "bot"), room_name=room, params=params)
    greeted: list[str] = []

    @transport.event_handler("on_first_participant_joined")
    async def greet(_: object, participant: str) -> None:
        greeted.append(participant)

    async with AsyncVisavis() as client:
        avatar = VisavisLiveKitService(transport, **{"avatar": await public_avatar(client)} | service)
        settled, lost, ends = asyncio.Event(), list[str](), list[tuple[float, bool]]()

        @avatar.event_handler("on_playback_finished")
        async def _(_: object, __: str, position_s: float, interrupted: bool) -> None:
            ends.append((position_s, interrupted))

        @avatar.event_handler("on_connected")
        async def _(*_: object) -> None:
            settled.set()

        @avatar.event_handler("on_disconnected")
        async def _(_: object, reason: str) -> None:
            lost.append(reason)
            settled.set()

        ears, recorder, watch, user, idle_user = Ears(), Recorder(), Watch(), User(room), IdleUser()
        worker = PipelineWorker(
            Pipeline([transport.input(), ears, idle_user, avatar, transport.output(), recorder, watch]),
            params=PipelineParams(enable_metrics=True, audio_out_sample_rate=VOICE_HZ),
            idle_timeout_secs=None,
            enable_rtvi=False,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        task = asyncio.ensure_future(runner.run())
        try:
            await settled.wait()
            if joins:
                await user.join()
            bot = RoomBot(
                worker, watch, idle_user, transport, avatar, ears, recorder, user, greeted, lost, ends, task, client
            )
            while joins and not greeted:
                await asyncio.sleep(0.02)
            if waits and joins:
                await user.until(lambda: bot.seen.pictures >= 3 and bot.seen.levels)
            yield bot
        finally:
            await user.leave()
            if not task.done():
                await worker.cancel()
            await asyncio.wait({task}, timeout=10)
            await cancel_rest()
