"""Counts the HTTP requests that were answered, by route: an ASGI middleware around all others."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visavis.api.services import Services

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestCounts:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.monotonic()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                services: Services = scope["app"].state.services
                services.live.observer.metrics.request_answered(
                    method=scope["method"] if scope["method"] in _METHODS else "other",
                    route=getattr(scope.get("route"), "path", "none"),  # the router sets it; a refusal may come before
                    status=message["status"],
                    after_s=time.monotonic() - began_s,
                )
            await send(message)

        await self._app(scope, receive, send_counted)
