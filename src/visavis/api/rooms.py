"""The embedded room over HTTP: WHEP (draft-ietf-wish-whep), for browsers, GStreamer and OBS alike.
docs/reference/rooms.md describes it.
"""

from __future__ import annotations

import re
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from visavis.api.described import rooms as described
from visavis.api.described.rooms import FRAGMENT_TYPE
from visavis.api.schemas import room_schemas
from visavis.api.services import Services, ServicesDep, origin_of
from visavis.connections.scope import prove
from visavis.errors import (
    CandidatesRefused,
    Gone,
    OfferRefused,
    PreconditionFailed,
    PreconditionRequired,
    SessionEnded,
    SessionNotStarted,
    TooLarge,
    Unauthorized,
    UnsupportedMediaType,
    ViewerNotFound,
    VisavisError,
)
from visavis.ids import is_id, new_id
from visavis.sessions.lifecycle import Status
from visavis.sessions.live_sessions import server_changes
from visavis.settings import IceServer
from visavis.store.records import BrowserTokenRecord, SessionRecord
from visavis.timestamps import now_ms
from visavis.turn import for_session

router = APIRouter(prefix="/rooms", tags=["rooms"])

MAX_OFFER_BYTES = 64 * 1024
MAX_FRAGMENT_BYTES = 16 * 1024
_NUMBER = re.compile(r"[1-9][0-9]{0,6}")  # of an ICE session
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "86400",
    "Accept-Post": "application/sdp",
    "Accept-Patch": FRAGMENT_TYPE,
}


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("The room's token is required", suggestion="Send Authorization: Bearer <daily_room.token>")
    return token.strip()


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _etag(viewer_id: str, ice_session: int = 0) -> str:
    """Return the name of a viewer's ICE session: the first one is 0, and each restart makes the next."""
    return f'"{viewer_id}.{ice_session}"' if ice_session else f'"{viewer_id}"'


def _link(server: IceServer) -> str:
    link = f'<{server.url}>; rel="ice-server"'
    if server.username is not None and server.credential is not None:
        credential = server.credential.get_secret_value()
        link += f'; username="{server.username}"; credential="{credential}"; credential-type="password"'
    return link


async def _open_room(name: str, request: Request, services: Services) -> SessionRecord:
    record, _ = await _open_room_with(name, request, services)
    return record


async def _open_room_with(
    name: str, request: Request, services: Services
) -> tuple[SessionRecord, BrowserTokenRecord | None]:
    """Return the room's session, and the browser token that has opened it, if it is one."""
    token = None if "authorization" not in request.headers else _bearer(request)
    record, shown = await services.sessions.by_room(name, token, origin=origin_of(request))
    prove(request.scope)
    if record.status == Status.ENDED:
        raise Gone(record.end_reason)
    return record, shown


def _gone(record: SessionRecord, services: Services) -> VisavisError:
    """This server does not perform the session: another one does, or it has ended while the call was under way."""
    if services.live.is_elsewhere(record):
        return server_changes()
    return Gone(services.live.table.current_record(record).end_reason)


@router.options("/{name}/picture", include_in_schema=False)
@router.options("/{name}/whep", include_in_schema=False)
@router.options("/{name}/whep/{viewer_id}", include_in_schema=False)
async def preflight(name: str, request: Request, services: ServicesDep) -> Response:
    """A browser's preflight bears no token. Whoever asks with the room's token is told the ICE servers, too."""
    if "authorization" not in request.headers:
        return Response(status_code=204, headers=_PREFLIGHT)
    record = await _open_room(name, request, services)
    return Response(status_code=204, headers=_PREFLIGHT | _links(record, services) | {"Cache-Control": "no-store"})


def _links(record: SessionRecord, services: Services) -> dict[str, str]:
    servers = [for_session(server, record.id, now_s=now_ms() // 1000) for server in services.settings.ice_servers]
    return {"Link": ", ".join(_link(server) for server in servers)} if servers else {}


@router.get("/{name}/picture", **described.PICTURE)
async def picture(name: str, request: Request, services: ServicesDep) -> Response:
    record = await _open_room(name, request, services)
    if record.status == Status.CREATED:
        raise SessionNotStarted("The session has not been started yet", suggestion="Try again in a second")
    try:
        (width_px, height_px), output = services.live.size_and_output(record.id)
    except SessionEnded:
        raise _gone(record, services) from None
    shown = room_schemas.RoomPicture(
        video_width=width_px, video_height=height_px, transparent=output.backdrop.transparent
    )
    return JSONResponse(shown.model_dump(mode="json"), headers={"Cache-Control": "no-store"})


@router.post("/{name}/whep", status_code=201, response_class=Response, **described.WATCH)
async def watch(name: str, request: Request, services: ServicesDep) -> Response:
    record, shown = await _open_room_with(name, request, services)
    if _media_type(request) != "application/sdp":
        raise UnsupportedMediaType("The body must be an SDP offer", suggestion="Send Content-Type: application/sdp")
    body = await request.body()
    if len(body) > MAX_OFFER_BYTES:
        raise TooLarge("The offer is larger than 64 KiB")
    if record.status == Status.CREATED:
        raise SessionNotStarted("The session has not been started yet", suggestion="Try again in a second")
    try:
        sdp = body.decode("utf-8")
    except UnicodeDecodeError:
        raise OfferRefused("The offer is not text") from None
    if not sdp.startswith("v=0"):
        raise OfferRefused("The body is not an SDP offer")
    viewer_id = new_id("view")
    address = request.client.host if request.client else "unknown"
    try:
        answer = await services.live.offer(record.id, viewer_id=viewer_id, address=address, sdp=sdp)
    except SessionEnded:
        raise _gone(record, services) from None
    if shown is not None:
        leave = partial(services.live.remove_viewer, record.id, viewer_id)
        await services.live.browser_tokens.note_use(shown, viewer_id=viewer_id)
        services.live.browser_tokens.hold(shown, viewer_id, leave)
    # Relative to the host, so that it holds behind any proxy (RFC 9110, section 10.2.2).
    headers = {"Location": f"{services.settings.path_prefix}/rooms/{name}/whep/{viewer_id}", "ETag": _etag(viewer_id)}
    return Response(answer, 201, media_type="application/sdp", headers=headers | _links(record, services))


@router.get("/{name}/whep", status_code=204, response_class=Response, **described.ENDPOINT)
async def endpoint(name: str, request: Request, services: ServicesDep) -> Response:
    """WHEP's addresses have no content of their own, but GET of them succeeds (section 4.1 of the draft)."""
    await _open_room(name, request, services)
    return Response(status_code=204, headers={"Accept-Post": "application/sdp", "Cache-Control": "no-store"})


@router.get("/{name}/whep/{viewer_id}", status_code=204, response_class=Response, **described.VIEWER)
async def viewer(name: str, viewer_id: str, request: Request, services: ServicesDep) -> Response:
    record = await _open_room(name, request, services)
    try:
        there = record.status == Status.STARTED and services.live.has_viewer(record.id, viewer_id)
    except SessionEnded:
        raise _gone(record, services) from None
    if not there:
        raise ViewerNotFound
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


@router.patch("/{name}/whep/{viewer_id}", status_code=204, response_class=Response, **described.TRICKLE)
async def trickle(name: str, viewer_id: str, request: Request, services: ServicesDep) -> Response:
    record = await _open_room(name, request, services)
    try:
        if record.status != Status.STARTED or not services.live.has_viewer(record.id, viewer_id):
            raise ViewerNotFound
        ice_session = _ice_session_of(request.headers.get("if-match"), viewer_id)
        if _media_type(request) != FRAGMENT_TYPE:
            raise UnsupportedMediaType(
                "The body must be a fragment of SDP (RFC 8840)", suggestion=f"Send Content-Type: {FRAGMENT_TYPE}"
            )
        body = await request.body()
        if len(body) > MAX_FRAGMENT_BYTES:
            raise TooLarge("The candidates are more than 16 KiB")
        try:
            fragment = body.decode("utf-8")
        except UnicodeDecodeError:
            raise CandidatesRefused("The candidates are not text") from None
        if ice_session is None:
            restarted = await services.live.restart_ice(record.id, viewer_id=viewer_id, fragment=fragment)
            headers = {"ETag": _etag(viewer_id, restarted.ice_session), "Cache-Control": "no-store"}
            headers |= _links(record, services)
            return Response(restarted.fragment, 200, media_type=FRAGMENT_TYPE, headers=headers)
        await services.live.add_candidates(record.id, viewer_id=viewer_id, fragment=fragment, ice_session=ice_session)
    except SessionEnded:
        raise _gone(record, services) from None
    return Response(status_code=204)


def _ice_session_of(if_match: str | None, viewer_id: str) -> int | None:
    """Return the number of the ICE session that a request is about (RFC 9725, section 4.3.1), None for a new one
    (section 4.3.3).
    """
    if if_match is None:
        raise PreconditionRequired(
            "Candidates belong to an ICE session", suggestion="Send If-Match with the ETag of the answer"
        )
    named = [one.strip() for one in if_match.split(",")]
    if "*" in named:
        return None
    for one in named:
        viewer, _, number = one.strip('"').partition(".")
        if viewer == viewer_id and one == _etag(viewer_id, int(number) if _NUMBER.fullmatch(number) else 0):
            return int(number or 0)
    raise PreconditionFailed("If-Match is not this viewer's ETag", suggestion="Join again")


@router.delete("/{name}/whep/{viewer_id}", response_class=Response, **described.LEAVE)
async def leave(name: str, viewer_id: str, request: Request, services: ServicesDep) -> Response:
    record = await _open_room(name, request, services)
    there = record.status == Status.STARTED and is_id("view", viewer_id)
    try:
        # A viewer that closes its connection first, as pages do that are closed, has mostly left by now.
        there = there and await services.live.remove_viewer(record.id, viewer_id)
    except SessionEnded:
        raise _gone(record, services) from None
    if not there:
        raise ViewerNotFound
    return Response(status_code=200)
