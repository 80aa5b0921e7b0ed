"""The short way to handlers serves the same requests as FastAPI does, and with the same arguments."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from visavis.api.application import Application
from visavis.api.plain_routes import PlainRoutes
from visavis.api.routers import ROUTERS
from visavis.errors import NotFound

pytestmark = pytest.mark.anyio

first, second, last = APIRouter(prefix="/v1/things"), APIRouter(), APIRouter()


def host_of(connection: HTTPConnection) -> str:
    return connection.headers["host"]


def agent_of(connection: HTTPConnection, version: str = "1") -> str:
    return connection.headers["user-agent"] + version


@first.get("")
async def things(request: Request, status: str = "all", cursor: str | None = None) -> JSONResponse:
    return JSONResponse([request.url.path, status, cursor])


@first.get("/public")
async def public() -> JSONResponse:
    return JSONResponse("public")


@first.get("/{thing_id}")
async def thing(thing_id: str, request: Request) -> JSONResponse:
    if thing_id == "none":
        raise NotFound
    return JSONResponse([thing_id, request.scope["route"].path])


@first.post("/{thing_id}")
async def made(thing_id: str) -> JSONResponse:
    return JSONResponse(["made", thing_id], 201)


@first.get("/{thing_id}/count")
async def counted(thing_id: str, count: int = 1, many: Annotated[list[str] | None, Query()] = None) -> JSONResponse:
    return JSONResponse([thing_id, count, many])


@second.get("/plain")
async def plain() -> Response:
    return Response("plain")


@second.get("/host")
async def host(host: Annotated[str, Depends(host_of)]) -> Response:
    return Response(host)


@second.get("/agent")
async def agent(agent: Annotated[str, Depends(agent_of)]) -> Response:
    return Response(agent)


@second.get("/in-a-thread")
def in_a_thread() -> Response:
    return Response("thread")


@second.get("/no-response")
async def no_response() -> dict[str, int]:
    return {"a": 1}


@last.get("/files/{path:path}")
async def files(path: str) -> Response:
    return Response(f"file {path}")


@last.get("/{name}")
async def named(name: str) -> Response:
    return Response(f"name {name}")


TARGETS = """
/v1/things /v1/things?status=a&status=b&cursor= /v1/things/ /v1/things/public /v1/things/7 /v1/things/none
/v1/things/%2e%2e /v1/things/a%2fb /v1/things/a%0a /v1/things/7/count?count=2 /v1/things/7/count?count=x
/v1/things/7/count?many=a&many=b /plain /plain%0a /plain/ /in-a-thread /no-response /host /agent?version=2 /files/a/b
/files/ /else //plain / /v1 /v1/other/thing /openapi.json
"""


@pytest.fixture
async def both() -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """An application with the short way, and one without it."""
    routers = (first, second, last)
    short, long = Application(routers=routers), FastAPI()
    short.router.redirect_slashes = long.router.redirect_slashes = False
    for router in routers:
        long.include_router(router)

    async def refuse(_request: Request, error: Exception) -> Response:
        return JSONResponse(str(error), 404)

    for app in (short, long):
        app.add_exception_handler(NotFound, refuse)
    clients = [httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://h") for app in (short, long)]
    async with clients[0], clients[1]:
        yield clients[0], clients[1]


async def test_every_request_is_answered_as_by_fastapi(both: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> None:
    for method in ("GET", "POST", "DELETE"):
        for target in TARGETS.split():
            short, long = [await client.request(method, target) for client in both]
            assert (short.status_code, short.content, short.headers) == (
                long.status_code,
                long.content,
                long.headers,
            ), (method, target)


async def test_most_routes_of_the_service_are_plain() -> None:
    """Among them those that are called most."""

    async def unused(*_: Any) -> None: ...

    routes = PlainRoutes(unused, [route for router in ROUTERS for route in router.routes])
    session = "/v1/sessions/sess_01ARZ3NDEKTSV4RRFFQ69G5FAV"
    calls = [("GET", "/healthz"), ("GET", "/readyz"), ("POST", "/v1/sessions"), ("GET", "/v1/sessions")]
    calls += [("GET", session), ("PUT", f"{session}/start"), ("PUT", f"{session}/end"), ("GET", "/v1/avatars/public")]
    for method, path in calls:
        assert routes._find({"method": method, "path": path}) is not None, path
