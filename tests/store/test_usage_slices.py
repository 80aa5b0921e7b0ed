"""Sessions are cut at the minutes of the clock, and billed by minutes of their own."""

from __future__ import annotations

import itertools
from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from visavis.sessions.metering import billed_minutes
from visavis.store.usage_slices import (
    MINUTE_MS,
    entry_bounds,
    entry_number,
    entry_of_minute,
    minutes_begun,
    seconds_between,
)

STARTS = st.integers(min_value=1_600_000_000_000, max_value=1_900_000_000_000)
LENGTHS = st.one_of(st.integers(min_value=0, max_value=4_000_000), st.integers(0, 60).map(lambda one: one * MINUTE_MS))


def parts(started_at_ms: int, until_ms: int) -> list[tuple[int, int]]:
    last = entry_number(started_at_ms=started_at_ms, until_ms=until_ms)
    bounds = [entry_bounds(started_at_ms=started_at_ms, number=number) for number in range(last + 1)]
    return [(began_at_ms, min(latest_ms, until_ms)) for began_at_ms, latest_ms in bounds]


def test_a_session_of_five_and_a_half_minutes() -> None:
    noon_ms = 1_700_000_040_000 // MINUTE_MS * MINUTE_MS
    started_at_ms, until_ms = noon_ms + 50_000, noon_ms + 50_000 + 330_000
    assert [(began - noon_ms, until - noon_ms) for began, until in parts(started_at_ms, until_ms)] == [
        (50_000, 60_000),
        *((minute * 60_000, minute * 60_000 + 60_000) for minute in range(1, 6)),
        (360_000, 380_000),
    ]
    assert [entry_of_minute(started_at_ms=started_at_ms, minute=minute) for minute in range(6)] == [0, 1, 2, 3, 4, 5]


@given(STARTS, LENGTHS)
def test_the_entries_of_a_session_adjoin_and_each_lies_within_one_minute(started_at_ms: int, length_ms: int) -> None:
    until_ms = started_at_ms + length_ms
    found = parts(started_at_ms, until_ms)
    assert found[0][0] == started_at_ms and found[-1][1] == until_ms
    assert all(before[1] == after[0] for before, after in itertools.pairwise(found))
    for number, (began_at_ms, ended_at_ms) in enumerate(found):
        assert began_at_ms // MINUTE_MS == max(began_at_ms, ended_at_ms - 1) // MINUTE_MS
        assert (began_at_ms < ended_at_ms) or (number == 0 and length_ms == 0)
    seconds = [seconds_between(began_at_ms, ended_at_ms) for began_at_ms, ended_at_ms in found]
    assert sum(seconds) == until_ms // 1000 - started_at_ms // 1000


@given(STARTS, LENGTHS)
def test_each_billed_minute_begins_in_one_entry(started_at_ms: int, length_ms: int) -> None:
    until_ms = started_at_ms + length_ms
    begun = minutes_begun(started_at_ms=started_at_ms, until_ms=until_ms)
    assert begun == billed_minutes(started_at_ms=started_at_ms, until_ms=until_ms)
    found = parts(started_at_ms, until_ms)
    numbers = [entry_of_minute(started_at_ms=started_at_ms, minute=minute) for minute in range(begun)]
    assert len(set(numbers)) == begun and numbers[-1] < len(found)
    for minute, number in enumerate(numbers):
        began_at_ms, ended_at_ms = found[number]
        assert began_at_ms <= started_at_ms + minute * MINUTE_MS <= ended_at_ms


@given(STARTS, LENGTHS, st.sampled_from(["Asia/Kathmandu", "Europe/Berlin", "America/St_Johns", "Pacific/Chatham"]))
def test_no_entry_lies_in_two_days_of_any_time_zone(started_at_ms: int, length_ms: int, zone: str) -> None:
    def day(instant_ms: int) -> object:
        return datetime.fromtimestamp(instant_ms / 1000, ZoneInfo(zone)).date()

    for began_at_ms, ended_at_ms in parts(started_at_ms, started_at_ms + length_ms):
        assert day(began_at_ms) == day(max(began_at_ms, ended_at_ms - 1))
