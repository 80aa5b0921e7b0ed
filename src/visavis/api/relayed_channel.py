"""A channel that comes to a server which does not own its session: its frames are passed on to the owner, and back.

The first frame names the session, so it is read here. If no other server owns that, the application takes the channel
as if nothing had been read.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import anyio
import msgspec
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from visavis.channel.websocket import WS_MAX_SIZE_BYTES
from visavis.connections.scope import CAME_S, session_attached, session_refused
from visavis.errors import CloseCode

OPEN_WITHIN_S = 5.0
LOOK_EVERY_S = 0.25  # meanwhile, whether the owner has changed
# An owner that has not answered a ping for so long is looked up: it may be stopped or cut off, or has much to read, or
# waits for a client that reads slowly. It is given up when another server has the session, or after GONE_S.
PING_EVERY_S, SILENT_S, GONE_S = 1.0, 2.0, 30.0
SERVER_CHANGES = "The server changes; connect again"
# As the client's own handshake with this server has them.
_OF_HANDSHAKE = frozenset(
    {
        b"host",
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
    }
)

log = structlog.get_logger()

Connection = tuple[Scope, Receive, Send]
OwnerOf = Callable[[Message], Awaitable[str | None]]
"""Returns where the other server is reached that owns the session which a first frame names, None if there is none."""


class _Config(msgspec.Struct):
    session_id: str | None = None


class _First(msgspec.Struct):
    """What is read of the first frame of a channel. Whether it is a good one, the owner of the session says."""

    type: str | None = None
    session_id: str | None = None
    config: _Config | None = None


_first = msgspec.json.Decoder(_First)


def session_of(first: Message) -> str:
    """Return the id of the session that a first frame names; nothing if it names none."""
    try:
        read = _first.decode(first.get("text") or "")
    except (msgspec.DecodeError, RecursionError):
        return ""
    return read.session_id or (read.config.session_id if read.config is not None else None) or ""


async def relay_channel(
    app: ASGIApp,
    connection: Connection,
    owner_of: OwnerOf,
    *,
    path: str,
    headers: Callable[[], list[tuple[bytes, bytes]]],
    tls: ssl.SSLContext,
    init_within_s: float,
) -> None:
    """Serve one channel. `path`, `headers`: with which the owner is asked. `tls`: whom this server believes."""
    scope, receive, send = connection
    scope = {**scope, CAME_S: anyio.current_time()}
    read = [await receive()]
    assert read[0]["type"] == "websocket.connect", read[0]
    await send({"type": "websocket.accept"})
    with anyio.move_on_after(init_within_s):
        read.append(await receive())
    owner = None
    if len(read) == 2 and read[1]["type"] == "websocket.receive":
        owner = await owner_of(read[1])
    if owner is None:
        await app(scope, _given_again(read, receive), _without_accept(send))
        return
    owner_now = partial(owner_of, read[1])
    to_owner = await _open(owner, owner_now, path=path, headers=headers(), tls=tls)
    if to_owner is None:
        await _close(send, CloseCode.SERVER_CHANGES, SERVER_CHANGES)
        return
    try:
        await _pass_on(
            scope,
            _given_again(read[1:], receive),
            send,
            to_owner,
            until=partial(_until_gone, to_owner, owner, owner_now),
        )
    finally:
        with anyio.CancelScope(shield=True):
            await to_owner.close()


async def _open(
    owner: str,
    owner_now: Callable[[], Awaitable[str | None]],
    *,
    path: str,
    headers: list[tuple[bytes, bytes]],
    tls: ssl.SSLContext,
) -> ClientConnection | None:
    """Connect to the owner of a session. Returns None when another server owns it, or after OPEN_WITHIN_S: an owner
    that has just died, or is stopped, is replaced within seconds, and the client shall not come again before.
    """
    to_owner: ClientConnection | None = None
    given = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if name not in _OF_HANDSHAKE]
    with anyio.move_on_after(OPEN_WITHIN_S):
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                while await owner_now() == owner:  # noqa: ASYNC110 (the database tells nobody)
                    await anyio.sleep(LOOK_EVERY_S)
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            try:
                to_owner = await connect(
                    f"ws{owner.removeprefix('http')}{path}",
                    additional_headers=given,
                    ssl=tls if owner.startswith("https:") else None,
                    max_size=WS_MAX_SIZE_BYTES,
                    compression=None,
                    user_agent_header=None,
                    proxy=None,
                    open_timeout=None,
                    ping_interval=None,
                )
                tasks.cancel_scope.cancel()
            except (OSError, WebSocketException) as error:
                log.warning("channel_not_relayed", owner=owner, problem=repr(error))
    return to_owner


async def _until_gone(to_owner: ClientConnection, owner: str, owner_now: Callable[[], Awaitable[str | None]]) -> None:
    """Return when the owner of a session answers no pings and is its owner no longer, or has answered none for GONE_S.
    Raises `ConnectionClosed`.
    """
    heard_s = anyio.current_time()
    while anyio.current_time() - heard_s < GONE_S:
        await anyio.sleep(PING_EVERY_S)
        answered = False
        with anyio.move_on_after(SILENT_S):
            await (await to_owner.ping())
            answered = True
        if answered:
            heard_s = anyio.current_time()
        elif await owner_now() != owner:
            return


async def _pass_on(
    scope: Scope, receive: Receive, send: Send, to_owner: ClientConnection, *, until: Callable[[], Awaitable[None]]
) -> None:
    """Pass frames on in both directions, until one side closes; then close the other. `until` returns when the owner is
    gone.
    """
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            with suppress(ConnectionClosed):  # `back` tells the client
                await until()
                await _close(send, CloseCode.SERVER_CHANGES, SERVER_CHANGES)
                tasks.cancel_scope.cancel()

        tasks.start_soon(watch)

        async def there() -> None:
            try:
                while (frame := await receive())["type"] != "websocket.disconnect":
                    content = frame.get("text")
                    if content is None:
                        content = frame.get("bytes")
                    if content is None:  # a text that is not UTF-8
                        await _close(send, CloseCode.INVALID_UTF8, "A text must be UTF-8")
                        break
                    await to_owner.send(content)
            except ConnectionClosed:
                return  # `back` tells the client
            tasks.cancel_scope.cancel()

        tasks.start_soon(there)
        attached = False
        try:
            while True:
                content = await to_owner.recv()
                if not attached:
                    attached = isinstance(content, str) and '"connection.established"' in content
                    (session_attached if attached else session_refused)(scope)
                await send({"type": "websocket.send", ("text" if isinstance(content, str) else "bytes"): content})
        except ConnectionClosed as closed:
            if closed.rcvd is None:  # it is gone, or silent
                await _close(send, CloseCode.SERVER_CHANGES, SERVER_CHANGES)
            else:
                await _close(send, closed.rcvd.code, closed.rcvd.reason)
        except (OSError, RuntimeError):  # the client has left
            pass
        tasks.cancel_scope.cancel()


async def _close(send: Send, code: int, reason: str) -> None:
    with suppress(OSError, RuntimeError):  # the client has left
        await send({"type": "websocket.close", "code": int(code), "reason": reason})


def _given_again(read: list[Message], receive: Receive) -> Receive:
    """Return a `receive` that gives what was read already, and then what follows."""
    waiting = list(read)

    async def receive_again() -> Message:
        return waiting.pop(0) if waiting else await receive()

    return receive_again


def _without_accept(send: Send) -> Send:
    """Return a `send` for an application that accepts a connection which was accepted already."""

    async def send_on(message: Message) -> None:
        if message["type"] != "websocket.accept":
            await send(message)

    return send_on
