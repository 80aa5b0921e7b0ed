"""Times as the service stores them (integer unix milliseconds) and as clients see them (`2024-01-15T12:05:30Z`)."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Return the unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def format_time(instant_ms: int) -> str:
    """Return the time in UTC, rounded down to whole seconds."""
    return datetime.fromtimestamp(instant_ms // 1000, UTC).isoformat()[:19] + "Z"  # strftime takes three times as long


def format_time_or_none(instant_ms: int | None) -> str | None:
    return None if instant_ms is None else format_time(instant_ms)


def whole_seconds_between(start_ms: int, end_ms: int) -> int:
    """Return the difference of the two times after rounding, so that it agrees with the times that clients see."""
    return end_ms // 1000 - start_ms // 1000


def end_of_month_ms(instant_ms: int) -> int:
    """Return the end of the month in UTC, which is the start of the next one."""
    return start_of_month_ms(start_of_month_ms(instant_ms) + 32 * 24 * 3_600_000)


def start_of_month_ms(instant_ms: int) -> int:
    """Return the start of the month in UTC, when a plan's included minutes are reset."""
    month = datetime.fromtimestamp(instant_ms // 1000, UTC).replace(day=1, hour=0, minute=0, second=0)
    return int(month.timestamp()) * 1000
