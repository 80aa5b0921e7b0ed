"""The port between a session and the places where its media goes and its viewers are.

A room has two halves. Media leaves through a *sink*; viewers come in through an *entrance*, which only the embedded
room has: another vendor's room admits its viewers itself. A session may feed several sinks at once, for example its
room and a recorder. A room may also bring speech in, through `RoomEvents`.

Everything here is called in one event loop, the session's. Positions are samples at 48 kHz on the performance's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

# --- media

MediaKind = Literal["audio", "video"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPacket:
    """One encoded picture (VP8) or one block of sound (Opus, 20 ms), shown or heard at `position`."""

    kind: MediaKind
    data: bytes
    position: int
    keyframe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawPicture:
    """One picture: I420, uint8 (height * 3 // 2, width).

    The renderer draws the next picture into the same memory: a sink copies what it keeps after `publish` has returned.
    """

    pixels: NDArray[np.uint8]
    position: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawSound:
    """20 ms of sound: int16 (960,), mono, 48 kHz; `position` is that of its first sample. A sink copies what it
    keeps.
    """

    samples: NDArray[np.int16]
    position: int


MediaForm = Literal["encoded", "raw"]
MediaItem = EncodedPacket | RawPicture | RawSound


class _AnySink(Protocol):
    """What both kinds of sink have in common. Whoever opened a sink closes it."""

    @property
    def watched(self) -> bool:
        """Whether anybody would get what is published now. What no sink wants is neither drawn nor encoded."""
        ...

    def drop_backlog(self) -> None:
        """Forget everything that was published and has not been sent. Never blocks."""
        ...

    async def aclose(self) -> None:
        """Disconnect everybody and free everything; idempotent, bounded to 3 s. Later calls of `publish` do nothing."""
        ...


class EncodedSink(_AnySink, Protocol):
    """A sink that takes packets which were encoded once, whatever the number of sinks and viewers."""

    @property
    def takes(self) -> Literal["encoded"]: ...

    def publish(self, item: EncodedPacket) -> None:
        """Send one packet to everybody who watches.

        Packets of one kind come in the order of their positions. Never blocks and raises nothing: a viewer that cannot
        keep up loses packets, and no other viewer does. Video that overflows is dropped up to the next keyframe, which
        the sink asks for by `RoomEvents.keyframe_wanted`; sound drops its oldest.
        """
        ...


class RawSink(_AnySink, Protocol):
    """A sink that takes pictures and sound before they are encoded. Daily's library takes only these."""

    @property
    def takes(self) -> Literal["raw"]: ...

    def publish(self, item: RawPicture | RawSound) -> None:
        """Take one picture or one block of sound.

        Items of one kind come in the order of their positions. Never blocks and raises nothing: a sink that cannot keep
        up drops pictures, and of sound the oldest.
        """
        ...


Sink = EncodedSink | RawSink


# --- viewers


class ViewerEntrance(Protocol):
    """How viewers get into a room that this server keeps, and out of it. Calls for different viewers may overlap. The
    entrance closes with the room's sink.
    """

    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        """Answer a viewer's SDP offer (recvonly video and audio); return the SDP answer, its ICE candidates gathered.

        Raises `OfferRefused` when the offer cannot be answered or the room is closed, and `RoomFull`. A call that is
        cancelled leaves no viewer behind.
        """
        ...

    async def remove_viewer(self, viewer_id: str) -> bool:
        """Disconnect a viewer; return whether it was there. Does not wait until the connection is closed."""
        ...


# --- what a room tells the session


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSpeech:
    """A piece of speech that came from a room: PCM16 LE, mono. Pieces with one `segment_id` follow each other; `final`
    ends the segment. `pcm` may be empty then.
    """

    pcm: bytes
    sample_rate_hz: int
    segment_id: str
    final: bool = False


class RoomEvents(Protocol):
    """What a room tells the session that performs in it. Called in the event loop, in the order in which things
    happened; must not block. Nothing is told after the room's `aclose` has returned.
    """

    def viewer_joined(self, viewer_id: str, viewers: int) -> None:
        """A viewer has begun to take media; `viewers` are there now."""
        ...

    def viewer_left(self, viewer_id: str, viewers: int) -> None:
        """A viewer that had joined is gone; told once for each."""
        ...

    def keyframe_wanted(self, *, joining: bool) -> None:
        """A viewer cannot go on without a keyframe; `joining`: it has not had any picture yet."""
        ...

    def first_frame_sent(self) -> None:
        """The first video packet has left for a viewer; told once."""
        ...

    def speech_arrived(self, speech: RoomSpeech) -> None:
        """Somebody in the room sends speech for the avatar to say. Raises `QueueFull` and `InvalidRequest`: then
        nothing of the piece is queued, and the room tells its sender.
        """
        ...

    def interrupted(self) -> None:
        """Somebody in the room interrupts the avatar: everything that arrived before is dropped."""
        ...


# --- an open room


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRoom:
    """A room that is open. Closing its sink closes all of it."""

    sink: Sink
    entrance: ViewerEntrance | None = None  # None where the room admits its viewers itself
