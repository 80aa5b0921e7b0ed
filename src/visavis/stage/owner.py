"""A server that owns sessions of this stage. Its connection may be lost and come back, also from another process."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from visavis.errors import LinkBroken
from visavis.rooms.spec import IceServer
from visavis.stage.event_log import EventLog
from visavis.stage.fence import now_ns
from visavis.stage.port.events import DroppableEvent, PerformerEnded, PerformerEvent
from visavis.stage.port.link import Link
from visavis.stage.port.messages import Event, Hello, Reported
from visavis.stage.port.report import StageReport
from visavis.stage.sources import PackSource

log = structlog.get_logger("visavis.stage")


class Owner:
    """One server. `link` is None while its connection is lost. `epoch`: of the process that is the server now.
    `leaving`: it ends in order, so its sessions do not wait for it. `gone`: its sessions have ended, because it did not
    come back. `heard_ns`: when it was heard last (fence.py).
    """

    def __init__(self, hello: Hello, source: PackSource) -> None:
        self.server_id = hello.server_id
        self.log = EventLog()
        self.link: Link | None = None
        self.disconnected = asyncio.Event()  # set while no connection is read
        self.disconnected.set()
        self.gone = False
        self.admit(hello, source)

    def admit(self, hello: Hello, source: PackSource) -> None:
        """Take what a new connection says about the server."""
        self.epoch = hello.epoch
        self.ice_servers: tuple[IceServer, ...] = hello.ice_servers
        self.grace_s = hello.owner_grace_s
        self.source = source
        self.leaving = False
        self.heard_ns = now_ns()

    def connect(self, link: Link) -> None:
        """Use a new connection, and send the events that were not acknowledged."""
        self.link = link
        self.disconnected.clear()
        for event in self.log.unacknowledged():
            link.send(event)

    def send_event(self, session_id: str, event: PerformerEvent) -> None:
        """Send an event of a session. It is kept until it is acknowledged, and sent again when the server is back."""
        if isinstance(event, DroppableEvent):
            message = Event(session_id=session_id, event=event)
        else:
            message = self.log.add(session_id, event)
        if self.link is not None:
            try:
                self.link.send(message)
            except LinkBroken as error:
                log.error("server_not_reading", server_id=self.server_id, problem=error.message)
                self.link.abort()
                self.link = None

    def tell_taken(self, session_id: str) -> None:
        """Another server has taken a session over. A connection that is lost is told nothing: the session is not among
        those that the stage holds for this server when it is back.
        """
        if self.link is not None:
            with suppress(LinkBroken):  # the next event notices it
                self.link.send(Event(session_id=session_id, event=PerformerEnded(reason="taken")))

    def send_report(self, report: StageReport) -> None:
        """Send a report of the stage. While the connection is lost it is dropped: the next one says more."""
        if self.link is not None:
            with suppress(LinkBroken):  # the next event notices it
                self.link.send(Reported(report=report))
