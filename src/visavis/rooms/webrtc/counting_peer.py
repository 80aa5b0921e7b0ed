"""A peer that receives and only counts pictures: its packets are neither decrypted nor decoded, so that receiving costs
little beside the sending that a benchmark measures.
"""

from __future__ import annotations

import time

from visavis.rooms.webrtc.private_names import take_undecrypted_rtp
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer
from visavis.rooms.webrtc.sdp import read_media_sections

# of the second byte of an RTP header (RFC 3550, section 5.1); the header is not encrypted
_MARKER, _PAYLOAD_TYPE = 0x80, 0x7F


class CountingPeer(ReceivingPeer):
    """Counts pictures: packets with the marker bit, of the payload type that is the video's."""

    def __init__(self) -> None:
        super().__init__()
        self._pictures, self._longest_gap_s = 0, 0.0  # since they were last read
        self._last_s = 0.0
        self._video_type = -1  # until the answer is known

    async def accept(self, answer: str) -> None:
        """Apply the SDP answer, wait until the connection is up, and count from then on."""
        await super().accept(answer)
        video = next(section for section in read_media_sections(answer) if section.kind == "video")
        self._video_type = next(codec.payload_type for codec in video.codecs if codec.mime_type == "video/vp8")
        await self.connected()
        take_undecrypted_rtp(self._receivers["video"].transport, self._count)

    async def _count(self, data: bytes, arrival_time_ms: int) -> None:
        if data[1] & _MARKER and data[1] & _PAYLOAD_TYPE == self._video_type:
            now_s = time.monotonic()
            if self._last_s:
                self._longest_gap_s = max(self._longest_gap_s, now_s - self._last_s)
            self._last_s = now_s
            self._pictures += 1

    def read(self) -> tuple[int, float]:
        """Return the pictures that have come since the last call, and the longest time between two of them, in s."""
        counted = self._pictures, self._longest_gap_s
        self._pictures, self._longest_gap_s = 0, 0.0
        return counted
