"""What waits in a session's line (`voice/line.py`) until it becomes speech, as it is kept for the next server. Pure.

The stage does not know what it is: text, or sound behind text. Each has a place, which rises. What has become speech is
forgotten with the very piece that says it (`Speech.line`), so nothing is said twice and nothing is lost.
"""

from __future__ import annotations

from collections import deque

import msgspec


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """`number`: as in `Speech`. `dropped`: an interrupt has dropped it, and the end of its utterance is to be told."""

    place: int
    number: int
    body: bytes
    dropped: bool = False


class LineMark(msgspec.Struct, frozen=True, kw_only=True):
    """How far the line has come. What waits up to the place `through` is done, but for `rest`, which takes that place.
    `spent`: so many samples of the first sentence that waits have been spoken.
    """

    through: int = 0
    rest: Waiting | None = None
    spent: int = 0


class LineSoFar(msgspec.Struct, frozen=True, kw_only=True):
    """`waiting`: the first one is spoken next. `spent`: see `LineMark`. `last_message`: of the client's messages that
    have come into the line the highest `Speech.message`.
    """

    waiting: tuple[Waiting, ...] = ()
    spent: int = 0
    last_message: int = 0


class KeptLine:
    def __init__(self, so_far: LineSoFar) -> None:
        self._waiting = deque(so_far.waiting)
        self._spent, self._last_message = so_far.spent, so_far.last_message
        self._dropped_through = 0  # the highest number that an interrupt has dropped

    def keep(self, waiting: Waiting | None, mark: LineMark | None, *, message: int) -> None:
        """Keep what has come into the line, and forget what is done there."""
        if waiting is not None:
            self.add(waiting, message=message)
        if mark is not None:
            self.advance(mark)

    def add(self, waiting: Waiting, *, message: int) -> None:
        """Keep what has come into the line. An interrupt may have overtaken it."""
        if waiting.number <= self._dropped_through:
            waiting = msgspec.structs.replace(waiting, dropped=True)
        self._waiting.append(waiting)
        self._last_message = max(self._last_message, message)

    def advance(self, mark: LineMark) -> None:
        dropped = False
        while self._waiting and self._waiting[0].place <= mark.through:
            dropped = self._waiting.popleft().dropped
        if mark.rest is not None:
            self._waiting.appendleft(msgspec.structs.replace(mark.rest, dropped=dropped))
        self._spent = mark.spent

    def interrupt(self, *, through: int) -> None:
        """Drop what waits up to a number."""
        self._dropped_through = max(self._dropped_through, through)
        self._waiting = deque(
            msgspec.structs.replace(one, dropped=True) if one.number <= through else one for one in self._waiting
        )

    def forget_numbers(self) -> None:
        """Let numbers begin anew: another server owns the session. What waits was there before all that it sends."""
        self._dropped_through = 0
        self._waiting = deque(msgspec.structs.replace(one, number=FIRST_NUMBER) for one in self._waiting)

    def so_far(self) -> LineSoFar:
        return LineSoFar(waiting=tuple(self._waiting), spent=self._spent, last_message=self._last_message)


FIRST_NUMBER = 1  # of speech; lower than any that a channel gives
