"""The events of a server's sessions that it has not acknowledged. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from visavis.stage.port.events import PerformerEnded, PerformerEvent
from visavis.stage.port.messages import Event

# Events that are kept at most; beyond it the oldest are dropped. Metrics and motion are not kept.
# A session that gets no speech has at most three events for each of 4096 utterances.
MAX_KEPT_EVENTS = 64 * 1024


class EventLog:
    """Numbers the events of each session from 1, and keeps them until they are acknowledged."""

    def __init__(self, most: int = MAX_KEPT_EVENTS) -> None:
        self._most = most
        self._events: dict[tuple[str, int], Event] = {}  # of all sessions, the oldest first
        self._kept: dict[str, deque[int]] = {}  # by session: the numbers of its events
        self._last: dict[str, int] = {}  # by session: the number of its newest event

    def add(self, session_id: str, event: PerformerEvent) -> Event:
        """Keep an event, and return it with its number."""
        number = self._last[session_id] = self._last.get(session_id, 0) + 1
        message = self._events[session_id, number] = Event(session_id=session_id, event=event, number=number)
        self._kept.setdefault(session_id, deque()).append(number)
        if len(self._events) > self._most:
            oldest_session, oldest = next(iter(self._events))
            del self._events[oldest_session, oldest]
            self._kept[oldest_session].popleft()
        return message

    def acknowledge(self, session_id: str, number: int) -> None:
        """Forget the session's events up to a number, and the session with its last event."""
        kept = self._kept.get(session_id)
        while kept and kept[0] <= number:
            forgotten = self._events.pop((session_id, kept.popleft()))
            if isinstance(forgotten.event, PerformerEnded):
                self._last.pop(session_id, None)
        if not kept:
            self._kept.pop(session_id, None)

    def unacknowledged(self) -> Iterable[Event]:
        """Return the kept events, the oldest first."""
        return tuple(self._events.values())
