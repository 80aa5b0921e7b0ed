"""Viewers that break off in every phase of their join, and sessions one after another: server and stage have as much
memory afterwards as before. At full size 5,000 joins and 1,000 sessions, with ordinary memory and with huge pages.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.faults.scale import FULL, only_in_full
from tests.processes import children
from tests.rooms.offers import make_offer
from visavis.bench.live import LiveServer, LiveSession, live_session, running_server
from visavis.bench.processes import own_mb
from visavis.bench.viewer_process import ViewerProcess
from visavis.library import SAMPLE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

# At most 16 viewers of one address may wait to connect to a room.
ROOMS, JOINS_PER_PHASE = (16, 5) if FULL else (2, 3)
ROUNDS = int(os.environ.get("VISAVIS_JOIN_ROUNDS", "21" if FULL else "1"))
SESSIONS = int(os.environ.get("VISAVIS_SESSIONS", "1000" if FULL else "8"))
SESSIONS_AT_ONCE = 4
WARM_SESSIONS = 300 if FULL else 8  # the metrics of 256 ended sessions are kept
# A viewer that has not connected is removed after 15 s, and one that has vanished after about 6 s. All that have
# connected are checked once a second.
EXPIRY_S = 15.5 if FULL else 1.5
GROWTH, ALLOWED_MB = (0.05, 0.0) if FULL else (0.05, 12.0)
SETTINGS = {
    "VISAVIS_STAGES": "1",
    "VISAVIS_ADMISSION": "counted",
    "VISAVIS_JOIN_TIMEOUT_S": "3600",
    "VISAVIS_ROOM_EMPTY_GRACE_S": "3600",
    "VISAVIS_CHANNEL_GRACE_S": "3600",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Allocated memory in MB. The pages of programs and libraries change with what else runs them."""

    server: float
    stage: float

    @classmethod
    def of(cls, server: LiveServer) -> Memory:
        return cls(server=own_mb([server.pid]), stage=own_mb(children(server.pid, "visavis.stage")))


def settled(server: LiveServer) -> Memory:
    """Return the least of some seconds: a stage gives memory back shortly after the end of a session."""
    seen = []
    for _ in range(10 if FULL else 3):
        time.sleep(1.0)  # there is no event that tells when it has done so
        seen.append(Memory.of(server))
    return Memory(server=min(one.server for one in seen), stage=min(one.stage for one in seen))


async def break_off_before_the_answer(session: LiveSession, offer: str) -> None:
    """Send an offer and close the connection without reading the answer."""
    url = httpx.URL(session.whep_url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    body = offer.encode()
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nAuthorization: Bearer {session.token}\r\n"
        f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def break_off_after_the_handshake(sessions: list[LiveSession], count: int) -> None:
    """Let `count` viewers join each session, and kill their process when all of them are connected. On a busy machine a
    room gives some of them up before they are.
    """
    viewers = await ViewerProcess.start()
    connected = 0
    try:
        numbers = itertools.count()
        for session in sessions:
            for _ in range(count):
                await viewers.join(next(numbers), session.exchange)
        with suppress(TimeoutError):
            async with asyncio.timeout(60.0):
                while connected < count * len(sessions):
                    await asyncio.sleep(0.2)
                    connected = len((await viewers.count())["pictures"])
    finally:
        viewers.kill()
        await viewers.aclose()
    assert connected > count * len(sessions) // 2


async def join_and_break_off(sessions: list[LiveSession], count: int) -> None:
    """Break off `count` joins of each room in each phase."""
    offer = await make_offer("video", "audio")
    for session in sessions:
        for _ in range(count):
            await break_off_before_the_answer(session, offer)
        for _ in range(count):
            await session.exchange(offer)  # and then there is no viewer
    await break_off_after_the_handshake(sessions, count)


async def joins(server: LiveServer, *, rounds: int) -> None:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(server.client())
        sessions = [await stack.enter_async_context(live_session(http, server.look)) for _ in range(ROOMS)]
        for number in range(rounds):
            await join_and_break_off(sessions, JOINS_PER_PHASE)
            await asyncio.sleep(EXPIRY_S)
            print("joins", (number + 1) * ROOMS * JOINS_PER_PHASE * 3, Memory.of(server), flush=True)


async def speak_shortly(server: LiveServer, http: httpx.AsyncClient) -> None:
    async with live_session(http, server.look, "playback") as session:
        pcm = SAMPLE.read_bytes()[-2 * 16_000 :]
        await session.channel.speak(pcm[: 2 * 4_000], sample_rate_hz=16_000, utterance_id="u")
        await session.channel.wait_for("agent.playback.finished", utterance_id="u")


async def sessions_in_a_row(server: LiveServer, count: int) -> None:
    numbers = iter(range(count))

    async def one_after_another(http: httpx.AsyncClient) -> None:
        for number in numbers:
            await speak_shortly(server, http)
            if number % 100 == 99:
                print("sessions", number + 1, Memory.of(server), flush=True)

    async with server.client() as http:
        await asyncio.gather(*(one_after_another(http) for _ in range(SESSIONS_AT_ONCE)))


@only_in_full
@pytest.mark.timeout(3600)  # a quarter of an hour; three times as long where others have the cores
@pytest.mark.parametrize("malloc", ["", "glibc.malloc.hugetlb=1"], ids=str)
def test_joins_and_sessions_give_their_memory_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, malloc: str
) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", malloc)  # 1: ask for huge pages everywhere, as a kernel set to `always` gives
    with running_server(tmp_path, **SETTINGS) as server:
        asyncio.run(joins(server, rounds=2 if FULL else 1))
        asyncio.run(sessions_in_a_row(server, WARM_SESSIONS))
        before = settled(server)
        asyncio.run(joins(server, rounds=ROUNDS))
        asyncio.run(sessions_in_a_row(server, SESSIONS))
        after = settled(server)
        print(before, after)
        assert "Traceback" not in (tmp_path / "log").read_text()
    assert after.server <= before.server * (1 + GROWTH) + ALLOWED_MB
    assert after.stage <= before.stage * (1 + GROWTH) + ALLOWED_MB
