"""Days and months in a time zone, as spans of the usage ledger. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from visavis.errors import InvalidRequest
from visavis.store.usage_reports import Span

FIRST_YEAR, LAST_YEAR = 2000, 2199  # whose time zones differ from UTC by full minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    date: date
    span: Span


def read_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name, such as Europe/Berlin. Raises `InvalidRequest`."""
    try:
        if re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", name) is None:
            raise ZoneInfoNotFoundError
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidRequest("Invalid time_zone", suggestion="Use a name like Europe/Berlin, or UTC") from None


def read_day(text: str, zone: ZoneInfo) -> Day:
    """Return a day that is written like 2024-01-15. Raises `InvalidRequest`."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) is None:
            raise ValueError
        return _day(_in_range(date.fromisoformat(text)), zone)
    except ValueError:
        raise InvalidRequest("Invalid date", suggestion="Use a day like 2024-01-15") from None


def read_month(text: str, zone: ZoneInfo) -> list[Day]:
    """Return the days of a month that is written like 2024-01. Raises `InvalidRequest`."""
    try:
        if re.fullmatch(r"\d{4}-\d\d", text, re.ASCII) is None:
            raise ValueError
        first = _in_range(date.fromisoformat(f"{text}-01"))
    except ValueError:
        raise InvalidRequest("Invalid month", suggestion="Use a month like 2024-01") from None
    days = (first + timedelta(days=number) for number in range(31))
    return [_day(day, zone) for day in days if day.month == first.month]


def month_of(instant_ms: int, zone: ZoneInfo) -> str:
    """Return the month of an instant, like 2024-01."""
    return datetime.fromtimestamp(instant_ms // 1000, zone).strftime("%Y-%m")


def _in_range(day: date) -> date:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError
    return day


def _day(day: date, zone: ZoneInfo) -> Day:
    began, ended = (_midnight_ms(one, zone) for one in (day, day + timedelta(days=1)))
    return Day(date=day, span=Span(began_at_ms=began, ended_at_ms=ended))


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, time(), tzinfo=zone).timestamp()) * 1000
