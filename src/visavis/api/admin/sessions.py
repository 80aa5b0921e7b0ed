"""/v1/admin/sessions: the sessions of every account. docs/reference/admin.md, "Sessions"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import JSONResponse

from visavis.api import presenters as answers
from visavis.api.admin import presenters, schemas
from visavis.api.admin.parts import names_of, read_count, read_id
from visavis.api.cursors import cursor_after, read_cursor
from visavis.api.described.admin import sessions as described
from visavis.api.described.parts import Undescribed
from visavis.api.services import Services, ServicesDep
from visavis.api.sessions import STATUSES, reply
from visavis.errors import InvalidRequest
from visavis.sessions.lifecycle import EndReason
from visavis.store.records import SessionRecord

router = APIRouter(prefix="/v1/admin/sessions", tags=["admin"])


@router.get("", **described.LIST)
async def listed(
    services: ServicesDep,
    status: Annotated[str, Undescribed] = "all",
    account_id: Annotated[str | None, Undescribed] = None,
    reason: Annotated[str | None, Undescribed] = None,
    limit: Annotated[str | None, Undescribed] = None,
    cursor: Annotated[str | None, Undescribed] = None,
) -> JSONResponse:
    if status not in STATUSES:
        raise InvalidRequest("Invalid status", suggestion="Use all, created, started or ended")
    if reason is not None and reason not in set(EndReason):
        raise InvalidRequest("Invalid reason", suggestion=f"Use {', '.join(EndReason)}")
    page = await services.sessions.newest(
        read_id("acct", "account_id", account_id),
        statuses=STATUSES[status],
        limit=read_count(limit),
        before=None if cursor is None else read_cursor(cursor),
        end_reason=None if reason is None else EndReason(reason),
    )
    next_cursor = None if page.last is None else cursor_after(page.last)
    shown = await _shown(services, page.sessions)
    return reply(schemas.AdminSessionPage(sessions=shown, next_cursor=next_cursor))


@router.get("/{session_id}", **described.GET)
async def get(session_id: str, services: ServicesDep) -> JSONResponse:
    return await _one(services, session_id)


@router.get("/{session_id}/metrics", **described.METRICS)
async def metrics(session_id: str, services: ServicesDep) -> JSONResponse:
    record = await services.sessions.find(session_id)
    return reply(answers.session_metrics(record, services.live.metrics_of(record)))


@router.post("/{session_id}/end", **described.END)
async def end(session_id: str, services: ServicesDep) -> JSONResponse:
    await services.sessions.end_as_operator(session_id)
    return await _one(services, session_id)


async def _one(services: Services, session_id: str) -> JSONResponse:
    (shown,) = await _shown(services, [await services.sessions.find(session_id)])
    return reply(schemas.OneAdminSession(session=shown))


async def _shown(services: Services, records: Sequence[SessionRecord]) -> list[schemas.AdminSession]:
    names = await names_of(services.accounts, (record.account_id for record in records))
    ledger = await services.billing.ledger_of([record.id for record in records])
    return [presenters.session(record, names, ledger, services.live.table) for record in records]
