"""Serves the application below a path, such as `/avatar` of `VISAVIS_PUBLIC_URL=https://example.org/avatar`."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from visavis.api.envelope import Envelope


class PathPrefix:
    """An ASGI middleware that takes the prefix off the paths of requests and WebSockets.

    A reverse proxy may pass the prefix on or strip it, so a path without the prefix is taken as it is.
    """

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self._app = app
        self._prefix = prefix
        # The links of the playground are relative: without the slash they would miss the prefix.
        self._add_slash = Envelope(RedirectResponse(f"{prefix}/", status_code=307))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == self._prefix and scope["type"] == "http":
            await self._add_slash(scope, receive, send)
            return
        if path.startswith(f"{self._prefix}/"):
            raw_path = scope.get("raw_path") or b""
            prefix = self._prefix.encode()
            scope = {**scope, "path": path.removeprefix(self._prefix), "raw_path": raw_path.removeprefix(prefix)}
        await self._app(scope, receive, send)
