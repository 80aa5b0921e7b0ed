"""How errors look over HTTP: docs/reference/rest.md, "Answers", and errors.md, "Bodies of their own"."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from visavis.errors import (
    ApiKeyRefused,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    StorageUnusable,
    TooLarge,
    UnsupportedMediaType,
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


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error in our shapes; nothing is ever 422."""

    @app.exception_handler(VisavisError)
    async def ours(_request: Request, error: VisavisError) -> Response:
        log_fault(error)
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return error_response(InvalidRequest(f"{place}: {first['msg']}" if place else str(first["msg"])))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        refused = _of_framework(error)
        headers = {"Allow": _methods(request)} if isinstance(refused, MethodNotAllowed) else dict(error.headers or {})
        return JSONResponse(error_body(refused), status_code=error.status_code, headers=headers | _headers(refused))


def _of_framework(error: HTTPException) -> VisavisError:
    """Return our error for one that the framework raised before any handler of ours."""
    match error.status_code:
        case 404:
            return NotFound()
        case 405:
            return MethodNotAllowed()
        case 413:
            return TooLarge(str(error.detail))
        case 415:
            return UnsupportedMediaType(str(error.detail))
    return InvalidRequest(str(error.detail))


def _methods(request: Request) -> str:
    """Every method that the request's address takes: several routes may share one.

    `/v1/avatars/public` is an address of its own and not an avatar's: it takes what is described of it.
    """
    route: Any = request.scope.get("route")
    described = request.app.openapi()["paths"].get(getattr(route, "path", None))

    def takes(method: str) -> bool:
        if described is not None and method != "OPTIONS" and method.lower() not in described:
            return False
        return any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)

    return ", ".join(filter(takes, ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")))
