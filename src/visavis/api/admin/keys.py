"""/v1/admin/keys. docs/reference/admin.md, "Keys"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from visavis.accounts.scopes import DEFAULT_SCOPES, Scope
from visavis.accounts.sources import parse_source
from visavis.api.admin import presenters, schemas
from visavis.api.admin.parts import cut, names_of, read_count, read_id
from visavis.api.body import json_object
from visavis.api.cursors import read_id_cursor
from visavis.api.described.admin import keys as described
from visavis.api.described.parts import Undescribed
from visavis.api.names import read_name
from visavis.api.services import Services, ServicesDep
from visavis.api.sessions import reply
from visavis.errors import InvalidRequest
from visavis.store.records import KeyRecord
from visavis.timestamps import now_ms

router = APIRouter(prefix="/v1/admin/keys", tags=["admin"])

HOUR_MS = 3_600_000
DEFAULT_OVERLAP_HOURS, MAX_OVERLAP_HOURS = 24, 8_760
MAX_DAYS = 36_500
MAX_SOURCES = 100


@router.get("", **described.LIST)
async def listed(
    services: ServicesDep,
    account_id: Annotated[str | None, Undescribed] = None,
    limit: Annotated[str | None, Undescribed] = None,
    cursor: Annotated[str | None, Undescribed] = None,
) -> JSONResponse:
    count, of_account = read_count(limit), read_id("acct", "account_id", account_id)
    page = services.accounts.keys_page(account_id=of_account, before_id=read_id_cursor("key", cursor), limit=count + 1)
    found, last = cut(await page, count)
    return reply(
        schemas.AdminKeyPage(keys=await _shown(services, found), next_cursor=None if last is None else last.id)
    )


@router.post("", status_code=201, **described.CREATE)
async def create(request: Request, services: ServicesDep) -> JSONResponse:
    body = await json_object(request)
    name, test, account_id, days = (body.get(one) for one in ("name", "test", "account_id", "days"))
    if test is not None and not isinstance(test, bool):
        raise InvalidRequest("test must be true or false")
    if account_id is not None and not isinstance(account_id, str):
        raise InvalidRequest("account_id must be a string")
    record, secret = await services.accounts.create(
        name=read_name(name),
        test=bool(test),
        account_id=read_id("acct", "account_id", account_id),
        scopes=_scopes_of(body) or DEFAULT_SCOPES,
        sources=_sources_of(body),
        lasts_ms=None if days is None else int(_number("days", days, most=MAX_DAYS) * 24 * HOUR_MS),
    )
    return await _with_secret(services, record, secret, 201)


@router.get("/{key_id}", **described.GET)
async def get(key_id: str, services: ServicesDep) -> JSONResponse:
    return await _one(services, key_id)


@router.post("/{key_id}/rotate", status_code=201, **described.ROTATE)
async def rotate(key_id: str, request: Request, services: ServicesDep) -> JSONResponse:
    given = (await json_object(request)).get("overlap_hours", DEFAULT_OVERLAP_HOURS)
    hours = _number("overlap_hours", given, most=MAX_OVERLAP_HOURS)
    record, secret = await services.accounts.rotate(key_id, overlap_ms=int(hours * HOUR_MS))
    return await _with_secret(services, record, secret, 201)


@router.post("/{key_id}/revoke", **described.REVOKE)
async def revoke(key_id: str, services: ServicesDep) -> JSONResponse:
    await services.accounts.find_key(key_id)
    await services.accounts.revoke(key_id)
    return await _one(services, key_id)


async def _one(services: Services, key_id: str) -> JSONResponse:
    (shown,) = await _shown(services, [await services.accounts.find_key(key_id)])
    return reply(schemas.OneAdminKey(key=shown))


async def _shown(services: Services, records: Sequence[KeyRecord]) -> list[schemas.AdminKey]:
    names = await names_of(services.accounts, (record.account_id for record in records))
    return [presenters.key(record, names, now_ms=now_ms()) for record in records]


async def _with_secret(services: Services, record: KeyRecord, secret: str, status: int) -> JSONResponse:
    (shown,) = await _shown(services, [record])
    return reply(schemas.AdminKeyWithSecret(key=shown, secret=secret), status)


def _number(name: str, value: object, *, most: int) -> float:
    """Raises `InvalidRequest`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise InvalidRequest(f"{name} must be a number from 0 to {most}")
    return value


def _scopes_of(body: dict[str, Any]) -> list[Scope]:
    """Raises `InvalidRequest`."""
    given = body.get("scopes") or []
    known = {scope.value for scope in Scope}
    if not isinstance(given, list) or not all(isinstance(one, str) and one in known for one in given):
        raise InvalidRequest("scopes must be a list of scopes", suggestion=f"Use some of {', '.join(Scope)}")
    return [scope for scope in Scope if scope in given]


def _sources_of(body: dict[str, Any]) -> list[str]:
    """Raises `InvalidRequest`."""
    given = body.get("sources") or []
    if not isinstance(given, list) or len(given) > MAX_SOURCES or not all(isinstance(one, str) for one in given):
        raise InvalidRequest(f"sources must be a list of at most {MAX_SOURCES} addresses")
    try:
        return [parse_source(one) for one in given]
    except ValueError:
        raise InvalidRequest(
            "sources has an invalid address", suggestion="Write for example 203.0.113.7 or 203.0.113.0/24"
        ) from None
