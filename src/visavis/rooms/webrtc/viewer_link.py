"""One viewer of a send path: where its packets go, how they are protected, and the sender reports that it gets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from visavis.rooms import native
from visavis.rooms.port import MediaKind
from visavis.rooms.webrtc.private.paths import Path
from visavis.rooms.webrtc.private.sending import Protection
from visavis.rooms.webrtc.receiver_reports import ReceiverReports
from visavis.rooms.webrtc.rtp import KINDS, SENT_TIME_HZ, HeaderExtension, rtp_time
from visavis.rooms.webrtc.sender_reports import goodbye, ntp_timestamp, sender_report

REPORT_EVERY_S = 1.0
# What may wait in this process for a TURN server that takes no more: half a second of video and sound.
MAX_WAITING_BYTES = 64 * 1024
# A viewer that does not know the round trip asks for a lost packet every 100 ms. The answer to the first request comes
# after a round trip; it varies, so a request is heeded again a little earlier.
RESEND_AFTER_ROUND_TRIPS = 0.75
MAX_RESEND_AFTER_S = 2.0
# SRTP cannot follow a sequence number that wraps around before the first packet has come.
_FIRST_SEQUENCE_NUMBERS = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTerms:
    """What was agreed on for one kind of media. `resend_payload_type`: None if lost packets are sent again as they
    were.
    """

    ssrc: int
    resend_ssrc: int
    payload_type: int
    resend_payload_type: int | None
    extension: HeaderExtension


class ViewerLink:
    """The C side of one viewer (`viewer`), and what is done once a second. `position_sent` tells which position of a
    kind was sent last. `wall_clock_at_start_ns`: unix time of position 0. `name`: of the source, in its reports.
    """

    def __init__(
        self,
        protection: Protection,
        *,
        name: str,
        wall_clock_at_start_ns: int,
        position_sent: Callable[[MediaKind], int | None],
        reports: dict[MediaKind, ReceiverReports],
        keyframe_wanted: Callable[[], None],
    ) -> None:
        self.viewer = native.Viewer(srtp=protection.srtp, socket=native.NO_SOCKET)
        self.viewer.streams[0].first = self.viewer.streams[1].first = -1
        self.path_changed: Callable[[], None] = lambda: None
        self._protection, self._name = protection, name
        self._wall_clock_at_start_ns, self._position_sent = wall_clock_at_start_ns, position_sent
        self._reports, self._keyframe_wanted = reports, keyframe_wanted
        self._path: Path | None = None
        self._kinds: list[MediaKind] = []  # that were opened and not closed
        self._begun: set[MediaKind] = set()  # that were sent, with a first report
        self._held_up: set[MediaKind] = set()  # that were left out because too much waits
        self._report_handle: asyncio.TimerHandle | None = None

    # --- streams
    def open(self, kind: MediaKind, terms: StreamTerms) -> None:
        """Take packets of this kind from now on."""
        stream = self._stream(kind)
        stream.ssrc, stream.resend_ssrc = terms.ssrc, terms.resend_ssrc
        stream.timestamp_offset = random.getrandbits(32)
        stream.next_sequence = random.randrange(_FIRST_SEQUENCE_NUMBERS)
        stream.next_resend_sequence = random.randrange(_FIRST_SEQUENCE_NUMBERS)
        stream.extension_size = len(terms.extension.data)
        stream.time_at, stream.level_at = terms.extension.time_at, terms.extension.level_at
        stream.extension[: len(terms.extension.data)] = terms.extension.data
        stream.resend_payload_type = terms.resend_payload_type or 0
        stream.payload_type = terms.payload_type
        self._kinds.append(kind)

    def close(self, kind: MediaKind) -> bool:
        """Take no more packets of this kind, and tell the viewer; return whether it was the last kind."""
        stream = self._stream(kind)
        stream.payload_type = 0
        self._kinds.remove(kind)
        self._send_control(goodbye(stream.ssrc))
        if not self._kinds and self._report_handle is not None:
            self._report_handle.cancel()
            self._report_handle = None
        return not self._kinds

    def begin(self) -> bool:
        """Send the first report of each kind whose first packets were sent, so that the viewer can align sound and
        picture from the beginning. Return whether all kinds have begun.
        """
        for kind in self._kinds:
            if kind not in self._begun and self._stream(kind).packets:
                self._begun.add(kind)
                self._report(kind)
        if self._begun and self._report_handle is None:
            self._schedule_reports()
        return len(self._begun) == len(self._kinds)

    @property
    def waits_for_keyframe(self) -> bool:
        """Whether the viewer takes pictures and has none to go on from."""
        stream = self._stream("video")
        return bool(stream.payload_type) and stream.first < 0

    # --- the path
    def follow(self, path: Path | None) -> None:
        """Send on this path from now on; None: there is none any more."""
        self._path = path
        direct = path is not None and path.socket is not None and native.set_address(self.viewer, path.host, path.port)
        self.viewer.socket = path.socket if direct and path is not None else native.NO_SOCKET
        self.path_changed()

    @property
    def relayed(self) -> bool:
        """Whether the caller passes on what is sealed, because C has no socket to send it to."""
        return self._path is not None and self.viewer.socket == native.NO_SOCKET

    def takes_more(self, kind: MediaKind) -> bool:
        """Whether a viewer that is relayed keeps up. If not, pictures are left out up to a keyframe, and sound up to
        the next block.
        """
        if self._path is not None and self._path.waiting_bytes() <= MAX_WAITING_BYTES:
            if kind in self._held_up:
                self._held_up.remove(kind)
                if kind == "video":
                    self._keyframe_wanted()
            return True
        self._held_up.add(kind)
        stream = self._stream(kind)
        stream.dropped += 1
        stream.first = -1
        return False

    def pass_on(self, datagrams: list[bytes]) -> None:
        """Send datagrams that were sealed for this viewer."""
        if self._path is not None:
            for datagram in datagrams:
                self._path.send(datagram)

    # --- figures
    def sent_counts(self) -> tuple[int, int]:
        """Return how many packets were sent, and the bytes of their payload."""
        streams = [self._stream(kind) for kind in KINDS]
        return sum(stream.packets for stream in streams), sum(stream.bytes for stream in streams)

    def resend_counts(self) -> tuple[int, int]:
        """Return how many lost packets were sent again, and how many were not because there were too many."""
        streams = [self._stream(kind) for kind in KINDS]
        return sum(stream.resent for stream in streams), sum(stream.refused for stream in streams)

    def note_round_trip(self, round_trip_ms: float) -> None:
        """Send a lost packet again at most once in about a round trip."""
        after_s = min(MAX_RESEND_AFTER_S, RESEND_AFTER_ROUND_TRIPS * round_trip_ms / 1000)
        for kind in KINDS:
            self._stream(kind).resend_after = round(after_s * SENT_TIME_HZ)

    def dropped(self, kind: MediaKind) -> int:
        """Return how many packets did not leave because the viewer could not keep up."""
        return int(self._stream(kind).dropped)

    # --- reports
    def _schedule_reports(self) -> None:
        self._report_handle = asyncio.get_running_loop().call_later(REPORT_EVERY_S, self._send_reports)

    def _send_reports(self) -> None:
        for kind in self._begun:
            self._report(kind)
        self._schedule_reports()

    def _report(self, kind: MediaKind) -> None:
        position = self._position_sent(kind)
        if position is None:
            return
        stream = self._stream(kind)
        ntp = ntp_timestamp(self._wall_clock_at_start_ns + position * 1_000_000_000 // 48_000)
        self._reports[kind].report_sent(ntp)
        self._send_control(
            sender_report(
                ssrc=stream.ssrc,
                ntp=ntp,
                rtp_time=rtp_time(kind, position) + stream.timestamp_offset,
                packets=stream.packets,
                size_bytes=stream.bytes,
                name=self._name,
            )
        )

    def _send_control(self, packet: bytes) -> None:
        if self._path is not None:
            self._path.send(self._protection.protect_rtcp(packet))

    def _stream(self, kind: MediaKind) -> native.Stream:
        stream: native.Stream = self.viewer.streams[KINDS.index(kind)]
        return stream
