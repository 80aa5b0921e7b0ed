"""Compresses answers (gzip) for clients that take them so: JSON, and the text of pages. Pictures and sound are
compressed already, and a range of a file must stay as it is.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipResponder, IdentityResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MIN_BYTES = 1024
LEVEL = 4  # of 9: a list of a hundred sessions takes a millisecond, and is hardly larger than at 9
_COMPRESSED_PATHS = ("/v1/", "/docs", "/openapi.json", "/assets/", "/alpha.js", "/client.js")


class Compression:
    """Starlette's responders see large answers alone: their look at every small one costs more than our own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_compressed(scope):
            await self._app(scope, receive, send)
            return
        responder: IdentityResponder | None = None

        async def send_fitting(message: Message) -> None:
            nonlocal responder
            if message["type"] == "http.response.start" and not _is_small(message):
                responder = self._responder(scope)
                responder.send = send
            await (send if responder is None else responder.send_with_compression)(message)

        await self._app(scope, receive, send_fitting)

    def _responder(self, scope: Scope) -> IdentityResponder:
        if "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            return GZipResponder(self._app, MIN_BYTES, compresslevel=LEVEL)
        return IdentityResponder(self._app, MIN_BYTES)


def _is_small(start: Message) -> bool:
    """Whether an answer says that it has less than MIN_BYTES."""
    length = next((value for name, value in start["headers"] if name == b"content-length"), None)
    return length is not None and length.isdigit() and int(length) < MIN_BYTES


def _is_compressed(scope: Scope) -> bool:
    path = scope["path"]
    if path != "/" and not path.startswith(_COMPRESSED_PATHS):
        return False
    return all(name != b"range" for name, _ in scope["headers"])
