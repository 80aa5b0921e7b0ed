"""Compresses answers (gzip) for clients that take them so: JSON, and the text of pages. Pictures and sound are
compressed already, and a range of a file must stay as it is.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

MIN_BYTES = 1024
LEVEL = 4  # of 9: a list of a hundred sessions takes a millisecond, and is hardly larger than at 9
_COMPRESSED_PATHS = ("/v1/", "/docs", "/openapi.json", "/assets/", "/alpha.js", "/client.js")


class Compression:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressing = GZipMiddleware(app, minimum_size=MIN_BYTES, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_compressed(scope):
            await self._compressing(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_compressed(scope: Scope) -> bool:
    path = scope["path"]
    return (path == "/" or path.startswith(_COMPRESSED_PATHS)) and "range" not in Headers(scope=scope)
