"""A peer that only counts pictures. It neither decrypts nor decodes packets, so that receiving costs little compared to
the sending that a benchmark measures.
"""

from __future__ import annotations

import time

from visavis.rooms.sdp import read_description
from visavis.rooms.webrtc.private_names import on_encrypted_rtp
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer

# masks of the second byte of an RTP header (RFC 3550, section 5.1); the header is not encrypted
_MARKER, _PAYLOAD_TYPE = 0x80, 0x7F


class CountingPeer(ReceivingPeer):
    """Counts pictures: packets of the video's payload type with the marker bit."""

    def __init__(self) -> None:
        super().__init__()
        self._pictures, self._longest_gap_s = 0, 0.0  # since the last call of `read`
        self._last_s = 0.0
        self._video_type = -1  # set by the answer

    async def accept(self, answer: str) -> None:
        """Apply the SDP answer, wait until the connection is established, and start counting."""
        await super().accept(answer)
        video = next(section for section in read_description(answer).sections if section.kind == "video")
        self._video_type = next(codec.payload_type for codec in video.codecs if codec.mime_type == "video/vp8")
        await self.connected()
        on_encrypted_rtp(self._receivers["video"].transport, self._count)

    async def _count(self, data: bytes, arrival_time_ms: int) -> None:
        if data[1] & _MARKER and data[1] & _PAYLOAD_TYPE == self._video_type:
            now_s = time.monotonic()
            if self._last_s:
                self._longest_gap_s = max(self._longest_gap_s, now_s - self._last_s)
            self._last_s = now_s
            self._pictures += 1

    def read(self) -> tuple[int, float]:
        """Return the number of pictures since the last call, and the longest time between two of them, in seconds."""
        counted = self._pictures, self._longest_gap_s
        self._pictures, self._longest_gap_s = 0, 0.0
        return counted
