"""Logs: events that repeat are counted instead of written."""

from __future__ import annotations

import logging

from visavis.logs import REPEATS, WITHIN_S, RepeatLimit


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_an_event_that_repeats_is_written_a_few_times_and_then_counted() -> None:
    clock = Clock()
    limit = RepeatLimit(clock)
    assert [limit.admit("flood") for _ in range(1000)] == [0] * REPEATS + [None] * (1000 - REPEATS)
    assert limit.admit("something else") == 0
    clock.now_s = WITHIN_S
    assert limit.admit("flood") == 1000 - REPEATS
    assert limit.admit("flood") == 0


def test_records_of_libraries_are_limited_by_their_message_without_its_values() -> None:
    limit = RepeatLimit(Clock())
    records = [logging.LogRecord("asyncio", logging.ERROR, "", 0, "fd %d", (n,), None) for n in range(100)]
    assert sum(limit.filter(record) for record in records) == REPEATS


def test_the_number_of_counted_events_is_bounded() -> None:
    limit = RepeatLimit(Clock())
    for n in range(5000):
        limit.admit(f"event {n}")
    assert len(limit._counts) <= 1000
