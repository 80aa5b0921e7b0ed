"""The OpenAPI description: what FastAPI finds, made true of what stands before the handlers (gate.py, envelope.py)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from visavis.api.described.parts import REQUEST_MODELS
from visavis.api.going_away import mark

_REQUEST_ID = {
    "description": "Names the request in the server's log",
    "required": True,
    "schema": {"type": "string", "pattern": "^req_[0-9A-HJKMNP-TV-Z]{26}$"},
}
_ALLOWANCE = {
    "X-RateLimit-Limit": "Requests a minute",
    "X-RateLimit-Remaining": "Requests left in this minute",
    "X-RateLimit-Reset": "When the minute is over, unix seconds",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request replays the first answer for 24 hours",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    "example": "order-4711",
}


def describe(app: FastAPI, routers: Sequence[APIRouter], *, public_url: str | None) -> Callable[[], dict[str, Any]]:
    """Return what gives the description of an application and the routers it is made of; it is made once, which
    takes a quarter of a second: call it in a thread. `public_url`: where clients reach the server, if that is known.
    """
    making = threading.Lock()

    def described() -> dict[str, Any]:
        with making:
            if app.openapi_schema is None:
                app.openapi_schema = _describe(app, routers, public_url)
            return app.openapi_schema

    return described


def _describe(app: FastAPI, routers: Sequence[APIRouter], public_url: str | None) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title,
        version=app.version,
        routes=app.routes,
        summary="Live avatars that anyone can host.",
        servers=None if public_url is None else [{"url": public_url}],
    )
    components = schema["components"]
    components["schemas"] |= deepcopy(REQUEST_MODELS)
    components["headers"] = {"Request-Id": _REQUEST_ID} | {
        name: {"description": description, "required": True, "schema": {"type": "integer"}}
        for name, description in _ALLOWANCE.items()
    }
    components["securitySchemes"] = {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "RoomToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }
    _put_examples(routers, schema)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
            mark(path, method, operation, components)
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    return schema


def _put_examples(routers: Sequence[APIRouter], schema: dict[str, Any]) -> None:
    """Put the examples of answers in once more: FastAPI leaves out members that are null."""
    described = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    for route in (route for route in described if route.include_in_schema):
        for method in route.methods or ():
            operation = schema["paths"][route.path_format][method.lower()]
            for status, response in route.responses.items():
                for kind, content in response.get("content", {}).items():
                    operation["responses"][str(status)]["content"][kind] |= {
                        name: content[name] for name in ("example", "examples") if name in content
                    }


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add what every call under an address has: its security, its headers. FastAPI's 422 never happens here."""
    operation["responses"].pop("422", None)
    names = ["Request-Id"]
    if path.startswith("/v1/"):
        operation["security"] = [{"ApiKey": []}]
        names += _ALLOWANCE
        if method == "post":
            operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    elif path.startswith("/rooms/"):
        operation["security"] = [{"RoomToken": []}]
    for response in operation["responses"].values():
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names} | response.get(
            "headers", {}
        )
