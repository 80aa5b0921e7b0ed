"""How long sessions last and what they are billed, whatever the clocks do."""

from __future__ import annotations

import pytest

from tests.store.records import make_session
from visavis.sessions.lifecycle import EndReason
from visavis.sessions.metering import SessionClock, billed_minutes, ended_at_ms, last_seen_ms

NOON_MS = 1_700_000_000_000


def test_the_clock_of_a_session_runs_with_the_monotonic_clock() -> None:
    clock = SessionClock(started_at_ms=NOON_MS, started_s=50.0)
    assert [clock.instant_ms(now_s=now_s) - NOON_MS for now_s in (50.0, 50.25, 110.0, 49.0)] == [0, 250, 60_000, 0]


@pytest.mark.parametrize(
    ("now_ms", "reason", "expected_ms"),
    [
        (NOON_MS + 60_003, EndReason.EXPIRED, NOON_MS + 60_000),
        (NOON_MS + 59_999, EndReason.EXPIRED, NOON_MS + 60_000),
        (NOON_MS + 60_003, EndReason.CLIENT, NOON_MS + 60_000),
        (NOON_MS + 30_000, EndReason.CLIENT, NOON_MS + 30_000),
        (NOON_MS - 3_600_000, EndReason.ROOM_EMPTY, NOON_MS),
    ],
)
def test_a_session_ends_between_its_start_and_its_expiration(now_ms: int, reason: EndReason, expected_ms: int) -> None:
    record = make_session("sess_1", started_at_ms=NOON_MS, expiration_ms=NOON_MS + 60_000)
    assert ended_at_ms(record, reason, now_ms=now_ms) == expected_ms


def test_a_session_without_expiration_ends_now() -> None:
    record = make_session("sess_1", started_at_ms=NOON_MS)
    assert ended_at_ms(record, EndReason.CLIENT, now_ms=NOON_MS + 7) == NOON_MS + 7
    assert ended_at_ms(record, EndReason.CLIENT, now_ms=NOON_MS - 7) == NOON_MS


def test_a_session_that_is_not_performed_lasted_until_it_was_last_seen() -> None:
    assert last_seen_ms(make_session("sess_1", started_at_ms=NOON_MS, seen_at_ms=NOON_MS + 9)) == NOON_MS + 9
    assert last_seen_ms(make_session("sess_1", started_at_ms=NOON_MS, seen_at_ms=NOON_MS - 9)) == NOON_MS
    assert last_seen_ms(make_session("sess_1", started_at_ms=NOON_MS)) == NOON_MS


def test_minutes_are_whole_ones_and_a_started_session_has_at_least_one() -> None:
    lengths_ms = (-3_600_000, 0, 1, 60_000, 60_001, 330_000)
    billed = [billed_minutes(started_at_ms=NOON_MS, until_ms=NOON_MS + length_ms) for length_ms in lengths_ms]
    assert billed == [1, 1, 1, 1, 2, 6]
    assert billed_minutes(started_at_ms=None, until_ms=NOON_MS) == 0
