"""Round trips and losses from a viewer's reports, on a virtual clock."""

from __future__ import annotations

from visavis.rooms.webrtc.receiver_reports import KEPT_REPORTS, ReceiverReports
from visavis.rooms.webrtc.sender_reports import ntp_timestamp


class Reports(ReceiverReports):
    def __init__(self) -> None:
        self.now_ns = 5_000_000_000
        super().__init__(lambda: self.now_ns)


def middle(ntp: int) -> int:
    return ntp >> 16 & 0xFFFFFFFF


def test_the_round_trip_leaves_out_the_time_at_the_viewer() -> None:
    reports = Reports()
    ntp = ntp_timestamp(1_700_000_000_000_000_000)
    reports.report_sent(ntp)
    reports.now_ns += 130_000_000
    reports.take(last_report=middle(ntp), delay=65_536 // 10, fraction_lost=64)
    assert reports.round_trip_ms is not None and 29.9 < reports.round_trip_ms < 30.1
    assert reports.lost_share == 0.25


def test_an_older_report_may_be_answered() -> None:
    reports = Reports()
    first, second = ntp_timestamp(1_700_000_000_000_000_000), ntp_timestamp(1_700_000_001_000_000_000)
    reports.report_sent(first)
    reports.now_ns += 10_000_000
    reports.report_sent(second)
    reports.now_ns += 10_000_000
    reports.take(last_report=middle(first), delay=0, fraction_lost=0)
    assert reports.round_trip_ms == 20.0


def test_reports_that_answer_nothing_or_lie_change_no_round_trip() -> None:
    reports = Reports()
    ntp = ntp_timestamp(1_700_000_000_000_000_000)
    reports.report_sent(ntp)
    reports.take(last_report=0, delay=0, fraction_lost=255)
    reports.take(last_report=12345, delay=0, fraction_lost=255)
    reports.take(last_report=middle(ntp), delay=0xFFFFFFFF, fraction_lost=255)
    assert reports.round_trip_ms is None and 0.99 < reports.lost_share < 1
    for second in range(KEPT_REPORTS):
        reports.report_sent(ntp + ((second + 1) << 32))
    reports.take(last_report=middle(ntp), delay=0, fraction_lost=0)
    assert reports.round_trip_ms is None
