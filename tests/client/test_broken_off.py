"""A call that is broken off while it is repeated: what the server has said is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
from visavis_client import AsyncVisavis, NoCapacity, last_answer

pytestmark = pytest.mark.anyio

FULL = {"success": False, "error": {"message": "No machine is free", "code": "NO_CAPACITY"}}
Answer = Callable[[httpx.Request], Coroutine[Any, Any, httpx.Response]]


async def broken_off(answer: Answer) -> TimeoutError:
    """Ask a server that answers so, and give up after a moment. Return what was raised."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://visavis.test")
    async with AsyncVisavis("http://visavis.test", "ah_live_x", http=http) as client:
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.2):
                await client.sessions.get("sess_1")
    return raised.value


async def test_while_it_waits_to_repeat_it() -> None:
    async def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503, json=FULL, headers={"retry-after": "30"})

    error = last_answer(await broken_off(refuse))
    assert isinstance(error, NoCapacity) and error.message == "No machine is free"


async def test_while_the_server_works_on_the_repetition() -> None:
    asked = 0

    async def refuse_once(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if asked > 1:
            await asyncio.Event().wait()
        return httpx.Response(503, json=FULL, headers={"retry-after": "0"})

    assert isinstance(last_answer(await broken_off(refuse_once)), NoCapacity)
    assert asked == 2


async def test_a_create_that_was_refused_leaves_nothing_to_undo() -> None:
    """So whoever gives up does not wait for more refusals."""
    asked: list[str] = []

    async def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(503, json=FULL, headers={"retry-after": "30"})

    http = httpx.AsyncClient(transport=httpx.MockTransport(refuse), base_url="http://visavis.test")
    async with AsyncVisavis("http://visavis.test", "ah_live_x", http=http) as client:
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.2):
                await client.sessions.create("avat_1")
    assert isinstance(last_answer(raised.value), NoCapacity) and asked == ["/v1/sessions"]


async def test_at_the_first_try_nothing_was_said() -> None:
    async def be_silent(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert last_answer(await broken_off(be_silent)) is None
