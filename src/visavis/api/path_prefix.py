"""Serves the application below a path, such as `/avatar` of `VISAVIS_PUBLIC_URL=https://example.org/avatar`."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from visavis.api.envelope import Envelope


class PathPrefix:
    """An ASGI middleware that takes the prefix off the paths of requests and WebSockets.

    A reverse proxy may pass the prefix on or strip it, so a path without the prefix is taken as it is. If a slash is
    missing in the configuration of nginx (`location /avatar`, `proxy_pass http://…/;`), paths begin with two slashes.
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
            scope = _without(self._prefix, scope)
        elif path.startswith("//"):
            scope = _without("/", scope)
        await self._app(scope, receive, send)


def _without(start: str, scope: Scope) -> Scope:
    raw_path: bytes = scope.get("raw_path") or b""
    return {
        **scope,
        "path": scope["path"].removeprefix(start),
        "raw_path": raw_path.removeprefix(start.encode()),
    }
