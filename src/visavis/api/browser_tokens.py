"""/v1/sessions/{session_id}/tokens: docs/reference/browsers.md, "Tokens for visitors"."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from visavis.api.body import json_object
from visavis.api.described import browser_tokens as described
from visavis.api.schemas import browser_schemas
from visavis.api.schemas.parts import Done
from visavis.api.services import Caller, ServicesDep
from visavis.api.sessions import reply
from visavis.api.strict import check_members
from visavis.errors import InvalidRequest, SessionEnded
from visavis.sessions.browser_tokens import DEFAULT_S, LONGEST_S, MAX_ORIGINS, SHORTEST_S, Purpose
from visavis.sessions.lifecycle import Status
from visavis.timestamps import format_time

router = APIRouter(prefix="/v1/sessions/{session_id}/tokens", tags=["sessions"])

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")


@router.post("", status_code=201, **described.MINT)
async def mint(session_id: str, request: Request, services: ServicesDep, key: Caller) -> JSONResponse:
    body = await json_object(request)
    check_members(request, body, ("purpose", "expires_in", "origins"))
    purpose, lasts_s, origins = _purpose_of(body), _lasts_of(body), _origins_of(body)
    record = await services.sessions.get(key, session_id)
    if record.status == Status.ENDED:
        raise SessionEnded
    minted, token = await services.live.browser_tokens.mint(
        key, record.id, purpose=purpose, lasts_s=lasts_s, origins=origins
    )
    shown = browser_schemas.BrowserToken(
        token_id=minted.id,
        token=token,
        purpose=purpose.value,
        expires_at=format_time(minted.expires_at_ms),
        origins=origins,
    )
    return reply(browser_schemas.BrowserTokenMinted(token=shown), 201)


@router.delete("/{token_id}", **described.REVOKE)
async def revoke(session_id: str, token_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    record = await services.sessions.get(key, session_id)
    await services.live.browser_tokens.revoke(record.id, token_id)
    return reply(Done())


def _purpose_of(body: dict[str, Any]) -> Purpose:
    try:
        return Purpose(str(body.get("purpose")))
    except ValueError:
        raise InvalidRequest("Invalid purpose", suggestion="Use watch, speak or control") from None


def _lasts_of(body: dict[str, Any]) -> int:
    lasts_s = body.get("expires_in", DEFAULT_S)
    if isinstance(lasts_s, bool) or not isinstance(lasts_s, int) or not SHORTEST_S <= lasts_s <= LONGEST_S:
        raise InvalidRequest("Invalid expires_in", suggestion=f"Use whole seconds, {SHORTEST_S} to {LONGEST_S}")
    return lasts_s


def _origins_of(body: dict[str, Any]) -> list[str]:
    origins = body.get("origins", [])
    if not isinstance(origins, list) or len(origins) > MAX_ORIGINS:
        raise InvalidRequest("origins must be a list", suggestion=f"Give at most {MAX_ORIGINS}")
    for origin in origins:
        if not isinstance(origin, str) or len(origin) > 255 or not _ORIGIN.fullmatch(origin):
            raise InvalidRequest("Invalid origin", suggestion="Use for example https://www.example.com")
    return origins
