"""Which events of a session its stage need not keep any more. Pure."""

from __future__ import annotations

from visavis.stage.port.events import PerformerEvent


class Acknowledgements:
    """Events come with rising numbers and are done with in any order; what is acknowledged is a number up to which all
    are done with.
    """

    def __init__(self) -> None:
        self._open: dict[int, PerformerEvent] = {}  # by number, those that are not done with
        self._numbers: dict[int, int] = {}  # by the identity of an open event, its number
        self._newest = 0

    def took(self, event: PerformerEvent, number: int) -> None:
        """An event has come. One without a number (0) is not kept by its stage."""
        if number:
            self._newest = number
            self._open[number] = event
            self._numbers[id(event)] = number

    def done(self, event: PerformerEvent) -> int | None:
        """The event is done with. Return the number up to which all are, None if that is the same as before."""
        number = self._numbers.pop(id(event), None)
        if number is None:
            return None
        is_oldest = next(iter(self._open)) == number
        del self._open[number]
        return next(iter(self._open), self._newest + 1) - 1 if is_oldest else None

    def all_done(self) -> int:
        """All events are done with. Return the number of the newest one."""
        self._open.clear()
        self._numbers.clear()
        return self._newest
