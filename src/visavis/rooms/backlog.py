"""The packets of one kind that have not been sent to a viewer yet: a bounded queue. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from visavis.rooms.port import EncodedPacket, MediaKind

MAX_VIDEO_PACKETS = 15  # about half a second; beyond it all are dropped, and video resumes with the next keyframe
MAX_AUDIO_PACKETS = 50  # one second; beyond it the oldest is dropped


class Backlog:
    """Video begins with a keyframe, also after packets were dropped. `dropped`: how many packets the viewer has lost so
    far because it could not keep up.
    """

    def __init__(self, kind: MediaKind) -> None:
        self._kind = kind
        self._packets: deque[EncodedPacket] = deque()
        self._needs_keyframe = kind == "video"  # until the next one comes
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._packets)

    def put(self, packet: EncodedPacket) -> bool:
        """Add a packet; return whether the encoder must make a keyframe, because pictures were dropped."""
        if self._needs_keyframe and not packet.keyframe:
            return False
        keyframe_missing = False
        if self._kind == "audio":
            if len(self._packets) >= MAX_AUDIO_PACKETS:
                self._packets.popleft()
                self.dropped += 1
        elif len(self._packets) >= MAX_VIDEO_PACKETS:
            self.dropped += len(self._packets)
            self.drop()
            keyframe_missing = not packet.keyframe
        if not keyframe_missing:
            self._needs_keyframe = False
            self._packets.append(packet)
        return keyframe_missing

    @property
    def first_position(self) -> int | None:
        """The position of the oldest packet."""
        return self._packets[0].position if self._packets else None

    def take(self) -> EncodedPacket | None:
        """Remove and return the oldest packet, None if there is none."""
        return self._packets.popleft() if self._packets else None

    def drop(self) -> bool:
        """Drop all packets; return whether the encoder must make a keyframe, because pictures were dropped."""
        pictures_dropped = self._kind == "video" and bool(self._packets)
        self._packets.clear()
        self._needs_keyframe = self._needs_keyframe or pictures_dropped
        return pictures_dropped


def first_unheard(dropped: Sequence[int | None]) -> int | None:
    """Return the position of the first block of sound that none of several receivers gets. `dropped`: of each receiver,
    that of the first block that was dropped, None if none was.
    """
    positions = [position for position in dropped if position is not None]
    return max(positions) if positions and len(positions) == len(dropped) else None
