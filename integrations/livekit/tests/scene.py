"""A room with an agent, its avatar and a user who watches: real servers, real livekit-agents, a scripted voice."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from livekit import api, rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import SpeechHandle

RATE_HZ = 24_000
LOUD = 500  # RMS: below is silence, and what Opus leaves of it
WITHIN_S = 30.0  # a bound on waiting for what must happen


def token(room: str, identity: str, *, kind: str = "standard", hidden: bool = False) -> str:
    grants = api.VideoGrants(room_join=True, room=room, can_publish_data=True, hidden=hidden)
    return api.AccessToken().with_identity(identity).with_kind(kind).with_grants(grants).to_jwt()  # type: ignore[arg-type]


def tone(seconds: float, *, rate_hz: int = RATE_HZ) -> bytes:
    return (np.sin(np.arange(round(seconds * rate_hz)) * 440 * 2 * np.pi / rate_hz) * 12_000).astype("<i2").tobytes()


async def voice(seconds: float, *, rate_hz: int = RATE_HZ) -> AsyncIterator[rtc.AudioFrame]:
    """A tone as a synthesiser gives it: faster than it is heard."""
    samples = np.frombuffer(tone(seconds, rate_hz=rate_hz), "<i2")
    size = rate_hz // 50
    for start in range(0, len(samples), size):
        piece = samples[start : start + size]
        yield rtc.AudioFrame(piece.tobytes(), rate_hz, 1, len(piece))
        await asyncio.sleep(0)


@dataclass(slots=True)
class Track:
    """What a user receives of one participant: pictures, and the level of each 10 ms of sound. `seen_s`: when each
    picture came, monotonic; `onsets_s`: where sound began after silence, in all that was heard; `loud_until_s`: where
    it was loud last; `first_onset_s`: when the first sound came, monotonic.
    """

    seen_s: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    onsets_s: list[float] = field(default_factory=list)
    loud_until_s: float = 0.0
    first_onset_s: float | None = None

    @property
    def pictures(self) -> int:
        return len(self.seen_s)

    @property
    def loud_s(self) -> float:
        return sum(level > LOUD for level in self.levels) / 100

    def hear(self, level: float) -> None:
        """The next 10 ms have come."""
        before = self.levels[-5:]
        self.levels.append(level)
        if level > LOUD:
            self.loud_until_s = len(self.levels) / 100
            if max(before, default=0.0) <= LOUD:
                self.onsets_s.append((len(self.levels) - 1) / 100)
                self.first_onset_s = self.first_onset_s or time.monotonic()


class User:
    """A participant who watches and listens. `seen`: by identity."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.seen: dict[str, Track] = {}
        self.changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self, room: str, *, subscribes_after_s: float | None = None) -> None:
        """`subscribes_after_s`: how late the user asks for each track; None: at once, by itself."""
        self.room.on("track_subscribed", self._watch)
        self.room.on("participant_disconnected", lambda _: self.changed.set())
        if subscribes_after_s is not None:
            later = asyncio.get_running_loop().call_later
            self.room.on("track_published", lambda track, _: later(subscribes_after_s, track.set_subscribed, True))
        options = rtc.RoomOptions(auto_subscribe=subscribes_after_s is None)
        await self.room.connect(os.environ["LIVEKIT_URL"], token(room, "user"), options)

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    def of(self, identity: str) -> Track:
        return self.seen.setdefault(identity, Track())

    async def wait_pictures(self, identity: str, count: int = 1) -> None:
        await self._until(lambda: self.of(identity).pictures >= count)

    async def wait_loud(self, identity: str, seconds: float) -> None:
        await self._until(lambda: self.of(identity).loud_s >= seconds)

    async def wait_onsets(self, identity: str, count: int) -> None:
        await self._until(lambda: len(self.of(identity).onsets_s) >= count)

    async def wait_silent(self, identity: str, seconds: float) -> None:
        """Wait until the participant has been silent for so long."""
        count = round(seconds * 100)

        def silent() -> bool:
            levels = self.of(identity).levels
            return len(levels) >= count and max(levels[-count:]) <= LOUD

        await self._until(silent)

    async def wait_alone_with(self, identity: str) -> None:
        await self._until(lambda: list(self.room.remote_participants) == [identity])

    async def _until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not happened():
                self.changed.clear()
                await self.changed.wait()

    def _watch(self, track: rtc.Track, _: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
        seen = self.of(participant.identity)
        work = self._see(track, seen) if track.kind == rtc.TrackKind.KIND_VIDEO else self._hear(track, seen)
        self._tasks.append(asyncio.create_task(work))

    async def _see(self, track: rtc.Track, seen: Track) -> None:
        stream = rtc.VideoStream(track)
        try:
            async for _ in stream:
                seen.seen_s.append(time.monotonic())
                self.changed.set()
        finally:
            await stream.aclose()

    async def _hear(self, track: rtc.Track, seen: Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=48_000, num_channels=1, frame_size_ms=10)
        try:
            async for event in stream:
                samples = np.frombuffer(event.frame.data, np.int16).astype(float)
                seen.hear(float(np.sqrt(np.mean(samples**2))))
                self.changed.set()
        finally:
            await stream.aclose()


class Scene:
    """A room, an agent in it with a session of livekit-agents, and a user. `open` it, and `close` it."""

    def __init__(self) -> None:
        self.name = f"room-{secrets.token_hex(6)}"
        self.room = rtc.Room()
        self.session: AgentSession[Any] = AgentSession()
        self.user = User()

    async def open(self, *, hidden: bool = False, encryption: rtc.E2EEOptions | None = None) -> None:
        agent = token(self.name, "agent", kind="agent", hidden=hidden)
        await self.room.connect(os.environ["LIVEKIT_URL"], agent, rtc.RoomOptions(encryption=encryption))
        await self.user.join(self.name)

    async def start_session(self, agent: Agent | None = None, **options: Any) -> None:
        """`options`: of AgentSession.start."""
        await self.session.start(agent=agent or Agent(instructions="none"), room=self.room, record=False, **options)

    def say(self, seconds: float, **options: Any) -> SpeechHandle:
        return self.session.say("some words", audio=voice(seconds), **options)

    async def close(self) -> None:
        await self.session.aclose()
        await self.room.disconnect()
        await self.user.leave()
