"""What the sender of webhooks makes of an answer, byte by byte: a real server on loopback answers it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from visavis.webhooks.post import Outcome, Poster, shown_host

pytestmark = pytest.mark.anyio

HANGS = b"..."  # stands for no answer at all


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    over = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        if answer == HANGS:
            await over.wait()
        else:
            writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        over.set()


def head(status: str, *fields: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *fields, "")).encode()


ANSWERS = {
    "a success": (head("204 No Content"), Outcome(status=204)),
    "a success after a hint": (head("103 Early Hints") + head("200 OK"), Outcome(status=200)),
    "when to come again": (
        head("503 Busy", "Retry-After: 7"),
        Outcome(status=503, problem="The answer was 503", retry_after_ms=7000),
    ),
    "a date": (
        head("503 Busy", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"),
        Outcome(status=503, problem="The answer was 503"),
    ),
    "elsewhere": (
        head("302 Found", "Location: http://127.0.0.1/"),
        Outcome(status=302, problem="The answer was a redirect (302)"),
    ),
    "another protocol": (b"SSH-2.0-OpenSSH\r\n\r\n", Outcome(problem="The answer is not that of a web server")),
    "nothing": (b"", Outcome(problem="The connection broke off before the answer")),
    "half a head": (b"HTTP/1.1 200", Outcome(problem="The connection broke off before the answer")),
    "silence": (HANGS, Outcome(problem="There was no answer within 0.5 s")),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_is_judged(kind: str) -> None:
    answer, outcome = ANSWERS[kind]
    poster = Poster(is_allowed=lambda _: True, timeout_s=0.5 if answer == HANGS else 15.0)
    async with answering(answer) as url:
        assert await poster.post(url, {}, b"{}") == outcome


async def test_an_address_that_is_none_is_told_and_shows_no_host() -> None:
    outcome = await Poster().post("ftp://example.com/hook", {}, b"{}")
    assert outcome.problem is not None and outcome.problem.startswith("The address ") and outcome.status is None
    assert shown_host("ftp://example.com/secret") == "?" and shown_host("https://example.com/secret") == "example.com"


async def test_an_address_of_this_machine_is_refused() -> None:
    outcome = await Poster().post("http://127.0.0.1:9/hook", {}, b"{}")
    assert outcome == Outcome(problem="The address is not on the public internet")
