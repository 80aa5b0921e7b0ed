"""One real server for all of these tests, and a key. The tests use it like an outside client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient


@pytest.fixture(scope="session")
def server(live_server: LiveServer) -> LiveServer:
    return live_server


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def http(server: LiveServer, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.base_url, headers={"x-api-key": server.key}, timeout=30) as client:
        yield client


@pytest.fixture
def sessions(http: httpx.AsyncClient) -> SessionClient:
    return SessionClient(http)
