"""The port to where viewers are: encoded sound and pictures go in, viewers come and go. Implemented by the embedded
WebRTC room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPacket:
    """One encoded frame (VP8) or block (Opus, 20 ms). `position`: its instant on the performance's clock, samples at 48
    kHz.
    """

    kind: Literal["video", "audio"]
    data: bytes
    position: int
    keyframe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A STUN or TURN server: `url` is stun:, turn: or turns:, as in RTCIceServer."""

    url: str
    username: str | None = None
    credential: str | None = None


class RoomEvents(Protocol):
    """What a room tells whoever performs in it. Called from the event loop; must not block."""

    def viewer_joined(self, viewer_id: str, viewers: int) -> None: ...

    def viewer_left(self, viewer_id: str, viewers: int) -> None: ...

    def keyframe_wanted(self, *, joining: bool) -> None:
        """A viewer cannot go on without a keyframe; `joining`: it has not had any picture yet."""
        ...

    def first_frame_sent(self) -> None:
        """The first video packet has left for a viewer; told once."""
        ...


class Room(Protocol):
    """One session's room. Whoever opened it closes it. `publish` never blocks: a viewer that cannot keep up loses
    packets, not the others.
    """

    @property
    def watched(self) -> bool:
        """Whether anyone would get what is published."""
        ...

    def publish(self, packet: EncodedPacket) -> None:
        """Send to every viewer: video that overflows is dropped up to the next keyframe, sound drops its oldest."""
        ...

    def drop_backlog(self) -> None:
        """Forget everything published and not yet sent."""
        ...

    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        """Answer a viewer's offer; see `fleet.port.Performer.offer`. Raises `OfferRefused`, `RoomFull`."""
        ...

    async def remove_viewer(self, viewer_id: str) -> bool: ...

    async def aclose(self) -> None:
        """Disconnect everyone; idempotent, bounded to 3 s."""
        ...
