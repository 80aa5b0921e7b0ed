"""A peer that only counts pictures and blocks of sound. It neither decrypts nor decodes packets, so that receiving
costs little compared to the sending that a benchmark measures. It reports what it receives, like any viewer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from visavis.rooms.sdp import read_description
from visavis.rooms.webrtc.private_names import on_datagram, send_rtcp
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer
from visavis.rooms.webrtc.rtp import is_rtp

REPORT_EVERY_S = 1.0
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
        self._streams: dict[bytes, bytes] = {}  # by SSRC: the newest sequence number
        self._reporting: asyncio.Task[None] | None = None  # from the connection to `aclose`

    async def accept(self, answer: str) -> None:
        """Apply the SDP answer, wait until the connection is established, and start counting."""
        await super().accept(answer)
        mime_types = {"video": "video/vp8", "audio": "audio/opus"}
        for section in read_description(answer).sections:
            wanted = mime_types.get(section.kind)
            self._types |= {codec.payload_type: section.kind for codec in section.codecs if codec.mime_type == wanted}
        await self.connected()
        on_datagram(self._receivers["video"].transport, self._count)
        self._reporting = asyncio.create_task(self._report())

    async def aclose(self) -> None:
        reporting, self._reporting = self._reporting, None
        if reporting is not None:
            reporting.cancel()
            await asyncio.wait([reporting])
        await super().aclose()

    def _count(self, data: bytes) -> bool:
        """Count a datagram; return whether it is media, which goes no further."""
        if not is_rtp(data):
            return False
        kind = self._types.get(data[1] & _PAYLOAD_TYPE)
        if kind is None:
            return True
        self._streams[data[8:12]] = data[2:4]
        if kind == "video" and not data[1] & _MARKER:
            return True
        now_s = time.monotonic()
        self._counts[kind].add(now_s - self._last_s.get(kind, now_s))
        self._last_s[kind] = now_s
        if kind == "audio":
            self._note_sequence(int.from_bytes(data[2:4], "big"))
        return True

    def _note_sequence(self, number: int) -> None:
        ahead = 1 if self._last_sound is None else (number - self._last_sound) & 0xFFFF
        if 0 < ahead < 0x8000:
            self._counts["audio"].missing += ahead - 1
            self._last_sound = number

    async def _report(self) -> None:
        """Report once a second that all has come."""
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(REPORT_EVERY_S)
                reports = [
                    RtcpReceiverInfo(
                        ssrc=int.from_bytes(ssrc),
                        fraction_lost=0,
                        packets_lost=0,
                        highest_sequence=int.from_bytes(newest),
                        jitter=0,
                        lsr=0,
                        dlsr=0,
                    )
                    for ssrc, newest in self._streams.items()
                ]
                packet = RtcpRrPacket(ssrc=1, reports=reports)
                await send_rtcp(self._receivers["video"].transport, packet)

    def read(self) -> tuple[MediaCount, MediaCount]:
        """Return the pictures and the blocks of sound since the last call."""
        counted = self._counts["video"], self._counts["audio"]
        self._counts = {"video": MediaCount(), "audio": MediaCount()}
        return counted
