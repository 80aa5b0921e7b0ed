"""A viewer of a send path on this machine, without ICE and DTLS: a socket, keys, and what has arrived."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass, field

from pylibsrtp import Policy, Session

from visavis.rooms.port import MediaKind
from visavis.rooms.webrtc.private.paths import Path
from visavis.rooms.webrtc.private.sending import Protection, srtp_address
from visavis.rooms.webrtc.receiver_reports import ReceiverReports
from visavis.rooms.webrtc.rtp import HeaderExtension
from visavis.rooms.webrtc.send_path import SendPath
from visavis.rooms.webrtc.viewer_link import StreamTerms, ViewerLink

SSRCS: dict[MediaKind, int] = {"video": 1000, "audio": 1001}
PAYLOAD_TYPES: dict[MediaKind, int] = {"video": 96, "audio": 111}
RESEND_SSRC, RESEND_TYPE = 2000, 97
START_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Rtp:
    """A decrypted packet."""

    ssrc: int
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes

    @classmethod
    def read(cls, data: bytes) -> Rtp:
        _, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHLL", data)
        return cls(ssrc, sequence, timestamp, bool(second & 0x80), data[12:])


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report."""

    ssrc: int
    ntp: int
    rtp_time: int
    packets: int


@dataclass
class LocalViewer:
    """`waiting_bytes`: what a TURN server has not taken yet."""

    path: SendPath
    kinds: tuple[MediaKind, ...] = ("video", "audio")
    relayed: bool = False
    waiting_bytes: int = 0
    keyframes_wanted: int = 0
    passed_on: list[bytes] = field(default_factory=list)  # through the path, not the socket

    def __post_init__(self) -> None:
        self.receiving, self.sending = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.receiving.bind(("127.0.0.1", 0))
        self.receiving.setblocking(False)
        key = os.urandom(30)
        encrypting, self._decrypting = (
            Session(_policy(key, direction)) for direction in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND)
        )
        protection = Protection(srtp=srtp_address(encrypting), protect_rtcp=encrypting.protect_rtcp, session=encrypting)
        self.reports: dict[MediaKind, ReceiverReports] = {kind: ReceiverReports() for kind in self.kinds}
        self.link = ViewerLink(
            protection,
            name="visavis",
            wall_clock_at_start_ns=START_NS,
            position_sent=self.path.position_sent,
            reports=self.reports,
            keyframe_wanted=self._note_keyframe,
        )
        for kind in self.kinds:
            terms = StreamTerms(
                ssrc=SSRCS[kind],
                resend_ssrc=RESEND_SSRC,
                payload_type=PAYLOAD_TYPES[kind],
                resend_payload_type=RESEND_TYPE if kind == "video" else None,
                extension=HeaderExtension(),
            )
            self.link.open(kind, terms)
            self.path.add(self.link)
        self.link.follow(self.route())

    def route(self) -> Path:
        host, port = self.receiving.getsockname()
        return Path(
            socket=None if self.relayed else self.sending.fileno(),
            host=host,
            port=port,
            send=self.passed_on.append,
            waiting_bytes=lambda: self.waiting_bytes,
        )

    def _note_keyframe(self) -> None:
        self.keyframes_wanted += 1

    def arrived(self) -> list[Rtp]:
        """Return the packets that have arrived since the last call."""
        datagrams = []
        try:
            while True:
                datagrams.append(self.receiving.recv(2048))
        except BlockingIOError:
            pass
        return [Rtp.read(self._decrypting.unprotect(data)) for data in datagrams]

    def relayed_packets(self) -> list[Rtp]:
        """Return the packets that were passed on since the last call of this or of `reported`."""
        taken, self.passed_on[:] = list(self.passed_on), []
        return [Rtp.read(self._decrypting.unprotect(data)) for data in taken if not _is_rtcp(data)]

    def reported(self) -> list[Report]:
        """Return the sender reports since the last call."""
        taken, self.passed_on[:] = list(self.passed_on), []
        plain = [self._decrypting.unprotect_rtcp(data) for data in taken if _is_rtcp(data)]
        return [Report(*struct.unpack_from("!LQLL", data, 4)) for data in plain if data[1] == 200]

    def close(self) -> None:
        for kind in self.kinds:
            self.link.close(kind)
        self.path.remove(self.link)
        self.link.follow(None)
        self.receiving.close()
        self.sending.close()


def _policy(key: bytes, direction: int) -> Policy:
    policy = Policy(key=key, ssrc_type=direction)
    policy.allow_repeat_tx = True
    policy.window_size = 1024
    return policy


def _is_rtcp(data: bytes) -> bool:
    return 192 <= data[1] <= 223
