"""What an agent's byte streams mean (livekit-agents, `voice/avatar`): each is one segment of speech. Pure.

A segment ends when its stream closes, when another stream opens, or when it is cleared; silence is no end. In a room of
this service its client never closes a stream: there 300 ms of silence end a segment, and what follows is the next one.
After a clear, chunks of the same stream are dropped: they were on their way. If the stream is not closed then, what
comes after 300 ms of silence is a new segment.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

from visavis.rooms.port import RoomSpeech

MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000
MAX_CHANNELS = 2
SILENCE_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """A segment without a sample has ended. Its agent counts it, so its end must be told."""

    segment_id: str
    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A segment has begun; `agent` sends it."""

    segment_id: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """All speech that arrived before is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A stream that cannot be spoken. `why`: for its sender, whose segment begins and ends at once."""

    agent: str
    why: str


Step = RoomSpeech | Empty | Begun | Cleared | Refused


@dataclass(slots=True, kw_only=True)
class _Stream:
    agent: str
    rate_hz: int
    channels: int
    segment_id: str | None = None  # of the present segment, None after its end
    has_sound: bool = False  # the present segment
    cut: bool = False  # cleared: chunks are dropped until a silence
    heard_s: float = 0.0  # when a chunk came last
    rest: bytes = b""  # an incomplete sample of all channels
    seen: int = 0  # chunks
    doubtful: bool = False  # nothing has come since the connection was lost: its end may have been lost too


@dataclass(slots=True)
class Segments:
    """The byte streams of one room. `name`: what the ids of its segments begin with. `ends_by_silence`: whether a pause
    ends a segment. Times are seconds, monotonic.
    """

    name: str = "segment"
    ends_by_silence: bool = False
    _streams: dict[str, _Stream] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    missing_chunks: int = 0

    def open(self, stream_id: str, agent: str, attributes: Mapping[str, str], now_s: float) -> list[Step]:
        """A stream begins. Those that are still open end."""
        steps: list[Step] = []
        for other in list(self._streams):
            steps += self._close(other, interrupted=False)
        rate_hz, channels = _number(attributes.get("sample_rate")), _number(attributes.get("num_channels", "1"))
        stream = _Stream(agent=agent, rate_hz=rate_hz, channels=channels, heard_s=now_s)
        begun = self._begin(stream)
        if (why := _problem(stream)) is not None:
            # Its agent counts the segment, and waits for its end.
            empty = Empty(segment_id=begun.segment_id, interrupted=True)
            return [*steps, Refused(agent=agent, why=why), begun, empty]
        self._streams[stream_id] = stream
        return [*steps, begun]

    def chunk(self, stream_id: str, index: int, content: bytes, now_s: float) -> list[Step]:
        """A piece of a stream has come."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return []
        self.missing_chunks += max(0, index - stream.seen)
        stream.seen = max(stream.seen, index + 1)
        stream.doubtful = False
        was_silent = now_s - stream.heard_s >= SILENCE_S
        stream.heard_s = now_s
        if stream.cut and not was_silent:
            return []
        stream.cut = False
        steps: list[Step] = [] if stream.segment_id is not None else [self._begin(stream)]
        pcm, stream.rest = _mono(stream.rest + content, stream.channels)
        if pcm and stream.segment_id is not None:
            stream.has_sound = True
            steps.append(RoomSpeech(pcm=pcm, sample_rate_hz=stream.rate_hz, segment_id=stream.segment_id))
        return steps

    def close(self, stream_id: str) -> list[Step]:
        """A stream was closed by its sender."""
        return self._close(stream_id, interrupted=False)

    def doubt(self) -> bool:
        """What was sent for a while is lost, perhaps the end of a stream. Return whether a stream is open."""
        for stream in self._streams.values():
            stream.doubtful = True
        return bool(self._streams)

    def close_doubtful(self) -> list[Step]:
        """Close the streams of which nothing has come since `doubt`."""
        streams = [stream_id for stream_id, stream in self._streams.items() if stream.doubtful]
        return [step for stream_id in streams for step in self._close(stream_id, interrupted=True)]

    def leave(self, agent: str) -> list[Step]:
        """A participant has left: no more of its streams comes."""
        streams = [stream_id for stream_id, stream in self._streams.items() if stream.agent == agent]
        return [step for stream_id in streams for step in self._close(stream_id, interrupted=True)]

    def clear(self) -> list[Step]:
        """The agent drops all that it has sent."""
        steps: list[Step] = [Cleared()]
        for stream in self._streams.values():
            if stream.segment_id is not None and not stream.has_sound:
                steps.append(Empty(segment_id=stream.segment_id, interrupted=True))
            stream.segment_id, stream.has_sound, stream.cut, stream.rest = None, False, True, b""
        return steps

    def pass_time(self, now_s: float) -> list[Step]:
        """Some time has passed; where silence ends segments, those that have been silent end."""
        steps: list[Step] = []
        if self.ends_by_silence:
            for stream in self._streams.values():
                if stream.segment_id is not None and stream.has_sound and now_s - stream.heard_s >= SILENCE_S:
                    steps += self._end(stream, interrupted=False)
        return steps

    def _begin(self, stream: _Stream) -> Begun:
        stream.segment_id, stream.has_sound = f"{self.name}_{next(self._numbers)}", False
        return Begun(segment_id=stream.segment_id, agent=stream.agent)

    def _close(self, stream_id: str, *, interrupted: bool) -> list[Step]:
        stream = self._streams.pop(stream_id, None)
        return [] if stream is None else self._end(stream, interrupted=interrupted)

    def _end(self, stream: _Stream, *, interrupted: bool) -> list[Step]:
        segment_id, stream.segment_id = stream.segment_id, None
        if segment_id is None:
            return []
        if not stream.has_sound:
            return [Empty(segment_id=segment_id, interrupted=interrupted)]
        stream.has_sound = False
        return [RoomSpeech(pcm=b"", sample_rate_hz=stream.rate_hz, segment_id=segment_id, final=True)]


def _problem(stream: _Stream) -> str | None:
    """Return why a stream cannot be spoken, None if it can."""
    if not MIN_RATE_HZ <= stream.rate_hz <= MAX_RATE_HZ:
        return f"sample_rate must be {MIN_RATE_HZ} to {MAX_RATE_HZ}"
    if not 1 <= stream.channels <= MAX_CHANNELS:
        return f"num_channels must be 1 to {MAX_CHANNELS}"
    return None


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _mono(pcm: bytes, channels: int) -> tuple[bytes, bytes]:
    """Return the whole samples as one channel, and the bytes that are left. Of two channels the mean is taken."""
    whole = len(pcm) // (2 * channels) * 2 * channels
    if channels == 1:
        return pcm[:whole], pcm[whole:]
    samples = array("h", pcm[:whole])
    mixed = array("h", ((left + right) // 2 for left, right in zip(samples[0::2], samples[1::2], strict=True)))
    return mixed.tobytes(), pcm[whole:]
