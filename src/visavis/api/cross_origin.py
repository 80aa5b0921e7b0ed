"""CORS: which pages of other origins may read answers under /v1 (docs/reference/rest.md, "Other origins").

No page ever gets `Access-Control-Allow-Credentials`: the cookie of an operator stays with the server's own pages.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visavis.ids import new_id

EXPOSED = (
    "Location, Link, ETag, Retry-After, Request-Id, Visavis-Error-Code, Visavis-Should-Retry, Idempotency-Replayed, "
    "Preference-Applied, Deprecation, Sunset, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
)
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-None-Match, Prefer, X-Api-Key",
    "Access-Control-Max-Age": "86400",
}


class CrossOrigin:
    """`origins`: of the pages that may read answers; `*` stands for all."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str]) -> None:
        self._app, self._origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        allowed = self._headers_for(asked.get("origin"))
        if scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            granted = _PREFLIGHT if "Access-Control-Allow-Origin" in allowed else {}
            headers = allowed | granted | {"Request-Id": new_id("req"), "Cache-Control": "no-store"}
            await Response(status_code=204, headers=headers)(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers.add_vary_header("Origin")
                headers.update(allowed)
            await send(message)

        await self._app(scope, receive, send_marked)

    def _headers_for(self, origin: str | None) -> dict[str, str]:
        if origin is None or not ("*" in self._origins or origin in self._origins):
            return {}
        told = "*" if "*" in self._origins else origin
        return {"Access-Control-Allow-Origin": told, "Access-Control-Expose-Headers": EXPOSED}
