"""Sessions that a server takes over from another one, whose lease has ended: asks a stage for each, and keeps what the
stage tells of it before its answer. The answer may be large, so events overtake it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager

from visavis.errors import PerformerLost, VisavisError
from visavis.fleet.link import StageLink
from visavis.fleet.port import Adopted
from visavis.stage.port.events import PerformerEnded
from visavis.stage.port.held import HeldSession
from visavis.stage.port.messages import Event, NotHere, Result, TakenOver, TakeOver
from visavis.stage.port.versions import TELLS_NOT_HERE

Take = Callable[[HeldSession], Adopted]
"""Goes on with what a stage holds of a session. Called before any event that follows the answer is handled."""

ANY_EPOCH = 0  # of the request: the server does not know the session's


class TakeOvers:
    """The sessions that a fleet of stages is asked for now."""

    def __init__(self) -> None:
        self._early: dict[str, list[tuple[StageLink, Event]]] = {}  # by session

    @property
    def awaited_sessions(self) -> Set[str]:
        """They have no place yet, and are no strays."""
        return self._early.keys()

    @contextmanager
    def awaited(self, session_id: str) -> Iterator[None]:
        """Keep the events of a session inside this context until the stage answers that performs it. If that fails, it
        is awaited until it is asked for again, or forgotten: a stage may have given it over.
        """
        self._early[session_id] = []
        yield
        self.forget(session_id)

    def forget(self, session_id: str) -> None:
        self._early.pop(session_id, None)

    def awaits(self, event: Event, link: StageLink) -> bool:
        """Keep an event if its session is awaited."""
        if (early := self._early.get(event.session_id)) is None:
            return False
        if not isinstance(event.event, PerformerEnded) or event.event.reason != "taken":  # of a time before
            early.append((link, event))
        return True

    def early(self, session_id: str, link: StageLink) -> list[Event]:
        """Remove and return the events of a session that have come before the answer of its stage."""
        early = self._early.get(session_id, [])
        found = [event for from_link, event in early if from_link is link]
        early.clear()
        return found

    async def ask(self, link: StageLink, session_id: str, ownership: int, take: Take) -> Adopted | None:
        """Ask a stage for a session; None if it does not perform it. Raises `PerformerLost` if the connection is over
        before it answers or the stage fails, and `StaleOwner`.
        """
        asked: asyncio.Future[Adopted | None] = asyncio.get_running_loop().create_future()

        def answered(result: Result | VisavisError | None) -> None:
            if asked.done():
                return
            match result:
                case TakenOver(session=held):
                    asked.set_result(take(held))
                case NotHere():
                    asked.set_result(None)
                case PerformerLost() if link.version < TELLS_NOT_HERE:
                    asked.set_result(None)
                case VisavisError():
                    asked.set_exception(result)
                case _:
                    asked.set_exception(PerformerLost("The stage does not answer"))

        link.send(session_id, ANY_EPOCH, TakeOver(ownership=ownership), answered)
        return await asked
