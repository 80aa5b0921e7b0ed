"""The sinks of one session. Each item is published to every sink that takes its form."""

from __future__ import annotations

import asyncio

import structlog

from visavis.rooms.backlog import first_unheard
from visavis.rooms.port import EncodedPacket, MediaForm, MediaItem, Sink

log = structlog.get_logger("visavis.rooms")


class Sinks:
    """The destinations of one session's media. `aclose` closes all sinks that were added."""

    def __init__(self) -> None:
        self._sinks: tuple[Sink, ...] = ()  # replaced when one is added

    def add(self, sink: Sink) -> None:
        self._sinks = (*self._sinks, sink)

    def want(self, form: MediaForm) -> bool:
        """Whether any sink is watched and takes media of this form."""
        return any(sink.takes == form and sink.watched for sink in self._sinks)

    def publish(self, item: MediaItem) -> None:
        """Publish an item to every sink that takes its form. Never blocks."""
        for sink in self._sinks:
            if sink.takes == "encoded":
                if isinstance(item, EncodedPacket):
                    sink.publish(item)
            elif not isinstance(item, EncodedPacket):
                sink.publish(item)

    def drop_backlog(self) -> int | None:
        """Drop the backlog of every sink; return what `_SinkBase.drop_backlog` returns, for all watched sinks."""
        dropped = [(sink.drop_backlog(), sink.watched) for sink in self._sinks]
        return first_unheard([position for position, watched in dropped if watched])

    async def aclose(self) -> None:
        """Close all sinks at the same time, even if one of them fails to close. Takes at most 4 s."""
        sinks, self._sinks = self._sinks, ()
        for outcome in await asyncio.gather(*(sink.aclose() for sink in sinks), return_exceptions=True):
            if isinstance(outcome, Exception):
                log.warning("sink_close_failed", error=repr(outcome))
