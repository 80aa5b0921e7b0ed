"""Which datagrams of a viewer are read, before anything of them is decrypted or parsed. Pure: the caller passes the
time.

A viewer sends the handshake (DTLS) and reports (RTCP). Whoever knows its address can send datagrams in its name, and
the viewer itself may send what it likes. A room takes no media from viewers, so that RTP is never read.
"""

from __future__ import annotations

from visavis.rooms.webrtc.allowance import Allowance

REPORTS_PER_S = 200  # browsers send up to 60 on a bad network: lost packets every 20 ms, and reports
REPORTS_AT_ONCE = 400
HANDSHAKES_PER_S = 50  # datagrams; a handshake has 3 to 8, and is repeated after 0.1 s and more
HANDSHAKES_AT_ONCE = 100
MAX_LOST = 512  # packets that one report may name; as many as may be sent again in a row
MAX_SOURCES = 16  # that report; browsers use one or two. libsrtp keeps the state of each for good

_HANDSHAKE, _MEDIA, _REPORT = range(20, 64), range(128, 192), range(192, 224)  # RFC 7983, RFC 5761
_REPORT_HEADER_BYTES = 8


class InboundGate:
    """The gate of one viewer."""

    def __init__(self) -> None:
        self._reports = Allowance(per_s=REPORTS_PER_S, burst=REPORTS_AT_ONCE)
        self._handshakes = Allowance(per_s=HANDSHAKES_PER_S, burst=HANDSHAKES_AT_ONCE)
        self._sources: set[bytes] = set()
        self._others_refused = 0

    @property
    def refused(self) -> int:
        """How many datagrams were not let in."""
        return self._reports.refused + self._handshakes.refused + self._others_refused

    def lets_in(self, datagram: bytes, now_s: float) -> bool:
        """Whether a datagram is read. `now_s`: of any monotonic clock."""
        first = datagram[0] if datagram else 0
        if first in _HANDSHAKE:
            return self._handshakes.take(now_s)
        if first in _MEDIA and len(datagram) >= _REPORT_HEADER_BYTES and datagram[1] in _REPORT:
            return self._knows(datagram[4:8]) and self._reports.take(now_s)
        self._others_refused += 1
        return False

    def _knows(self, source: bytes) -> bool:
        """Whether reports of this source are read: those of the first few that come."""
        if source in self._sources:
            return True
        if len(self._sources) < MAX_SOURCES:
            self._sources.add(source)
            return True
        self._others_refused += 1
        return False
