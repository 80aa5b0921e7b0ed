"""What a viewer reports about one stream (RTCP, RFC 3550, section 6.4): the round trip, and the packets it lost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

KEPT_REPORTS = 8  # sender reports whose answer may still come
_UNITS_PER_S = 65_536  # of the delay since the last sender report


class ReceiverReports:
    """The newest report of one stream. A sender report is recognised by the middle 32 bits of its NTP time. `clock_ns`:
    ns of any monotonic clock.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._sent: deque[tuple[int, int]] = deque(maxlen=KEPT_REPORTS)  # (middle bits, when it was sent)
        self.round_trip_ms: float | None = None
        self.lost_share = 0.0  # since the report before

    def report_sent(self, ntp_timestamp: int) -> None:
        """A sender report has been sent."""
        self._sent.append((_middle_bits(ntp_timestamp), self._clock_ns()))

    def take(self, *, last_report: int, delay: int, fraction_lost: int) -> None:
        """A receiver report has come. `last_report`: the middle bits of the sender report that it answers, 0 for none;
        `delay`: since that one arrived, in 1/65536 s; `fraction_lost`: 0 to 255. Values come from a stranger.
        """
        self.lost_share = fraction_lost / 256
        sent_ns = next((at_ns for bits, at_ns in reversed(self._sent) if bits == last_report), None)
        if not last_report or sent_ns is None:
            return
        round_trip_ms = (self._clock_ns() - sent_ns) / 1e6 - delay * 1000 / _UNITS_PER_S
        if round_trip_ms >= 0:
            self.round_trip_ms = round_trip_ms


def _middle_bits(ntp_timestamp: int) -> int:
    return ntp_timestamp >> 16 & 0xFFFFFFFF
