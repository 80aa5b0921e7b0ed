"""/v1/sessions, in both dialects: docs/reference/rest.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from visavis.api import presenters
from visavis.api.addresses import Addresses
from visavis.api.body import json_object, metadata_of
from visavis.api.cursors import cursor_after, read_cursor
from visavis.api.described import sessions as described
from visavis.api.described.parts import Undescribed
from visavis.api.face import avatar_of_text
from visavis.api.livekit_networks import networks_for
from visavis.api.own_rooms import read_room
from visavis.api.schemas import session_schemas
from visavis.api.schemas.parts import Done
from visavis.api.services import AddressesDep, Caller, Services, ServicesDep
from visavis.api.shown_sessions import reply_with, shown_session
from visavis.api.strict import APPLIED, check_members, is_strict
from visavis.errors import (
    AvatarIdRequired,
    AvatarRequired,
    InvalidAspectRatio,
    InvalidRequest,
)
from visavis.output_json import read_output
from visavis.rooms.daily.library import is_installed as daily_is_installed
from visavis.sessions.billing import SessionBill
from visavis.sessions.claims import Claim
from visavis.sessions.lifecycle import Status
from visavis.sessions.options import MEMBERS as OPTIONS
from visavis.sessions.options import SessionOptions
from visavis.sessions.service import HOSTED, MAX_LISTED, OWN, InitialOutput
from visavis.store.records import AnySession, KeyRecord, SessionRecord
from visavis.timestamps import format_time_or_none

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])

HOSTED_MEMBERS = ("avatar_id", "metadata", "output", "options")
OWN_MEMBERS = ("avatar", "aspect_ratio", "room", "metadata", "output", "options")
MAX_METADATA_FILTERS = 16  # each is a condition of the query

_RATIOS = {"4:3": "4:3", "3:4": "3:4", "1:1": "1:1", "auto": "4:3"}
STATUSES = {
    "all": ("created", "started", "ended"),
    "created": ("created",),
    "started": ("started",),
    "ended": ("ended",),
}


def reply(answer: BaseModel, status: int = 200) -> JSONResponse:
    return JSONResponse(answer.model_dump(mode="json"), status)


@router.post("", status_code=201, **described.CREATE)
async def create(request: Request, services: ServicesDep, key: Caller, addresses: AddressesDep) -> JSONResponse:
    began_s = anyio.current_time()
    body = await json_object(request)
    if body.get("avatar") is not None or body.get("room") is not None:
        check_members(request, body, OWN_MEMBERS)
        return await _create_own(request, body, services, key, addresses, began_s)
    check_members(request, body, HOSTED_MEMBERS)
    avatar_id = body.get("avatar_id")
    if avatar_id is None or avatar_id == "":
        raise AvatarIdRequired
    if not isinstance(avatar_id, str):
        raise InvalidRequest("avatar_id must be a string")
    metadata, options = metadata_of(body), _options_of(request, body, services)
    claim = _claim_of(request)
    record = await services.sessions.made_by(claim)
    if claim is not None and record is not None:
        token = claim.token
        await _save_picture_again(body, services, key, record)
    else:
        output = await _initial_output_of(body, services, key)
        record, token = await services.sessions.create_hosted(
            key, avatar_id=avatar_id, metadata=metadata, output=output, options=options, claim=claim
        )
    services.live.observer.created(record, after_s=anyio.current_time() - began_s)
    usage = await services.sessions.limits.usage_of(key)
    shown = await addresses_for([record], services, addresses)
    answer = presenters.created_hosted(record, token, services.sessions, shown, usage)
    return await _reply_created(request, answer, record, services, key)


def _claim_of(request: Request) -> Claim | None:
    """Return what the request's `Idempotency-Key` makes, None if it has none."""
    claim: Claim | None = request.scope.get("visavis.claim")
    return claim


async def _save_picture_again(body: dict[str, Any], services: Services, key: KeyRecord, record: SessionRecord) -> None:
    """Save the background of a session that an earlier server has created: it may have died before it did."""
    if "output" in body and record.output is not None and record.status != Status.ENDED:
        picture = await services.backgrounds.read(read_output(body["output"]), holder=key.account_id)
        if picture is not None:
            await services.backgrounds.save(record.id, picture)


async def _create_own(
    request: Request, body: dict[str, Any], services: Services, key: KeyRecord, addresses: Addresses, began_s: float
) -> JSONResponse:
    # Stages on other machines know themselves whether they can join Daily rooms.
    has_daily = bool(services.settings.stage_addresses) or services.settings.fleet or daily_is_installed()
    networks = partial(networks_for, request, services.settings, listens_to_loopback=services.listens_to_loopback)
    room = read_room(body.get("room"), has_daily=has_daily, networks_for=networks)
    ratio = body.get("aspect_ratio", "4:3")
    if not isinstance(ratio, str) or ratio not in _RATIOS:
        raise InvalidAspectRatio("Invalid aspect_ratio", suggestion="Use 4:3, 3:4 or 1:1")
    metadata, options = metadata_of(body), _options_of(request, body, services)
    text = body.get("avatar")
    if not isinstance(text, str) or not text:
        hint = "With room, the avatar's id is given as avatar" if body.get("avatar_id") is not None else None
        raise AvatarRequired("avatar must be an avatar id, an image address or a base64 image", suggestion=hint)
    claim = _claim_of(request)
    record = await services.sessions.made_by(claim)
    if claim is not None and record is not None:
        token = claim.token
        await _save_picture_again(body, services, key, record)
        record = await services.sessions.start_own(key, record, room)
    else:
        await services.sessions.limits.check_start(key)  # before a picture or a photo is worked on for nothing
        output = await _initial_output_of(body, services, key)
        ids = None if claim is None else claim.avatar
        async with avatar_of_text(services.avatars, key, text, ids=ids) as avatar:
            record, token = await services.sessions.create_own(
                key,
                avatar=avatar,
                aspect_ratio=_RATIOS[ratio],
                metadata=metadata,
                output=output,
                room=room,
                options=options,
                claim=claim,
            )
    services.live.observer.created(record, after_s=anyio.current_time() - began_s)
    usage = await services.sessions.limits.usage_of(key)
    answer = presenters.created_own(record, token, services.sessions, addresses, usage, room=room)
    return await _reply_created(request, answer, record, services, key)


async def _reply_created(
    request: Request, answer: BaseModel, record: SessionRecord, services: Services, key: KeyRecord
) -> JSONResponse:
    """Return the answer to a create; with the effective options, if the request had any."""
    shown = answer.model_dump(mode="json")
    if record.options is not None:
        shown["options"] = (await services.sessions.effective_options(key, record)).plain()
    return JSONResponse(shown, 201, headers=APPLIED if is_strict(request) else {})


def _options_of(request: Request, body: dict[str, Any], services: Services) -> SessionOptions | None:
    """Raises `InvalidRequest`."""
    if body.get("options") is None:
        return None
    options = SessionOptions.read(body["options"])
    check_members(request, body["options"], OPTIONS, within="options.")
    if options.machine_labels and not services.settings.fleet:
        raise InvalidRequest(
            "No machine of this server has labels", suggestion="Leave options.machine_labels out, or ask a fleet"
        )
    return options


async def _initial_output_of(body: dict[str, Any], services: Services, key: KeyRecord) -> InitialOutput | None:
    """Read `output`, and fetch or decode its picture. Raises what `read_output`, `Sessions.check_created` and
    `Backgrounds.read` raise.
    """
    if "output" not in body:
        return None
    change = read_output(body["output"])
    await services.sessions.check_created(key, change)
    return InitialOutput(change=change, picture=await services.backgrounds.read(change, holder=key.account_id))


@router.get("", **described.LIST)
async def newest(
    request: Request,
    services: ServicesDep,
    key: Caller,
    addresses: AddressesDep,
    status: Annotated[str, Undescribed] = "all",
    limit: Annotated[str | None, Undescribed] = None,
    cursor: Annotated[str | None, Undescribed] = None,
    billing: Annotated[str | None, Undescribed] = None,
) -> Response:
    if status not in STATUSES:
        raise InvalidRequest("Invalid status", suggestion="Use all, created, started or ended")
    with_seconds = _asks_for_seconds(billing)
    count = MAX_LISTED if limit is None else read_limit(limit)
    before = None if cursor is None else read_cursor(cursor)
    paged = limit is not None or cursor is not None
    page = await services.sessions.listed(
        key.account_id, statuses=STATUSES[status], limit=count, before=before, metadata=_metadata_filter(request)
    )
    addresses = await addresses_for(page.sessions, services, addresses)
    bills = await _bills_of(page.sessions, services)
    shown = [
        shown_session(record, services.sessions, addresses, bills, with_seconds=with_seconds)
        for record in page.sessions
    ]
    document: dict[str, object] = {"success": True, "sessions": shown}
    if paged:
        document["next_cursor"] = None if page.last is None else cursor_after(page.last)
    return reply_with(document)


def _asks_for_seconds(billing: str | None) -> bool:
    """Raises `InvalidRequest`."""
    if billing not in (None, "minutes", "seconds"):
        raise InvalidRequest("Invalid billing", suggestion="Use minutes or seconds")
    return billing == "seconds"


def read_limit(text: str) -> int:
    """Raises `InvalidRequest` for anything but 1 to 100."""
    if not re.fullmatch("[0-9]{1,3}", text, re.ASCII) or not 1 <= int(text) <= MAX_LISTED:
        raise InvalidRequest("Invalid limit", suggestion="Use 1 to 100")
    return int(text)


def _metadata_filter(request: Request) -> dict[str, str]:
    given = [name for name, _ in request.query_params.multi_items() if name.startswith("metadata.")]
    if len(given) > MAX_METADATA_FILTERS:
        raise InvalidRequest(
            "Too many metadata filters", suggestion=f"Use at most {MAX_METADATA_FILTERS} of metadata.KEY=VALUE"
        )
    wanted = {
        name.removeprefix("metadata."): value
        for name, value in request.query_params.items()
        if name.startswith("metadata.")
    }
    for name, value in wanted.items():
        if not re.fullmatch(r"[^\"\\\x00-\x1f\ud800-\udfff]{1,200}", name) or re.search("[\x00\ud800-\udfff]", value):
            raise InvalidRequest(
                "Invalid metadata filter", suggestion="Use ?metadata.KEY=VALUE with a plain top-level key"
            )
    return wanted


@router.get("/{session_id}", **described.GET)
async def get(
    session_id: str,
    services: ServicesDep,
    key: Caller,
    addresses: AddressesDep,
    billing: Annotated[str | None, Undescribed] = None,
) -> Response:
    with_seconds = _asks_for_seconds(billing)
    record = await services.sessions.get(key, session_id)
    shown = await addresses_for([record], services, addresses)
    bills = await _bills_of([record], services)
    session = shown_session(record, services.sessions, shown, bills, with_seconds=with_seconds)
    return reply_with({"success": True, "session": session})


@router.delete("/{session_id}", **described.DELETE)
async def delete(session_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    await services.sessions.delete(key, session_id)
    return reply(Done())


@router.put("/{session_id}/start", **described.PUT_START)
@router.post("/{session_id}/start", **described.POST_START)
async def start(session_id: str, services: ServicesDep, key: Caller, addresses: AddressesDep) -> JSONResponse:
    record = await services.sessions.start(key, session_id)
    if record is None:
        return reply(session_schemas.Started(ws_uri="try_again", expiration=None))
    expiration = format_time_or_none(record.expiration_ms)
    return reply(session_schemas.Started(ws_uri=addresses.channel(record), expiration=expiration))


@router.put("/{session_id}/end", **described.PUT_END)
@router.post("/{session_id}/end", **described.POST_END)
async def end(session_id: str, services: ServicesDep, key: Caller, addresses: AddressesDep) -> JSONResponse:
    record = await services.sessions.end(key, session_id)
    return reply(presenters.ended(record, await addresses_for([record], services, addresses)))


async def _bills_of(records: Sequence[AnySession], services: Services) -> dict[str, SessionBill]:
    """Return the bills of ended sessions. Only the own-room dialect shows them."""
    return await services.billing.bills_of([record for record in records if record.dialect == OWN])


async def addresses_for(records: Sequence[AnySession], services: Services, addresses: Addresses) -> Addresses:
    """Return the addresses for an answer that shows these sessions with their avatars."""
    avatar_ids = {record.avatar_id for record in records if record.dialect == HOSTED}
    return addresses.with_public(await services.avatars.public_among(avatar_ids))
