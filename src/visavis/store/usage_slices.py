"""How a session is cut into entries of the usage ledger. Pure.

An entry is the part of a session that lies within one minute of the clock, so it is at most a minute long. Midnight in
every time zone is the beginning of a minute: the entries of a day, in whatever zone, add up to that day.

A billed minute begins with the session and every 60 s after that. It belongs to the entry in which it begins. All
instants are unix milliseconds.
"""

from __future__ import annotations

MINUTE_MS = 60_000


def entry_number(*, started_at_ms: int, until_ms: int) -> int:
    """Return the number, from 0, of the entry that a session has come to."""
    return max(0, -(-until_ms // MINUTE_MS) - started_at_ms // MINUTE_MS - 1)


def entry_bounds(*, started_at_ms: int, number: int) -> tuple[int, int]:
    """Return when an entry begins, and when it ends at the latest."""
    ends_at_ms = (started_at_ms // MINUTE_MS + number + 1) * MINUTE_MS
    return max(started_at_ms, ends_at_ms - MINUTE_MS), ends_at_ms


def minutes_begun(*, started_at_ms: int, until_ms: int) -> int:
    """Return how many billed minutes have begun: whole ones, rounded up, at least one."""
    return max(1, -(-(until_ms - started_at_ms) // MINUTE_MS))


def entry_of_minute(*, started_at_ms: int, minute: int) -> int:
    """Return the number of the entry in which a billed minute, counted from 0, begins."""
    return (started_at_ms + minute * MINUTE_MS) // MINUTE_MS - started_at_ms // MINUTE_MS


def seconds_between(began_at_ms: int, until_ms: int) -> int:
    """Return the whole seconds of a part of a session. Those of adjoining parts add up to those of the whole."""
    return until_ms // 1000 - began_at_ms // 1000
