"""Instants as the service keeps them (integer milliseconds of the unix clock) and as it shows them
(`2024-01-15T12:05:30Z`).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Unix time, ms."""
    return time.time_ns() // 1_000_000


def shown(instant_ms: int) -> str:
    """Whole seconds, UTC, rounded down."""
    return datetime.fromtimestamp(instant_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown_or_none(instant_ms: int | None) -> str | None:
    return None if instant_ms is None else shown(instant_ms)


def whole_seconds_between(start_ms: int, end_ms: int) -> int:
    """The difference of the two instants as they are shown, so that a reader can check it."""
    return end_ms // 1000 - start_ms // 1000


def start_of_month_ms(instant_ms: int) -> int:
    """The first instant of its month, UTC: where a plan's included minutes begin anew."""
    month = datetime.fromtimestamp(instant_ms // 1000, UTC).replace(day=1, hour=0, minute=0, second=0)
    return int(month.timestamp()) * 1000
