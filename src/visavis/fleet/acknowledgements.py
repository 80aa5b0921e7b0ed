"""Which events of a session its stage need not keep any more, and which its client has been told. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from visavis.stage.port.events import PerformerEvent, PlaybackEvent
from visavis.stage.port.messages import UNTOLD_FROM, Event


class Acknowledgements:
    """Events come with rising numbers and are done with in any order; what is acknowledged is a number up to which all
    are done with. Until then a client may have been told of an event that others need. `untold`: of a session that has
    come from another stage, the events that are not done with, the oldest first.
    """

    def __init__(self, untold: Iterable[Event] | None = None) -> None:
        self._open: dict[int, PerformerEvent] = {}  # by number, those that are not done with
        self._numbers: dict[int, int] = {}  # by the identity of an open event, its number
        self._told: set[int] = set()  # the numbers of open events of which the client has been told
        self._newest = 0 if untold is None else UNTOLD_FROM - 1
        self.acknowledged = UNTOLD_FROM - 1  # the last number that `done` has returned
        for one in untold or ():
            self.took(one.event, self._newest + 1, told=one.told)

    def took(self, event: PerformerEvent, number: int, *, told: bool = False) -> None:
        """An event has come. One without a number (0) is not kept by its stage. `told`: see `messages.Event`."""
        if number:
            self._newest = number
            self._open[number] = event
            self._numbers[id(event)] = number
            if told:
                self._told.add(number)

    def made(self, event: PerformerEvent) -> None:
        """While the session has no stage, its fleet tells an event itself."""
        self.took(event, self._newest + 1)

    def done(self, event: PerformerEvent) -> int | None:
        """The event is done with. Return the number up to which all are, None if that is the same as before."""
        number = self._numbers.pop(id(event), None)
        if number is None:
            return None
        is_oldest = next(iter(self._open)) == number
        del self._open[number]
        self._told.discard(number)
        if not is_oldest:
            return None
        self.acknowledged = next(iter(self._open), self._newest + 1) - 1
        return self.acknowledged

    def tell(self, event: PerformerEvent) -> int | None:
        """The client has been told of an event. Return its number, None if nobody is to know that: the event is done
        with, or the same was said before.
        """
        number = self._numbers.get(id(event))
        if number is None or number in self._told:
            return None
        self._told.add(number)
        return number

    def was_told(self, event: PerformerEvent) -> bool:
        """Whether the client has been told of an event that is not done with."""
        return self._numbers.get(id(event)) in self._told

    def untold(self, session_id: str) -> tuple[Event, ...]:
        """Return the events of playback that are not done with, the oldest first."""
        return tuple(
            Event(session_id=session_id, event=event, number=number, told=number in self._told)
            for number, event in self._open.items()
            if isinstance(event, PlaybackEvent)
        )

    def all_done(self) -> int:
        """All events are done with. Return the number of the newest one."""
        self._open.clear()
        self._numbers.clear()
        self._told.clear()
        return self._newest
