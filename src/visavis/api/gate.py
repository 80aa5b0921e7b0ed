"""What stands before every `/v1/*` handler: the API key and its scopes, the rate limit, and the replay of idempotent
requests. An ASGI middleware. docs/reference/rest.md, "Keys", "Limits" and "Repeating a POST safely".
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import structlog
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visavis.accounts.scopes import check_scope, scope_for
from visavis.api.errors import error_response
from visavis.api.form import MAX_CONTENT_TYPE_CHARS
from visavis.api.services import Services, origin_of
from visavis.connections.network import network_of
from visavis.connections.scope import prove
from visavis.errors import (
    ApiKeyRefused,
    IdempotencyConflict,
    IdempotencyInProgress,
    InsufficientScope,
    InvalidRequest,
    RateLimited,
    Unauthorized,
    VisavisError,
)
from visavis.large_work import run_large
from visavis.sessions.browser_tokens import Purpose, is_browser_token
from visavis.store.audit import Actor, acting
from visavis.store.records import BrowserTokenRecord, IdempotencyRecord, KeyRecord
from visavis.timestamps import now_ms

_LOOK_AGAIN_S = 0.1  # for the answer of a request that another process may be at
_RANDOM_CHARS = 8  # of a boundary; a shorter one is not random, and may be all that a body consists of
_PIECE_BYTES = 64 * 1024  # of a body that is given out again

# What a browser token for control opens, of its session.
_CONTROLLED = re.compile(r"/v1/sessions/([^/]+)/(?:start|end|metrics)")

_SESSION_ID = re.compile(rb"sess_[0-9A-HJKMNP-TV-Z]{26}")  # in an answer

log = structlog.get_logger()


def _is_channel(path: str) -> bool:
    """Whether an address needs no key: a channel's first message bears a token."""
    return path == "/v1/channel" or path.startswith("/v1/channel/")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What a request has shown: a key, or a browser token that this key has made."""

    key: KeyRecord
    token: BrowserTokenRecord | None = None

    @property
    def counted(self) -> str:
        """Whose requests of a minute this one belongs to."""
        return self.key.id if self.token is None else self.token.id


async def _identify(services: Services, request: Request, *, address: str) -> _Shown:
    """Raises what `Accounts.authenticate` and `BrowserTokens.check` raise, and `RequestForged`."""
    headers = request.headers
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if "x-api-key" in headers or scheme.lower() != "bearer" or not is_browser_token(token):
        return _Shown(key=await _authenticate(services, request.method, headers, address=address))
    record = await services.live.browser_tokens.check(token, purpose=Purpose.CONTROL, origin=origin_of(request))
    key = await services.accounts.get(record.key_id)
    if key is None:
        raise Unauthorized("Invalid token")
    return _Shown(key=key, token=record)


def _check_call(shown: _Shown, method: str, path: str) -> None:
    """Raises `InsufficientScope` for a call that the key or the token may not make."""
    if shown.token is not None:
        found = _CONTROLLED.fullmatch(path)
        if found is None or found[1] != shown.token.session_id:
            raise InsufficientScope("This token may only start and end its session, and read its metrics")
        return
    needed = scope_for(method, path)
    if needed is not None:
        check_scope(shown.key.scopes, needed)


async def _authenticate(services: Services, method: str, headers: Headers, *, address: str) -> KeyRecord:
    """Return the key of a request: the one that it bears, or that of the operator's sign-in. Raises what
    `Accounts.authenticate` raises, and `RequestForged`.
    """
    cookies = services.operator_cookies
    token = None if "x-api-key" in headers else cookies.token_in(headers)
    if token is None:
        return await services.accounts.authenticate(headers.get("x-api-key"), address=address)
    cookies.check_page(method, headers)
    cookies.check_token(token, headers)
    found = await services.sign_ins.find(token, address=address)
    if found is None:
        raise ApiKeyRefused("API key required")
    return found.key


class Gate:
    def __init__(self, app: ASGIApp, *, first_answer_wait_s: float) -> None:
        self._app = app
        self._first_answer_wait_s = first_answer_wait_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        services: Services = scope["app"].state.services
        is_channel = _is_channel(scope["path"])  # asked for without an upgrade
        headers = Headers(scope=scope)
        shown: _Shown | None = None
        refusal: VisavisError | None = None
        host, _ = scope.get("client") or ("unknown", 0)
        try:
            if (refused := scope.get("visavis.refused")) is not None:
                raise refused
            if not is_channel:
                shown = await _identify(services, Request(scope), address=host)
                _check_call(shown, scope["method"], scope["path"])
        except VisavisError as error:
            refusal = error
        caller = shown.counted if shown is not None else f"address {network_of(host)}"
        allowance = await services.request_limits.take(caller, now_s=time.time())
        scope["visavis.allowance"] = allowance  # the envelope shows it on whatever answer there is
        if not allowance.allowed:
            refusal = RateLimited()
            refusal.retry_after_s = allowance.retry_after_s
        if refusal is not None:
            await error_response(refusal)(scope, receive, send)
            return
        if shown is None:
            await self._app(scope, receive, send)
            return
        key = shown.key
        scope["visavis.key"] = key
        acting.set(Actor(kind="key", id=key.id, address=host))
        prove(scope)
        idempotency_key = headers.get("idempotency-key")
        if scope["method"] == "POST" and idempotency_key is not None:
            await self._once(services, key, idempotency_key, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _once(
        self, services: Services, key: KeyRecord, idempotency_key: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Perform the request unless it was performed before: then replay its answer."""
        if not 1 <= len(idempotency_key) <= 255 or not idempotency_key.isprintable() or not idempotency_key.isascii():
            await error_response(InvalidRequest("Idempotency-Key must be 1 to 255 printable characters"))(
                scope, receive, send
            )
            return
        headers = Headers(scope=scope)
        body = await Request(scope, receive).body()
        method_path = f"{scope['method']} {scope['path']}?".encode() + scope.get("query_string", b"")
        fingerprint = await run_large("body", _fingerprint, method_path, body, headers.get("content-type", ""))
        store = services.idempotency
        seal = services.answers.of(key.account_id, headers.get("x-api-key", ""))
        name = {"account_id": key.account_id, "idempotency_key": idempotency_key}
        earlier, claimed_at_ms = await self._claim(services, name, fingerprint)
        if earlier is not None:
            if earlier.fingerprint != fingerprint:
                refused = IdempotencyConflict(
                    "This Idempotency-Key was used for another request",
                    suggestion="Use a fresh key for each new request",
                )
                await error_response(refused)(scope, receive, send)
            elif earlier.status_code is None:
                at_work = IdempotencyInProgress("The first request with this Idempotency-Key is still in progress")
                await error_response(at_work)(scope, receive, send)
            else:
                kept_text = seal.decrypt((earlier.body or "").encode())
                text = services.pictures.renewed(kept_text, now_s=now_ms() // 1000)
                replay = Response(
                    text, earlier.status_code, media_type=earlier.content_type, headers={"Idempotency-Replayed": "true"}
                )
                await replay(scope, receive, send)
            return
        scope["visavis.claim"] = services.claims.of(**name, claimed_at_ms=claimed_at_ms)
        answer = _Answer(send)
        kept = False
        try:
            await self._app(scope, _replaying(body, receive), answer.send)
            if answer.worth_keeping:
                sealed = seal.encrypt(bytes(answer.body)).decode()
                await store.save_answer(
                    **name, status_code=answer.status, content_type=answer.content_type, body=sealed
                )
                kept = True
                for session_id in set(_SESSION_ID.findall(bytes(answer.body))):
                    await store.save_session(session_id.decode(), **name)
        finally:
            if not kept:
                await store.release(**name)

    async def _claim(
        self, services: Services, name: dict[str, str], fingerprint: str
    ) -> tuple[IdempotencyRecord | None, int]:
        """As `IdempotencyStore.claim`, but a duplicate of a request that is still at work waits a while for
        its answer, and one that an earlier server has left without an answer is performed by the first duplicate.
        Return also when the key was claimed.
        """
        store, left = services.idempotency, (name["account_id"], name["idempotency_key"])
        until_s = anyio.current_time() + self._first_answer_wait_s
        while True:
            claimed_at_ms = now_ms()
            earlier = await store.claim(**name, fingerprint=fingerprint, at_ms=claimed_at_ms)
            if earlier is None:
                services.left_claims.discard(left)  # it had expired, or was released
                return None, claimed_at_ms
            if earlier.fingerprint != fingerprint:
                return earlier, earlier.created_at_ms
            if earlier.status_code is None and left in services.left_claims:
                services.left_claims.remove(left)
                return None, earlier.created_at_ms
            while earlier is not None and earlier.status_code is None and anyio.current_time() < until_s:
                await anyio.sleep(_LOOK_AGAIN_S)
                earlier = await store.get(**name)
            if earlier is not None:
                return earlier, earlier.created_at_ms


class _Answer:
    """Passes an answer on and remembers it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 500
        self.content_type = ""
        self.body = bytearray()

    @property
    def worth_keeping(self) -> bool:
        """Refusals that say nothing about the request itself may be tried again with the same key, and so may
        `try_again`.
        """
        return self.status < 500 and self.status != 429 and b'"ws_uri":"try_again"' not in self.body

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.content_type = MutableHeaders(raw=message["headers"]).get("content-type", "")
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
        await self._send(message)


def _fingerprint(method_path: bytes, body: bytes, content_type: str) -> str:
    return hashlib.sha256(method_path + b"\n" + _without_boundary(body, content_type)).hexdigest()


def _without_boundary(body: bytes, content_type: str) -> bytes:
    """A form sent again is the same form, whatever its parts are parted by this time."""
    if len(content_type) > MAX_CONTENT_TYPE_CHARS:
        return body
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    return body.replace(boundary, b"") if kind == b"multipart/form-data" and len(boundary) >= _RANDOM_CHARS else body


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Give out a body that was read already, in pieces as a connection would, then whatever comes (a disconnect)."""
    given_bytes = 0
    ended = False

    async def again() -> Message:
        nonlocal given_bytes, ended
        if ended:
            return await receive()
        await anyio.lowlevel.checkpoint()  # others have their turn between two pieces
        piece = body[given_bytes : given_bytes + _PIECE_BYTES]
        given_bytes += len(piece)
        ended = given_bytes >= len(body)
        return {"type": "http.request", "body": piece, "more_body": not ended}

    return again
