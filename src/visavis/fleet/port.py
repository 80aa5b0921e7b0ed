"""The port between the service and whatever performs sessions: allocate, speak, interrupt, offer, end; events back.

A performer in a child process, on another core or on another machine is the same thing to the service. Everything that
crosses this port is plain data (see stage/messages.py for its form on the wire).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from visavis.engine.motion.mood import Mood
from visavis.engine.output import AS_IS, Output
from visavis.engine.speech.phones import TimedViseme

State = Literal["idle", "listening", "thinking", "speaking"]
Attitude = Literal["listening", "thinking"]  # what a client may set


@dataclass(frozen=True, slots=True, kw_only=True)
class Casting:
    """What a performer is asked to perform."""

    session_id: str
    pack_path: Path
    width_px: int = 1280
    height_px: int = 720
    fps: int = 25
    seed: int = 0
    output: Output = AS_IS


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How speech is to be said, where its sender knows. `visemes`: what is spoken in it, with times from its start on,
    None where it is to be heard; `mood`: shown from its first sample to the end of its utterance, or until another
    piece brings another; None for the session's.
    """

    visemes: tuple[TimedViseme, ...] | None = None
    mood: Mood | None = None


PLAIN = Delivery()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFrameSent:
    """The first video packet left for a viewer: metering starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerJoined:
    viewer_id: str
    viewers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerLeft:
    viewer_id: str
    viewers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted:
    utterance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackFinished:
    """Exactly one per utterance, when its last sample has been played, or at once when it is cut."""

    utterance_id: str
    position_s: float
    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """What the avatar does now: speaking from an utterance's first sample to the last of those that follow it at once;
    in order with the playback.
    """

    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionFrames:
    """Consecutive frames of motion, at MOTION_STREAM_RATE_HZ: ARKit's coefficients and the head's angles in degrees
    (engine/motion/arkit_names.py).

    `position_s`: of the first, in the utterance's audio, before it is heard; without an utterance, on the session's
    clock.
    """

    utterance_id: str | None
    position_s: float
    coefficients: list[list[float]]
    heads: list[list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionCut:
    """The utterance was cut at `position_s` of its audio: frames of it from there on are void."""

    utterance_id: str
    position_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformerMetrics:
    """Figures of the last second: frames shown, frames late, and milliseconds from a sample's arrival to its frame's
    leaving the encoder.
    """

    frames: int
    late_frames: int
    hurried_frames: int = 0  # drawn a little behind their time, with less care for what hardly moves
    queued_s: float
    sample_to_frame_ms_p50: float | None = None
    sample_to_frame_ms_p95: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformerEnded:
    """The last event, always sent. `reason`: 'ended' after end(), 'lost' when the stage died or its pipe broke."""

    reason: Literal["ended", "lost"]
    detail: str = ""


PerformerEvent = (
    FirstFrameSent
    | ViewerJoined
    | ViewerLeft
    | PlaybackStarted
    | PlaybackFinished
    | StateChanged
    | MotionFrames
    | MotionCut
    | PerformerMetrics
    | PerformerEnded
)


class Performer(Protocol):
    """One session's performance. Calls may come from any task of one event loop; each completes in the order in which
    it was called, but for `hush`.

    After PerformerEnded every call raises `PerformerLost`. `end` is idempotent. Whoever allocated a performer ends it.
    """

    session_id: str

    async def speak(
        self,
        pcm: bytes,
        *,
        sample_rate_hz: int,
        utterance_id: str | None = None,
        final: bool = False,
        delivery: Delivery = PLAIN,
    ) -> str:
        """Queue mono PCM16 LE; return the id of the utterance it belongs to.

        Without `utterance_id` it continues the open utterance, or opens one. An utterance ends by `final`, by another
        id, or when its audio has been idle for 300 ms. Raises `QueueFull` (nothing of this call is queued) beyond 600 s
        of queued speech.
        """
        ...

    async def interrupt(self) -> None:
        """Drop everything queued or playing; return when it has taken effect (the sound faded, the lips on their way to
        rest).
        """
        ...

    async def hush(self, on: bool) -> None:
        """Say nothing from now on, ahead of every call that is under way: an interrupt follows them. Or let speech be
        heard again.
        """
        ...

    async def resize(self, *, width_px: int, height_px: int) -> None:
        """Change the size of the picture; viewers stay connected."""
        ...

    async def dress(self, output: Output) -> None:
        """Look otherwise; viewers stay connected. Raises `BackgroundRefused` for a picture that cannot be read: then
        nothing has changed.
        """
        ...

    async def attend(self, state: Attitude) -> None:
        """Listen or think wherever nothing is said: listening lasts, thinking until speech begins."""
        ...

    async def stream_motion(self, on: bool) -> None:
        """Tell MotionFrames and MotionCut from now on, or no more."""
        ...

    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        """Answer a viewer's SDP offer (recvonly audio and video); return the SDP answer, its ICE candidates gathered.

        Raises `OfferRefused` when the SDP cannot be answered (no VP8, not recvonly, not SDP), `RoomFull`.
        """
        ...

    async def remove_viewer(self, viewer_id: str) -> bool:
        """Disconnect a viewer; return whether it was there."""
        ...

    async def end(self) -> None:
        """End the performance: viewers are disconnected, resources freed."""
        ...

    def events(self) -> AsyncIterator[PerformerEvent]:
        """Every event in order, once; one consumer. Ends after PerformerEnded."""
        ...


class Fleet(Protocol):
    """Where performers come from."""

    async def allocate(self, casting: Casting) -> Performer:
        """Return a performer whose idle picture is running. Raises `NoCapacity`, or `PackUnreadable` for an avatar pack
        that cannot be loaded.
        """
        ...

    def capacity(self) -> tuple[int, int]:
        """Return (performing now, most at once)."""
        ...

    async def aclose(self) -> None:
        """End every performer and stage process; idempotent, bounded to 5 s."""
        ...
