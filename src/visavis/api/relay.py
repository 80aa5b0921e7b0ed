"""Relays what concerns a session to the server of the fleet that owns it: calls that only that one can answer, and
channels. So any server answers any call. decision 78.

A call is passed on as it came, with two headers: `visavis-relay` shows that a server of this fleet relays this call
now, and `visavis-relayed-for` tells for whom. It is relayed once: if the owner has changed meanwhile, the one that was
asked says that the server changes, and the client comes again.

What a client writes never becomes part of the address that is asked: only paths are relayed that consist of the plain
characters of our own names.
"""

from __future__ import annotations

import hmac
import re
import ssl
import time
from collections.abc import Mapping

import httpx
import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visavis.api.relayed_channel import relay_channel, session_of
from visavis.channel.protocol import INIT_TIMEOUT_S
from visavis.connections.scope import prove
from visavis.errors import StorageUnusable
from visavis.ids import is_id
from visavis.store.session_owners import SessionOwners

PROOF, RELAYED_FOR = "visavis-relay", "visavis-relayed-for"
RELAYED = "visavis.relayed"  # in the scope of a request that another server relays
MAX_BODY_BYTES = 128 * 1024  # of a call that is relayed: an offer has 64 KiB
# An owner that is stopped accepts connections and answers nothing. An offer takes a second on a busy stage.
TIMEOUT = httpx.Timeout(8.0, connect=2.0)

PROVES_FOR_S = 60  # clocks of machines differ

# What the owner of a session alone can answer: the path as it stands in the request.
_IN_ROOM = re.compile(rb"/rooms/(?P<room>[A-Za-z0-9_-]+)/(?:picture|whep(?:/[A-Za-z0-9_-]+)?)")
_OF_SESSION = re.compile(rb"/v1/(?:admin/)?sessions/(?P<session>[A-Za-z0-9_]+)/(?:end|metrics)")
_CHANNEL = re.compile(r"/v1/channel(?:/(?P<session>[^/]+))?")
# Of one connection, not of the call (RFC 9110, section 7.6.1).
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"proxy-connection"}
)

log = structlog.get_logger()


class Relay:
    """Finds the owners of sessions, and proves to them that a server of their fleet asks."""

    def __init__(self, owners: SessionOwners, *, server_id: str, secret: bytes, tls: ssl.SSLContext) -> None:
        """`tls`: whom this server believes for the certificates of the others."""
        self._owners, self._server_id, self.tls = owners, server_id, tls
        self._secret = hmac.digest(secret, b"relay", "sha256")
        # As many connections as calls: a server that is stopped shall not keep calls from the others.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        self.http = httpx.AsyncClient(
            timeout=TIMEOUT, limits=limits, trust_env=False, follow_redirects=False, verify=tls
        )

    async def aclose(self) -> None:
        await self.http.aclose()

    async def owner_of(self, *, session_id: str | None = None, room_name: str | None = None) -> str | None:
        """Return where the other server that owns a session is reached; None if there is no other. A database that is
        away knows none.
        """
        try:
            found = await self._owners.address_of(session_id=session_id, room_name=room_name)
        except StorageUnusable:
            return None
        return None if found is None or found[0] == self._server_id else found[1].rstrip("/")

    def is_proven(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        """Whether a server of this fleet relays a request."""
        proof = headers.get(PROOF)
        if proof is None:
            return False
        at_s, _, _ = proof.partition(".")
        if not re.fullmatch("[0-9]{1,12}", at_s):
            return False
        relayed_for, ahead_s = headers.get(RELAYED_FOR, ""), int(at_s) - time.time()
        wanted = self._proof(scope, relayed_for, at_s=int(at_s))
        if not hmac.compare_digest(proof.encode(), wanted.encode()):
            return False
        if abs(ahead_s) > PROVES_FOR_S:
            log.warning("relay_clock_differs", ahead_s=round(ahead_s), client=(scope.get("client") or ("unknown",))[0])
            return False
        return True

    def headers_for(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Return the headers with which a request is passed on."""
        host, _ = scope.get("client") or ("unknown", 0)
        relayed_for = f"{host} {scope['scheme']}"
        proof = self._proof(scope, relayed_for, at_s=int(time.time()))
        own = [(PROOF.encode(), proof.encode()), (RELAYED_FOR.encode(), relayed_for.encode())]
        names = _HOP_BY_HOP | {name for name, _ in own}
        return [(name, value) for name, value in scope["headers"] if name not in names] + own

    def _proof(self, scope: Scope, relayed_for: str, *, at_s: int) -> str:
        """Return what only a server of this fleet can write: of this call, for this client, at this time (unix)."""
        of = f"{at_s}\n{scope['type']}\n{scope.get('method', '')}\n{scope['path']}\n{relayed_for}"
        return f"{at_s}.{hmac.new(self._secret, of.encode(), 'sha256').hexdigest()}"


class RelayedCalls:
    """An ASGI middleware of the servers of a fleet."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        relay = scope["app"].state.services.relay
        assert isinstance(relay, Relay)
        headers = Headers(scope=scope)
        if relay.is_proven(scope, headers):
            await self._app(_relayed(scope, headers), receive, send)
        elif scope.get("visavis.refused") is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._relay_channel(relay, scope, receive, send)
        else:
            await self._relay_call(relay, scope, receive, send)

    async def _relay_call(self, relay: Relay, scope: Scope, receive: Receive, send: Send) -> None:
        owner = await _owner_of_call(relay, _path(scope))
        if owner is None:
            await self._app(scope, receive, send)
            return
        body, is_whole = await _body(receive)
        if not is_whole or not await _forward(relay, owner, scope, body, send):
            await self._app(scope, _again(body, receive, is_whole=is_whole), send)

    async def _relay_channel(self, relay: Relay, scope: Scope, receive: Receive, send: Send) -> None:
        found = _CHANNEL.fullmatch(scope["path"])
        if found is None:
            await self._app(scope, receive, send)
            return

        async def owner_of(first: Message) -> str | None:
            session_id = found["session"] or session_of(first)
            return None if not is_id("sess", session_id) else await relay.owner_of(session_id=session_id)

        await relay_channel(
            self._app,
            (scope, receive, send),
            owner_of,
            path=scope["path"],
            headers=lambda: relay.headers_for(scope),
            tls=relay.tls,
            init_within_s=INIT_TIMEOUT_S,
        )


def _path(scope: Scope) -> bytes:
    """Return a request's path as it came, with its percent signs."""
    raw: bytes | None = scope.get("raw_path")
    return str(scope["path"]).encode() if raw is None else raw


async def _owner_of_call(relay: Relay, path: bytes) -> str | None:
    if found := _IN_ROOM.fullmatch(path):
        return await relay.owner_of(room_name=found["room"].decode())
    if (found := _OF_SESSION.fullmatch(path)) and is_id("sess", session_id := found["session"].decode()):
        return await relay.owner_of(session_id=session_id)
    return None


def _relayed(scope: Scope, headers: Headers) -> Scope:
    """Return the scope as it would be if the client had come to this server itself."""
    host, _, scheme = headers.get(RELAYED_FOR, "").partition(" ")
    prove(scope)
    return {**scope, "client": (host or "unknown", 0), "scheme": scheme or scope["scheme"], RELAYED: True}


async def _body(receive: Receive) -> tuple[bytes, bool]:
    """Read the body of a request; return it, and whether it is whole: one that is too large is not read to its end."""
    body, more = bytearray(), True
    while more and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body), False
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body), not more


def _again(body: bytes, receive: Receive, *, is_whole: bool) -> Receive:
    """Return a `receive` that gives what was read of a body already, and then what follows."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": not is_whole}

    return receive_again


async def _forward(relay: Relay, address: str, scope: Scope, body: bytes, send: Send) -> bool:
    """Pass a call on, and its answer back. Returns False, with nothing sent, if the owner does not answer."""
    url = httpx.URL(address)
    path = url.raw_path.rstrip(b"/") + _path(scope)
    query = scope.get("query_string") or b""
    url = url.copy_with(raw_path=path + (b"?" + query if query else b""))
    # Not `build_request`: that would add headers of its own, and the cookies of other callers.
    request = httpx.Request(scope["method"], url, headers=relay.headers_for(scope), content=body)
    begun = False
    try:
        answer = await relay.http.send(request, stream=True)
        try:
            raw = [(name, value) for name, value in answer.headers.raw if name.lower() not in _HOP_BY_HOP]
            # A preflight is answered to anybody.
            if answer.status_code < 400 and scope["method"] != "OPTIONS":
                prove(scope)
            begun = True
            await send({"type": "http.response.start", "status": answer.status_code, "headers": raw})
            async for piece in answer.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            await answer.aclose()
    except httpx.HTTPError as error:
        log.warning("call_not_relayed", owner=address, problem=repr(error))
        if not begun:
            return False
        raise
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return True
