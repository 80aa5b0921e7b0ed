"""How errors look over HTTP: docs/reference/rest.md, "Answers", and errors.md, "Bodies of their own"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from visavis.errors import (
    ApiKeyRefused,
    InternalError,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    StorageUnusable,
    UpgradeRequired,
    VisavisError,
)

log = structlog.get_logger()


def error_body(error: VisavisError) -> dict[str, Any]:
    """The JSON of an error. A refused key and a full rate limit have published shapes of their own."""
    if isinstance(error, ApiKeyRefused):
        return {"error": error.message}
    if isinstance(error, RateLimited):
        return {"success": False, "error": error.message}
    if error.details is not None:
        body: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.suggestion is not None:
            body["suggestion"] = error.suggestion
        return {"success": False, "error": body | {"details": error.details}}
    body = {"message": error.message}
    if error.suggestion is not None:
        body["suggestion"] = error.suggestion
    return {"success": False, "error": body | {"code": error.code}}


def error_response(error: VisavisError) -> JSONResponse:
    headers = _headers(error)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, UpgradeRequired):
        headers |= {"Upgrade": "websocket", "Connection": "Upgrade"}
    return JSONResponse(error_body(error), status_code=error.status, headers=headers)


def _headers(error: VisavisError) -> dict[str, str]:
    """Return what says the same as the body, also to a client that cannot read that: not every body has a code."""
    return {"Visavis-Error-Code": error.code, "Visavis-Should-Retry": "true" if error.retryable else "false"}


def internal_error_response() -> JSONResponse:
    hint = "Try again; the Request-Id finds it in the server's log"
    return error_response(InternalError("Something went wrong on our side", suggestion=hint))


def log_fault(error: VisavisError) -> None:
    """Log an error that is the server's own."""
    if error.status in (500, 503) and (not error.retryable or isinstance(error, StorageUnusable)):
        log.error("request_failed", code=error.code, detail=error.message)


def add_error_handlers(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Answer every error in our shapes. The framework raises two of its own, 404 and 405: the handlers read bodies and
    parameters, and it validates none (tests/api/test_errors.py).
    """
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]

    @app.exception_handler(VisavisError)
    async def ours(_request: Request, error: VisavisError) -> Response:
        log_fault(error)
        return error_response(error)

    @app.exception_handler(404)
    async def not_found(_request: Request, _error: HTTPException) -> Response:
        return error_response(NotFound())

    @app.exception_handler(405)
    async def not_allowed(request: Request, _error: HTTPException) -> Response:
        refused = error_response(MethodNotAllowed())
        refused.headers["Allow"] = _methods(request, routes)
        return refused


def _methods(request: Request, routes: Sequence[APIRoute]) -> str:
    """Every method that the request's address takes: several routes may share one.

    `/v1/avatars/public` is an address of its own and not an avatar's, so only routes of the first path that fits count.
    """
    address = request.scope["path"]
    path = next((route.path for route in routes if route.path_regex.match(address)), None)
    taken = {method for route in routes if route.path == path for method in route.methods or ()}
    return ", ".join(method for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") if method in taken)
