"""How many reports of a viewer are read, on a virtual clock."""

from __future__ import annotations

from visavis.rooms.webrtc.report_allowance import BURST, REPORTS_PER_S, ReportAllowance


def test_the_reports_of_a_browser_on_a_bad_network_are_all_read() -> None:
    allowance = ReportAllowance()
    assert all(allowance.take(number / 60) for number in range(60 * 60))
    assert allowance.refused == 0


def test_a_flood_is_read_up_to_a_bound_and_the_rest_is_counted() -> None:
    allowance = ReportAllowance()
    read = sum(allowance.take(number / 10_000) for number in range(10 * 10_000))
    assert BURST + 10 * REPORTS_PER_S - 2 <= read <= BURST + 10 * REPORTS_PER_S
    assert allowance.refused == 10 * 10_000 - read


def test_after_a_flood_reports_are_read_again() -> None:
    allowance = ReportAllowance()
    assert sum(allowance.take(0.0) for _ in range(10 * BURST)) == BURST
    assert sum(allowance.take(0.1) for _ in range(BURST)) == REPORTS_PER_S // 10
    assert sum(allowance.take(1000.0) for _ in range(10 * BURST)) == BURST
