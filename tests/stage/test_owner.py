"""Events that happen while a server's connection is lost: they are sent, in order, when the server is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog.testing

from visavis.stage.owner import Owner
from visavis.stage.port import link as links
from visavis.stage.port.address import Address
from visavis.stage.port.connection import Connection, connect_to, listening
from visavis.stage.port.events import PerformerMetrics, PlaybackStarted
from visavis.stage.port.link import Link
from visavis.stage.port.messages import (
    PORT_VERSION,
    Event,
    FolderSource,
    Hello,
    Remember,
    Request,
    Speak,
    decode_from_server,
    decode_from_stage,
)
from visavis.stage.port.values import Speech
from visavis.stage.sources import FolderPackSource

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def two_links(folder: Path) -> AsyncIterator[tuple[Link, Link]]:
    """Yield the two ends of one connection: the stage's and the server's."""
    accepted: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def serve(connection: Connection) -> None:
        accepted.set_result(Link(connection))
        await done.wait()

    address = Address(path=folder / "stage.sock")
    async with listening(address, serve, tls=None):
        server = Link(await connect_to(address, tls=None, timeout_s=5.0))
        stage = await accepted
        writers = [asyncio.create_task(link.run_writer()) for link in (stage, server)]
        try:
            yield stage, server
        finally:
            done.set()
            for end in (server, stage):
                end.abort()
                await end.aclose()
            for writer in writers:
                writer.cancel()
            await asyncio.wait(writers)


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    hello = Hello(version=PORT_VERSION, token="t", server_id="server", source=FolderSource())
    return Owner(hello, FolderPackSource(tmp_path))


def started(number: int) -> PlaybackStarted:
    return PlaybackStarted(utterance_id=str(number))


async def receive(server: Link, count: int) -> list[Event]:
    events: list[Event] = []
    async with asyncio.timeout(20):
        while len(events) < count:
            body = await server.receive()
            assert body is not None
            event = decode_from_stage(body)
            assert isinstance(event, Event)
            events.append(event)
    return events


async def test_missed_events_are_sent_first_in_order_and_without_metrics(owner: Owner, tmp_path: Path) -> None:
    for number in range(5):
        owner.send_event("s", started(number))
        owner.send_event("s", PerformerMetrics(frames=1, late_frames=0, queued_s=0.0))
    async with two_links(tmp_path) as (stage, server):
        owner.connect(stage)
        owner.send_event("s", started(5))
        expected = [Event(session_id="s", event=started(number), number=number + 1) for number in range(6)]
        assert await receive(server, 6) == expected


async def test_events_are_sent_again_until_they_are_acknowledged(owner: Owner, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    async with two_links(tmp_path / "one") as (stage, server):
        owner.connect(stage)
        for number in range(4):
            owner.send_event("s", started(number))
        assert [event.number for event in await receive(server, 4)] == [1, 2, 3, 4]
    owner.log.acknowledge("s", 2)
    async with two_links(tmp_path / "two") as (stage, server):
        owner.connect(stage)
        assert [event.event for event in await receive(server, 2)] == [started(2), started(3)]
    owner.log.acknowledge("s", 4)
    async with two_links(tmp_path / "three") as (stage, server):
        owner.connect(stage)
        owner.send_event("s", started(4))
        assert [event.number for event in await receive(server, 1)] == [5]


async def test_a_server_that_does_not_read_is_dropped_and_gets_the_events_later(
    owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with two_links(tmp_path / "one") as (stage, _):
        owner.connect(stage)
        monkeypatch.setattr(links, "MAX_UNSENT_BYTES", -1)
        with structlog.testing.capture_logs() as logs:
            owner.send_event("s", started(1))
            owner.send_event("s", started(2))
        assert owner.link is None
        assert [log["event"] for log in logs] == ["server_not_reading"]
        monkeypatch.undo()
    async with two_links(tmp_path / "two") as (stage, server):
        owner.connect(stage)
        assert [event.event for event in await receive(server, 2)] == [started(1), started(2)]


async def test_a_flush_ends_when_the_system_has_the_messages_and_when_the_connection_is_over(tmp_path: Path) -> None:
    """A whole message waits behind a piece of speech that the other end does not read."""
    speech = Speech(pcm=bytes(4 * 1024 * 1024), sample_rate_hz=16_000, number=1)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with two_links(tmp_path / "one") as (stage, server):
        server.send(Request(number=1, session_id="s", epoch=1, command=Speak(speech=speech)))
        unsent = 0
        while unsent != server._outbox.unsent_bytes:  # until all buffers are full
            unsent = server._outbox.unsent_bytes
            for _ in range(100):
                await asyncio.sleep(0)
        flushes = []
        for number in range(3):
            server.send(Remember(session_id="s", memo=bytes([number])))
            flushes.append(asyncio.create_task(server.flush()))
        received: list[bytes] = []
        async with asyncio.timeout(20):
            await asyncio.sleep(0)
            assert not any(flush.done() for flush in flushes)
            while len(received) < 3:
                body = await stage.receive()
                assert body is not None
                if isinstance(message := decode_from_server(body), Remember):
                    received.append(message.memo)
            await asyncio.gather(*flushes)
        assert received == [b"\0", b"\1", b"\2"]
        await server.flush()  # nothing waits
    async with two_links(tmp_path / "two") as (stage, server):
        server.send(Request(number=1, session_id="s", epoch=1, command=Speak(speech=speech)))
        await asyncio.sleep(0)
        server.send(Remember(session_id="s", memo=b""))
        flush = asyncio.create_task(server.flush())
        await asyncio.sleep(0)
        stage.abort()
        async with asyncio.timeout(20):
            await flush
