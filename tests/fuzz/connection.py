"""A viewer that is connected to a stage's port, both in this process, for what it may send."""

from __future__ import annotations

import asyncio
import functools
import logging
from dataclasses import dataclass, field
from typing import Any

from aioice import Connection
from aiortc import RTCDtlsTransport

from tests.rooms.media import Feed, RecordedEvents
from tests.rooms.webrtc.test_media_ports import LOOPBACK, OwnSockets
from tests.rooms.webrtc.test_peers import PeerAsSink
from visavis.rooms.webrtc import media_ports
from visavis.rooms.webrtc.media_ports import open_media_ports

WITHIN_S = 20.0


class _Faults(logging.Handler):
    """Collects what is logged as a warning or an error, by whatever library."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


@dataclass
class Connected:
    """`shared`: the stage's socket. `seat`: the viewer's at it. `transport`: the stage's side of the connection."""

    runner: asyncio.Runner
    shared: media_ports._SharedSocket
    seat: media_ports._Seat
    feed: Feed
    sink: PeerAsSink
    receiving: OwnSockets
    _faults: _Faults = field(default_factory=_Faults)

    def __post_init__(self) -> None:
        logging.getLogger().addHandler(self._faults)

        def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            self._faults.found.append(repr(context))

        self.runner.get_loop().set_exception_handler(note)

    @property
    def transport(self) -> RTCDtlsTransport:
        assert self.sink.peer._connection is not None
        transport: RTCDtlsTransport = self.sink.peer._connection.getSenders()[0].transport
        return transport

    @property
    def ice(self) -> Connection:
        return self.transport.transport._connection

    @property
    def sources(self) -> tuple[int, int]:
        """The SSRCs of video and sound."""
        assert self.sink.peer._connection is not None
        video, sound = (sender._ssrc for sender in self.sink.peer._connection.getSenders())
        return video, sound

    async def step(self) -> None:
        """Publish a picture, and let everybody read what has come."""
        self.feed.publish(2)
        for _ in range(5):
            await asyncio.sleep(0)

    def assert_alive(self) -> None:
        """The connection goes on, and nothing was told as a fault."""
        assert not self._faults.found, self._faults.found
        assert self.transport.state == "connected" and not self.sink.disconnected

    def sees_pictures(self, count: int = 3) -> None:
        async def see() -> None:
            pictures = self.receiving.pictures()
            for _ in range(count):
                following = asyncio.ensure_future(anext(pictures))
                await self.feed.until(following.done)
                await following

        self.runner.run(asyncio.wait_for(see(), WITHIN_S))


@functools.cache
def connected() -> Connected:
    """Return the connection of this process. It is closed with the process."""
    runner = asyncio.Runner()
    return runner.run(_connect(runner))


async def _connect(runner: asyncio.Runner) -> Connected:
    ports = await open_media_ports(LOOPBACK)
    events = RecordedEvents()
    sink, receiving = PeerAsSink(events), OwnSockets()
    feed = Feed(sink, events)
    answer = await sink.peer.answer(await receiving.offer(), ("video", "audio"))
    accepting = asyncio.create_task(receiving.accept(answer))
    await asyncio.wait_for(feed.until(lambda: sink.connected > 0 and accepting.done()), WITHIN_S)
    shared = ports._sockets["127.0.0.1"]
    (seat,) = shared._by_user_name.values()
    media_ports._ports = None  # connections of other tests have sockets of their own
    return Connected(runner=runner, shared=shared, seat=seat, feed=feed, sink=sink, receiving=receiving)
