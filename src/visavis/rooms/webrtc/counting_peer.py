"""A peer that only counts pictures and blocks of sound. It neither decrypts nor decodes packets, so that receiving
costs little compared to the sending that a benchmark measures.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from visavis.rooms.sdp import read_description
from visavis.rooms.webrtc.private_names import on_encrypted_rtp
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer

# masks of the second byte of an RTP header (RFC 3550, section 5.1); the header is not encrypted
_MARKER, _PAYLOAD_TYPE = 0x80, 0x7F


@dataclass(slots=True)
class MediaCount:
    """What came since the last count: how many of one kind, and the longest time between two of them. `missing`: of
    sound, how many of the sequence never came.
    """

    received: int = 0
    missing: int = 0
    longest_gap_s: float = 0.0

    def add(self, gap_s: float) -> None:
        self.received += 1
        self.longest_gap_s = max(self.longest_gap_s, gap_s)


class CountingPeer(ReceivingPeer):
    """Counts pictures (packets of the video's payload type with the marker bit) and blocks of sound (all packets of the
    sound's payload type).
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, MediaCount] = {"video": MediaCount(), "audio": MediaCount()}
        self._last_s: dict[str, float] = {}
        self._last_sound: int | None = None  # the highest sequence number of a block of sound
        self._types: dict[int, str] = {}  # kinds by payload type; set by the answer

    async def accept(self, answer: str) -> None:
        """Apply the SDP answer, wait until the connection is established, and start counting."""
        await super().accept(answer)
        mime_types = {"video": "video/vp8", "audio": "audio/opus"}
        for section in read_description(answer).sections:
            wanted = mime_types.get(section.kind)
            self._types |= {codec.payload_type: section.kind for codec in section.codecs if codec.mime_type == wanted}
        await self.connected()
        on_encrypted_rtp(self._receivers["video"].transport, self._count)

    async def _count(self, data: bytes, arrival_time_ms: int) -> None:
        kind = self._types.get(data[1] & _PAYLOAD_TYPE)
        if kind is None or (kind == "video" and not data[1] & _MARKER):
            return
        now_s = time.monotonic()
        self._counts[kind].add(now_s - self._last_s.get(kind, now_s))
        self._last_s[kind] = now_s
        if kind == "audio":
            self._note_sequence(int.from_bytes(data[2:4], "big"))

    def _note_sequence(self, number: int) -> None:
        ahead = 1 if self._last_sound is None else (number - self._last_sound) & 0xFFFF
        if 0 < ahead < 0x8000:
            self._counts["audio"].missing += ahead - 1
            self._last_sound = number

    def read(self) -> tuple[MediaCount, MediaCount]:
        """Return the pictures and the blocks of sound since the last call."""
        counted = self._counts["video"], self._counts["audio"]
        self._counts = {"video": MediaCount(), "audio": MediaCount()}
        return counted
