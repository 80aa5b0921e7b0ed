"""A server that owns sessions of this stage. Its connection may be lost and come back."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import structlog

from visavis.errors import LinkBroken
from visavis.rooms.spec import IceServer
from visavis.stage.port.events import DroppableEvent, PerformerEvent
from visavis.stage.port.link import Link
from visavis.stage.port.messages import Event, Hello, Reported
from visavis.stage.port.report import StageReport
from visavis.stage.sources import PackSource

# Events that are kept while the connection is lost; beyond it the oldest are dropped. Metrics and motion are not kept.
# A session that gets no speech has at most three events for each of 4096 utterances.
MAX_KEPT_EVENTS = 64 * 1024

log = structlog.get_logger("visavis.stage")


class Owner:
    """One server. `link` is None while its connection is lost."""

    def __init__(self, hello: Hello, source: PackSource) -> None:
        self.server_id = hello.server_id
        self.ice_servers: tuple[IceServer, ...] = hello.ice_servers
        self.grace_s = hello.owner_grace_s
        self.source = source
        self.link: Link | None = None
        self._kept: deque[Event] = deque(maxlen=MAX_KEPT_EVENTS)

    def connect(self, link: Link) -> None:
        """Use a new connection, and send the events that were kept."""
        self.link = link
        while self._kept:
            link.send(self._kept.popleft())

    def send_event(self, session_id: str, event: PerformerEvent) -> None:
        """Send an event of a session, or keep it until the server is connected again."""
        message = Event(session_id=session_id, event=event)
        if self.link is not None:
            try:
                self.link.send(message)
                return
            except LinkBroken as error:
                log.error("server_not_reading", server_id=self.server_id, problem=error.message)
                self.link.abort()
                self.link = None
        if not isinstance(event, DroppableEvent):
            self._kept.append(message)

    def send_report(self, report: StageReport) -> None:
        """Send a report of the stage. While the connection is lost it is dropped: the next one says more."""
        if self.link is not None:
            with suppress(LinkBroken):  # the next event notices it
                self.link.send(Reported(report=report))
