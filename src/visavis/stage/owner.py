"""A server that owns sessions of this stage, with its connection, which may be lost and come back."""

from __future__ import annotations

from collections import deque

import structlog

from visavis.errors import LinkBroken
from visavis.rooms.spec import IceServer
from visavis.stage.port.events import MotionFrames, PerformerEvent, PerformerMetrics
from visavis.stage.port.link import Link
from visavis.stage.port.messages import Event, Hello
from visavis.stage.sources import PackSource

MAX_HELD_EVENTS = 1024  # of a server whose connection is lost, until it comes back; figures and motion are not held

log = structlog.get_logger("visavis.stage")


class Owner:
    """`link` is None while the connection is lost."""

    def __init__(self, hello: Hello, source: PackSource) -> None:
        self.server_id = hello.server_id
        self.ice_servers: tuple[IceServer, ...] = hello.ice_servers
        self.grace_s = hello.owner_grace_s
        self.source = source
        self.link: Link | None = None
        self._held: deque[Event] = deque(maxlen=MAX_HELD_EVENTS)

    def connected(self, link: Link) -> None:
        """The server is there, maybe again: tell it what it has missed."""
        self.link = link
        while self._held:
            link.send(self._held.popleft())

    def tell(self, session_id: str, event: PerformerEvent) -> None:
        """Tell an event of a session, or hold it until the server is there again."""
        message = Event(session_id=session_id, event=event)
        if self.link is not None:
            try:
                self.link.send(message)
                return
            except LinkBroken as error:
                log.error("server_takes_nothing", server_id=self.server_id, problem=error.message)
                self.link.abort()
                self.link = None
        if not isinstance(event, PerformerMetrics | MotionFrames):
            self._held.append(message)
