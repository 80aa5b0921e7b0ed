"""What the service and a stage process say to each other: plain data, one msgpack map each, behind a 4-byte big-endian
length.

Requests carry a `request` number and get exactly one `Done` or `Failed` with it; events carry their session. The link
is ordered both ways. A frame beyond MAX_FRAME_BYTES, or one that is no known message, breaks the link: both ends are
ours.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import msgpack

MAX_FRAME_BYTES = 64 * 1024 * 1024  # 600 s of speech at 48 kHz in one call is 57.6 MB


class Message:
    """A message; `kind` is its name on the wire."""

    kind: ClassVar[str]
    by_kind: ClassVar[dict[str, type[Message]]] = {}

    def __init_subclass__(cls) -> None:
        cls.kind = cls.__name__
        # `slots=True` makes every dataclass twice; the second, which has the slots, is the one that stays.
        Message.by_kind[cls.kind] = cls


# --- service to stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Open(Message):
    """Begin a session: its idle picture runs when this is done."""

    request: int
    session_id: str
    pack_path: str
    width_px: int
    height_px: int
    fps: int
    seed: int
    output: dict[str, Any]  # `Output.plain()`


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak(Message):
    """Done carries the utterance's id. `visemes`: (viseme, start_ms, end_ms) each; `mood`: the weights of `Mood`."""

    request: int
    session_id: str
    pcm: bytes
    sample_rate_hz: int
    utterance_id: str | None
    final: bool
    visemes: list[tuple[int, float, float]] | None = None
    mood: list[float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt(Message):
    request: int
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hush(Message):
    """Say nothing until an interrupt that is on its way has dropped what is queued, or speak again."""

    request: int
    session_id: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize(Message):
    request: int
    session_id: str
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dress(Message):
    """Look otherwise: `output` is the whole `Output.plain()`."""

    request: int
    session_id: str
    output: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attend(Message):
    """Listen or think where nothing is said."""

    request: int
    session_id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMotion(Message):
    """Tell the session's motion as MotionFrames and MotionCut from now on, or no more."""

    request: int
    session_id: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Message):
    """Done carries the SDP answer."""

    request: int
    session_id: str
    viewer_id: str
    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveViewer(Message):
    """Done carries 'yes' or ''."""

    request: int
    session_id: str
    viewer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Message):
    request: int
    session_id: str


Request = Open | Speak | Interrupt | Hush | Resize | Dress | Attend | StreamMotion | Offer | RemoveViewer | End


# --- stage to service


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(Message):
    """The first message of a stage: everything it needs is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Message):
    request: int
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Message):
    """`error` is the name of a class in `visavis.errors`."""

    request: int
    error: str
    message: str
    code: str
    suggestion: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFrameSent(Message):
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerJoined(Message):
    session_id: str
    viewer_id: str
    viewers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerLeft(Message):
    session_id: str
    viewer_id: str
    viewers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted(Message):
    session_id: str
    utterance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackFinished(Message):
    session_id: str
    utterance_id: str
    position_s: float
    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Message):
    session_id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionFrames(Message):
    session_id: str
    utterance_id: str | None
    position_s: float
    coefficients: list[list[float]]
    heads: list[list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionCut(Message):
    session_id: str
    utterance_id: str
    position_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformerMetrics(Message):
    session_id: str
    frames: int
    late_frames: int
    hurried_frames: int  # drawn a little behind their time, with less care for what hardly moves
    queued_s: float
    sample_to_frame_ms_p50: float | None = None
    sample_to_frame_ms_p95: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceLost(Message):
    """This session cannot go on (its performance raised); the stage itself can."""

    session_id: str
    detail: str


Event = (
    FirstFrameSent
    | ViewerJoined
    | ViewerLeft
    | PlaybackStarted
    | PlaybackFinished
    | StateChanged
    | MotionFrames
    | MotionCut
    | PerformerMetrics
    | PerformanceLost
)


def pack(message: Message) -> bytes:
    """Return the message as a frame."""
    values = {f.name: getattr(message, f.name) for f in fields(message)}  # type: ignore[arg-type]
    body: bytes = msgpack.packb({"kind": message.kind, **values})
    assert len(body) <= MAX_FRAME_BYTES, len(body)
    return len(body).to_bytes(4, "big") + body


def unpack(body: bytes) -> Message:
    """Return the message of a frame's body. Raises `ValueError`."""
    try:
        content = msgpack.unpackb(body)
        return Message.by_kind[content.pop("kind")](**content)
    except (KeyError, TypeError, AttributeError, msgpack.UnpackException) as error:
        raise ValueError(f"not a message of ours: {error!r}") from error


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """Return the next message, None at the end of the link. Raises `ValueError` for what is no message."""
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > MAX_FRAME_BYTES:
            raise ValueError(f"a frame of {size} bytes")
        return unpack(await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
