"""The events of a server's sessions that it has not acknowledged. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

import msgspec

from visavis.stage.port.events import PerformerEnded, PerformerEvent, PlaybackEvent
from visavis.stage.port.messages import UNTOLD_FROM, Event

# Events that are kept at most; beyond it the oldest are dropped. Metrics and motion are not kept.
# A session that gets no speech has at most three events for each of 4096 utterances.
MAX_KEPT_EVENTS = 64 * 1024


@dataclass(slots=True)
class _Untold:
    """What the server has not told yet of the events of before this stage. `done`: up to which number it has."""

    events: deque[Event] = field(default_factory=deque)
    done: int = UNTOLD_FROM - 1


class EventLog:
    """Numbers the events of each session from 1, and keeps them until they are acknowledged. Before them it keeps what
    has happened to the session before it came to this stage.
    """

    def __init__(self, most: int = MAX_KEPT_EVENTS) -> None:
        self._most = most
        self._events: dict[tuple[str, int], Event] = {}  # of all sessions, the oldest first
        self._kept: dict[str, deque[int]] = {}  # by session: the numbers of its events
        self._last: dict[str, int] = {}  # by session: the number of its newest event
        self._untold: dict[str, _Untold] = {}  # by session that has come from another stage

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

    def keep_untold(self, session_id: str, events: Iterable[Event]) -> None:
        """Keep events of before this stage, in place of those that are kept. An acknowledgement may have come first."""
        untold = self._untold.setdefault(session_id, _Untold())
        untold.events = deque(event for event in events if event.number > untold.done)

    def add_untold(self, session_id: str, events: Iterable[PlaybackEvent]) -> None:
        """Keep more of them, which the server numbers likewise."""
        untold = self._untold.setdefault(session_id, _Untold())
        for event in events:
            newest = untold.events[-1].number if untold.events else untold.done
            untold.events.append(Event(session_id=session_id, event=event, number=newest + 1))

    def forget_untold(self, session_id: str) -> None:
        """The session has not come to this stage, or is over."""
        self._untold.pop(session_id, None)

    def acknowledge(self, session_id: str, number: int) -> None:
        """Forget the session's events up to a number, and the session with its last event."""
        if (untold := self._untold.get(session_id)) is not None:
            untold.done = min(max(untold.done, number), -1)
            while untold.events and untold.events[0].number <= number:
                untold.events.popleft()
        kept = self._kept.get(session_id)
        while kept and kept[0] <= number:
            forgotten = self._events.pop((session_id, kept.popleft()))
            if isinstance(forgotten.event, PerformerEnded):
                self._last.pop(session_id, None)
                self.forget_untold(session_id)
        if not kept:
            self._kept.pop(session_id, None)

    def take(self, session_id: str, before: EventLog) -> None:
        """Go on with what the log of another server has of a session."""
        for number in self._kept.pop(session_id, ()):
            del self._events[session_id, number]
        self._last[session_id] = before._last.pop(session_id, 0)
        if (kept := before._kept.pop(session_id, None)) is not None:
            self._kept[session_id] = kept
            for number in kept:
                self._events[session_id, number] = before._events.pop((session_id, number))
        self._untold.pop(session_id, None)
        if (untold := before._untold.pop(session_id, None)) is not None:
            self._untold[session_id] = untold

    def tell(self, session_id: str, numbers: Iterable[int]) -> None:
        """The client has been told of these events."""
        for number in numbers:
            if (event := self._events.get((session_id, number))) is not None:
                self._events[session_id, number] = msgspec.structs.replace(event, told=True)
            elif (untold := self._untold.get(session_id)) is not None:
                for place, one in enumerate(untold.events):
                    if one.number == number:
                        untold.events[place] = msgspec.structs.replace(one, told=True)
                        break

    def unacknowledged(self) -> Iterable[Event]:
        """Return the kept events, the oldest first."""
        return tuple(chain.from_iterable(one.events for one in self._untold.values())) + tuple(self._events.values())

    def unacknowledged_of(self, session_id: str) -> Iterable[Event]:
        """Return the kept events of one session, the oldest first."""
        untold = self._untold.get(session_id)
        kept = tuple(self._events[session_id, number] for number in self._kept.get(session_id, ()))
        return (() if untold is None else tuple(untold.events)) + kept
