"""The calls of one session that its stage has not answered yet, in their order. A call that a lost stage has not
answered is sent again to the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from visavis.errors import PerformerLost, VisavisError
from visavis.fleet.link import StageLink
from visavis.stage.port.messages import Command, Done, Interrupt, Offer, RemoveViewer, Result, ViewerRemoved
from visavis.stage.port.values import Spoken

log = structlog.get_logger("visavis.fleet")


@dataclass(slots=True, eq=False)
class _Call:
    command: Command
    answer: asyncio.Future[Result]


class Calls:
    """`link`: of the session's stage, None while it has none: then calls wait. `carried_out` is told every command and
    its result, before any event that follows it; but no command that was carried out before.

    A stage that does not perform the session refuses its calls, before its next heartbeat tells so: until then it is
    not known whether they wait for another stage (`lose_link`), or have failed (`is_performed`).
    """

    def __init__(
        self, session_id: str, epoch: int, link: StageLink, carried_out: Callable[[Command, Result], None]
    ) -> None:
        self._session_id, self._epoch, self._carried_out = session_id, epoch, carried_out
        self.link: StageLink | None = link
        self._waiting: dict[_Call, None] = {}  # in the order of the calls
        self._refused: dict[_Call, PerformerLost] = {}  # some of those

    @property
    def are_answered(self) -> bool:
        return not self._waiting

    async def request(self, command: Command) -> Result:
        """Send a command; wait for its result and return it. Raises what the stage raised, and `PerformerLost` if no
        stage answers it.
        """
        call = _Call(command, asyncio.get_running_loop().create_future())
        self._waiting[call] = None
        self._send(call)
        return await call.answer

    def lose_link(self) -> None:
        """The stage is lost: keep the calls for the next one. A viewer who was to be removed is gone."""
        self.link = None
        self._refused.clear()
        for call in [one for one in self._waiting if isinstance(one.command, RemoveViewer)]:
            self._answer(call, ViewerRemoved(was_there=False))

    def is_performed(self) -> None:
        """The stage has told that it performs the session: the calls that it has refused have failed."""
        refused, self._refused = self._refused, {}
        for call, error in refused.items():
            self._answer(call, error)

    def take_interrupts(self) -> int:
        """Answer the interrupts that wait, because no stage plays anything; return the highest `through`, 0 if none."""
        interrupts = [(call, call.command) for call in self._waiting if isinstance(call.command, Interrupt)]
        for call, _ in interrupts:
            self._answer(call, Done())
        return max((command.through for _, command in interrupts if isinstance(command, Interrupt)), default=0)

    def use(self, link: StageLink, first: Command) -> None:
        """Go on with another stage: send `first`, then all calls that wait."""
        self.link = link
        going_on = _Call(first, asyncio.get_running_loop().create_future())
        going_on.answer.add_done_callback(self._note_refusal)  # nobody waits for it
        self._send(going_on)
        for call in list(self._waiting):
            if call.answer.cancelled() and isinstance(call.command, Offer):
                del self._waiting[call]  # its viewer waits no longer
            else:
                self._send(call)

    def _note_refusal(self, answer: asyncio.Future[Result]) -> None:
        """A session that ends while it moves is refused by its next stage."""
        if not answer.cancelled() and (error := answer.exception()) is not None:
            log.info("session_not_moved", session_id=self._session_id, error=str(error))

    def fail(self, error: VisavisError) -> None:
        """No stage will answer the calls that wait: they raise `error`."""
        for call in list(self._waiting):
            self._answer(call, error)

    def _send(self, call: _Call) -> None:
        if self.link is not None:
            self.link.send(self._session_id, self._epoch, call.command, partial(self._answered, call, self.link))

    def _answered(self, call: _Call, link: StageLink, result: Result | VisavisError | None) -> None:
        if result is None or link is not self.link:
            return  # the stage is lost: the call waits for the next one
        if isinstance(result, PerformerLost) and link.alive:
            if not self._refused:
                link.ask()
            self._refused[call] = result
            return
        repeated = isinstance(result, Spoken | Done) and result.repeated
        if not isinstance(result, VisavisError) and not repeated:
            self._carried_out(call.command, result)
        self._answer(call, result)

    def _answer(self, call: _Call, result: Result | VisavisError) -> None:
        self._waiting.pop(call, None)
        self._refused.pop(call, None)
        if call.answer.done():
            return
        if isinstance(result, VisavisError):
            call.answer.set_exception(result)
        else:
            call.answer.set_result(result)
