"""/v1/usage: docs/reference/rest.md, "Usage"."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import JSONResponse

from visavis.api import presenters
from visavis.api.described import usage as described
from visavis.api.described.parts import Undescribed
from visavis.api.services import AddressesDep, Caller, ServicesDep
from visavis.api.sessions import addresses_for, read_limit, reply
from visavis.errors import InvalidCursor, InvalidRequest
from visavis.ids import is_id
from visavis.sessions.calendar import month_of, read_day, read_month, read_zone
from visavis.sessions.service import MAX_LISTED
from visavis.store.usage_reports import Span
from visavis.timestamps import now_ms

router = APIRouter(prefix="/v1/usage", tags=["usage"])


@router.get("", **described.USAGE)
async def usage(services: ServicesDep, key: Caller, addresses: AddressesDep) -> JSONResponse:
    found = await services.billing.usage_of(key)
    shown = await addresses_for([one.session for one in found.active], services, addresses)
    return reply(presenters.account_usage(found, shown))


@router.get("/days", **described.DAYS)
async def days(
    services: ServicesDep,
    key: Caller,
    month: Annotated[str | None, Undescribed] = None,
    time_zone: Annotated[str, Undescribed] = "UTC",
) -> JSONResponse:
    zone = read_zone(time_zone)
    of_month = read_month(month_of(now_ms(), zone) if month is None else month, zone)
    whole = Span(began_at_ms=of_month[0].span.began_at_ms, ended_at_ms=of_month[-1].span.ended_at_ms)
    *used, total = await services.usage_reports.of_spans(key.account_id, [*(day.span for day in of_month), whole])
    return reply(presenters.usage_days(of_month, used, total, time_zone=time_zone))


@router.get("/sessions", **described.SESSIONS)
async def sessions(
    services: ServicesDep,
    key: Caller,
    date: Annotated[str | None, Undescribed] = None,
    time_zone: Annotated[str, Undescribed] = "UTC",
    limit: Annotated[str | None, Undescribed] = None,
    cursor: Annotated[str, Undescribed] = "",
) -> JSONResponse:
    zone = read_zone(time_zone)
    if date is None:
        raise InvalidRequest("date is required", suggestion="Use a day like 2024-01-15")
    span, count = read_day(date, zone).span, MAX_LISTED if limit is None else read_limit(limit)
    if cursor and not is_id("sess", cursor):
        raise InvalidCursor("Invalid cursor", suggestion="Use the next_cursor of the page before")
    found = await services.usage_reports.of_sessions(key.account_id, span, after_id=cursor, limit=count + 1)
    next_cursor = found[count - 1][0] if len(found) > count else None
    return reply(presenters.usage_sessions(found[:count], next_cursor))
