"""A peer that only counts pictures and blocks of sound. It neither decrypts nor decodes packets, and reads many of them
at once, so that receiving costs little compared to the sending that a benchmark measures. It reports what it receives,
like any viewer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
import time
from dataclasses import dataclass

from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from visavis.rooms.sdp import read_description
from visavis.rooms.webrtc.private.datagrams import ReadSocket, take_over_reading
from visavis.rooms.webrtc.private.reports import send_rtcp
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer
from visavis.rooms.webrtc.rtp import is_rtp

REPORT_EVERY_S = 1.0
READ_EVERY_S = 0.1  # the kernel keeps what comes meanwhile, and notes when each datagram came
# masks of the second byte of an RTP header (RFC 3550, section 5.1); the header is not encrypted
_MARKER, _PAYLOAD_TYPE = 0x80, 0x7F
_MAX_DATAGRAM_BYTES = 2048
_SO_TIMESTAMPNS = 35  # Linux, socket(7): the time of arrival comes with each datagram, as a timespec
_TIMESPEC = struct.Struct("@qq")


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
        self._sockets: list[ReadSocket] = []  # the same
        self._read_handle: asyncio.TimerHandle | None = None  # the same

    async def accept(self, answer: str) -> None:
        """Apply the SDP answer, wait until the connection is established, and start counting."""
        await super().accept(answer)
        mime_types = {"video": "video/vp8", "audio": "audio/opus"}
        for section in read_description(answer).sections:
            wanted = mime_types.get(section.kind)
            self._types |= {codec.payload_type: section.kind for codec in section.codecs if codec.mime_type == wanted}
        await self.connected()
        self._sockets = take_over_reading(self._receivers["video"].transport)
        if sys.platform == "linux":
            for one in self._sockets:
                one.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._read_all()
        self._reporting = asyncio.create_task(self._report())

    async def aclose(self) -> None:
        reporting, self._reporting = self._reporting, None
        if reporting is not None:
            reporting.cancel()
            await asyncio.wait([reporting])
        if self._read_handle is not None:
            self._read_handle.cancel()
        for one in self._sockets:
            one.socket.close()
        self._sockets = []
        await super().aclose()

    def _read_all(self) -> None:
        """Read what has come, now and from time to time."""
        self._read_sockets()
        self._read_handle = asyncio.get_running_loop().call_later(READ_EVERY_S, self._read_all)

    def _read_sockets(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, notes, _, address = one.socket.recvmsg(_MAX_DATAGRAM_BYTES, 64)
                    if not self._count(data, notes):
                        one.deliver(data, address)

    def _count(self, data: bytes, notes: list[tuple[int, int, bytes]]) -> bool:
        """Count a datagram with what the kernel has noted of it; return whether it is media, which goes no further."""
        if not is_rtp(data):
            return False
        kind = self._types.get(data[1] & _PAYLOAD_TYPE)
        if kind is None:
            return True
        self._streams[data[8:12]] = data[2:4]
        if kind == "video" and not data[1] & _MARKER:
            return True
        arrived_s = _arrived_s(notes)
        self._counts[kind].add(arrived_s - self._last_s.get(kind, arrived_s))
        self._last_s[kind] = arrived_s
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
        self._read_sockets()
        counted = self._counts["video"], self._counts["audio"]
        self._counts = {"video": MediaCount(), "audio": MediaCount()}
        return counted


def _arrived_s(notes: list[tuple[int, int, bytes]]) -> float:
    """Return the unix time at which a datagram has come."""
    for level, kind, value in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            return float(seconds + nanoseconds / 1e9)
    return time.time()
