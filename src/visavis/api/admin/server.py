"""/v1/admin/capacity and /v1/admin/audit. docs/reference/admin.md, "Capacity" and "Audit"."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import JSONResponse

from visavis.api.admin import presenters, schemas
from visavis.api.admin.parts import cut, read_count, read_id
from visavis.api.cursors import read_id_cursor
from visavis.api.described.admin import server as described
from visavis.api.described.parts import Undescribed
from visavis.api.health import readiness_of
from visavis.api.services import ServicesDep
from visavis.api.sessions import reply
from visavis.errors import InvalidRequest

router = APIRouter(prefix="/v1/admin", tags=["admin"])

MAX_FILTER_CHARS = 100


@router.get("/capacity", **described.CAPACITY)
async def capacity(services: ServicesDep) -> JSONResponse:
    problems = readiness_of(services).problems
    fleet = services.fleet
    return reply(presenters.capacity(fleet.capacity(), services.live.table, fleet.reports(), problems))


@router.get("/audit", **described.AUDIT)
async def audit(
    services: ServicesDep,
    account_id: Annotated[str | None, Undescribed] = None,
    subject_id: Annotated[str | None, Undescribed] = None,
    actor_id: Annotated[str | None, Undescribed] = None,
    limit: Annotated[str | None, Undescribed] = None,
    cursor: Annotated[str | None, Undescribed] = None,
) -> JSONResponse:
    count = read_count(limit)
    page = services.accounts.audit(
        account_id=read_id("acct", "account_id", account_id),
        subject_id=_text("subject_id", subject_id),
        actor_id=_text("actor_id", actor_id),
        before_id=read_id_cursor("audt", cursor),
        limit=count + 1,
    )
    found, last = cut(await page, count)
    shown = [presenters.audit_entry(one) for one in found]
    return reply(schemas.AuditPage(entries=shown, next_cursor=None if last is None else last.id))


def _text(name: str, text: str | None) -> str | None:
    """Raises `InvalidRequest`."""
    if text is not None and (not text.isprintable() or not 1 <= len(text) <= MAX_FILTER_CHARS):
        raise InvalidRequest(f"{name} must be 1 to {MAX_FILTER_CHARS} printable characters")
    return text
