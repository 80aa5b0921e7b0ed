"""An agent of a LiveKit room, as livekit-agents speaks to avatars, on LiveKit's own client library."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from livekit import rtc

from tests.sweeps import pitch_hz, sweep
from tools.livekit.server import LiveKitServer


@dataclass(frozen=True, slots=True)
class Finished:
    position_s: float
    interrupted: bool


@dataclass(slots=True)
class Seen:
    """What the agent has seen of the avatar: pictures, and the level of each 10 ms of its sound; of those that were not
    silent the pitch, too. `loud_from_s`, `last_loud_s`: when such ones came after a silence of 100 ms, and when one
    came last; monotonic.
    """

    pictures: int = 0
    size: tuple[int, int] = (0, 0)
    levels: list[float] = field(default_factory=list)
    pitches_hz: list[float] = field(default_factory=list)
    loud_from_s: list[float] = field(default_factory=list)
    last_loud_s: float = 0.0


class Agent:
    """Call `join`, then `speak` and `clear`. `served_by`: the identity of its avatar. `finished`: what that has told.
    `started_s`: when it told of the first sample of each segment, monotonic. `active`: who was told as an active
    speaker.
    """

    def __init__(self, server: LiveKitServer, room: str, identity: str = "agent", *, served_by: str = "avatar") -> None:
        self._server, self.room_name, self.identity, self.served_by = server, room, identity, served_by
        self.room = rtc.Room()
        self.finished: list[Finished] = []
        self.started_s: list[float] = []
        self.states: list[dict[str, str]] = []
        self.seen = Seen()
        self.active: set[str] = set()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._seeing: asyncio.Task[None] | None = None  # the one of the present picture

    async def join(
        self, token: str | None = None, encryption: rtc.E2EEOptions | None = None, *, watches: bool = True
    ) -> None:
        """`token`: of the room; default: one of an agent. `watches`: whether it receives the avatar's media."""
        self.room.on("data_received", self._take_data)
        self.room.on("track_subscribed", self._watch)
        self.room.on("active_speakers_changed", self._note_active)
        token = token or self._server.token(self.room_name, self.identity, kind="agent")
        await self.room.connect(self._server.url, token, rtc.RoomOptions(auto_subscribe=watches, encryption=encryption))
        local = self.room.local_participant
        local.register_rpc_method("lk.playback_finished", self._playback_finished)
        local.register_rpc_method("lk.playback_started", self._playback_started)

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.room.disconnect()

    def avatar(self) -> rtc.RemoteParticipant:
        return self.room.remote_participants[self.served_by]

    async def open(self, *, rate_hz: int = 24_000, channels: int = 1) -> Any:
        return await self.room.local_participant.stream_bytes(
            name="AUDIO_1",
            topic="lk.audio_stream",
            destination_identities=[self.served_by],
            attributes={"sample_rate": str(rate_hz), "num_channels": str(channels)},
        )

    async def speak(self, seconds: float, *, rate_hz: int = 24_000, close: bool = True, sweeps: bool = False) -> Any:
        """Send a tone as one segment, or a sweep."""
        stream = await self.open(rate_hz=rate_hz)
        if sweeps:
            samples = sweep(seconds, rate_hz)
        else:
            samples = (np.sin(np.arange(round(seconds * rate_hz)) * 440 * 2 * np.pi / rate_hz) * 12_000).astype("<i2")
        await stream.write(samples.tobytes())
        if close:
            await stream.aclose()
        return stream

    async def clear(self) -> str:
        return await self.call("lk.clear_buffer")

    async def call(self, method: str, payload: str = "") -> str:
        return await self.room.local_participant.perform_rpc(
            destination_identity=self.served_by, method=method, payload=payload
        )

    async def stop_seeing(self, picture: rtc.RemoteTrackPublication) -> None:
        """Have the server send a track no more; returns when it does not."""
        stopped = asyncio.Event()
        self.room.on("track_unsubscribed", lambda *_: stopped.set())
        picture.set_subscribed(False)
        await stopped.wait()
        if self._seeing is not None:
            self._seeing.cancel()  # it may have pictures that nobody has read yet

    async def publish_sound(self) -> None:
        """Publish a track of silence."""
        track = rtc.LocalAudioTrack.create_audio_track("silence", rtc.AudioSource(48_000, 1))
        await self.room.local_participant.publish_track(track)

    async def wait_finished(self, count: int) -> list[Finished]:
        """Wait until the avatar has told of so many ends."""
        while len(self.finished) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.finished

    @property
    def started(self) -> int:
        return len(self.started_s)

    async def wait_started(self, count: int) -> None:
        while self.started < count:
            self._changed.clear()
            await self._changed.wait()

    async def wait_seen(self, *, pictures: int = 0, loud_s: float = 0.0) -> None:
        while self.seen.pictures < pictures or self.loud_s() < loud_s:
            self._changed.clear()
            await self._changed.wait()

    async def wait_active(self, identity: str) -> None:
        """Wait until the server has told that somebody speaks."""
        while identity not in self.active:
            self._changed.clear()
            await self._changed.wait()

    async def wait_quiet(self, seconds: float) -> None:
        """Wait until the avatar has been silent for so long."""
        count = round(seconds * 100)
        while len(self.seen.levels) < count or max(self.seen.levels[-count:]) > 500:
            self._changed.clear()
            await self._changed.wait()

    def loud_s(self) -> float:
        return sum(level > 500 for level in self.seen.levels) / 100

    async def _playback_finished(self, call: rtc.RpcInvocationData) -> str:
        told = json.loads(call.payload)
        assert set(told) == {"playback_position", "interrupted"}
        self.finished.append(Finished(told["playback_position"], told["interrupted"]))
        self._changed.set()
        return ""

    async def _playback_started(self, call: rtc.RpcInvocationData) -> str:
        self.started_s.append(time.monotonic())
        self._changed.set()
        return ""

    def _take_data(self, packet: rtc.DataPacket) -> None:
        if packet.topic == "session.state":
            self.states.append(json.loads(packet.data))
            self._changed.set()

    def _note_active(self, speakers: list[rtc.Participant]) -> None:
        self.active |= {one.identity for one in speakers}
        self._changed.set()

    def _watch(self, track: rtc.Track, _: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != self.served_by:
            return
        is_video = track.kind == rtc.TrackKind.KIND_VIDEO
        task = asyncio.ensure_future((self._watch_video if is_video else self._hear)(track))
        self._tasks.append(task)
        self._seeing = task if is_video else self._seeing

    async def _watch_video(self, track: rtc.Track) -> None:
        async for event in rtc.VideoStream(track):
            self.seen.pictures += 1
            self.seen.size = (event.frame.width, event.frame.height)
            self._changed.set()

    async def _hear(self, track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=48_000, num_channels=1, frame_size_ms=10):
            samples = np.frombuffer(event.frame.data, np.int16)
            self.seen.levels.append(float(np.sqrt(np.mean(samples.astype(float) ** 2))))
            if self.seen.levels[-1] > 500:
                self.seen.pitches_hz.append(pitch_hz(samples, 48_000))
                self.seen.last_loud_s = time.monotonic()
                if max(self.seen.levels[-11:-1], default=0.0) <= 500:
                    self.seen.loud_from_s.append(self.seen.last_loud_s)
            self._changed.set()
