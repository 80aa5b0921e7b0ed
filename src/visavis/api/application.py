"""FastAPI, with a short way through it. It describes all routes, and serves what `PlainRoutes` does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from visavis.api.plain_routes import PlainRoutes


class Application(FastAPI):
    """FastAPI without its telemetry, its bound on bodies and its answer to unexpected errors: our middlewares do that
    (observer.py, envelope.py).
    """

    def __init__(self, *, routers: Sequence[APIRouter], **options: Any) -> None:
        super().__init__(**options)
        self._plain = [*self.routes, *(route for router in routers for route in router.routes)]
        for router in routers:
            self.include_router(router)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Return all middlewares around the routes; the one that was added last is the outermost."""
        stack: ASGIApp = PlainRoutes(AsyncExitStackMiddleware(self.router), self._plain)
        stack = ExceptionMiddleware(stack, handlers=self.exception_handlers)
        for middleware in reversed(self.user_middleware):
            stack = middleware.cls(stack, *middleware.args, **middleware.kwargs)
        return stack
