"""Calls of the avatar to its agent (LiveKit's RPC, version 1): told again while nobody takes them, never told twice.

The agent's client acknowledges a call as soon as it arrives, however busy the agent is, and answers it later. A call
that has arrived is not made again. One whose arrival is not known when the connection is lost is taken back, to be made
over the next connection: an agent that is told an end twice goes on, one that is never told it waits for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from visavis.rooms.livekit import packets

TRIES = 4
AGAIN_AFTER_S = 0.25  # after an answer that the agent does not take the call (it may just have been replaced)
ARRIVES_WITHIN_S = 7.0  # what LiveKit's clients allow for the way to the other and back
ANSWERED_WITHIN_S = packets.RESPONSE_WITHIN_MS / 1000  # from its arrival: what the packet allows
MAX_WAITING = 256
CLOSE_WITHIN_S = 2.0

log = structlog.get_logger("visavis.rooms")


@dataclass(slots=True, eq=False, kw_only=True)
class Call:
    """A call of a method of the participant `to`. `arrived`: set when the agent has it, or it was given up."""

    to: str
    method: str
    payload: str
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    # set while a try waits: the code of the agent's error, None if it has taken the call
    answer: asyncio.Future[int | None] | None = None


class Calls:
    """`send` sends a data packet if there is a connection. A call that fails is logged, and never fatal."""

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._waiting: dict[str, Call] = {}  # by the id of the packet that was sent last
        self._calls: dict[asyncio.Task[None], Call] = {}  # that are not over, in order

    def call(self, to: str, method: str, payload: str, *, tries: int = TRIES) -> None:
        """Call a method of another participant, in the background."""
        if len(self._calls) >= MAX_WAITING:
            log.warning("livekit_call_dropped", method=method)
            return
        call = Call(to=to, method=method, payload=payload)
        task = asyncio.get_running_loop().create_task(self._perform(call, tries))
        self._calls[task] = call
        task.add_done_callback(lambda done: self._calls.pop(done, None))

    def arrived(self, call_id: str) -> None:
        """The agent's client has acknowledged a call."""
        if (call := self._waiting.get(call_id)) is not None:
            call.arrived.set()

    def answered(self, call_id: str, code: int | None) -> None:
        """The agent has answered. `code`: of its error, None for none."""
        call = self._waiting.get(call_id)
        if call is not None and call.answer is not None and not call.answer.done():
            call.arrived.set()
            call.answer.set_result(code)

    def take_back(self) -> list[Call]:
        """The connection is lost: return the calls that have not arrived as far as is known, in order, and forget
        them.
        """
        lost = {task: call for task, call in self._calls.items() if not call.arrived.is_set()}
        for task in lost:
            task.cancel()
            del self._calls[task]
        return list(lost.values())

    async def aclose(self, *, within_s: float | None = None) -> None:
        """Wait until the calls have arrived, then drop what waits. `within_s`: at most so long; default: 2 s."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S if within_s is None else within_s):
                for call in list(self._calls.values()):
                    await call.arrived.wait()
        for task in list(self._calls):
            task.cancel()

    async def _perform(self, call: Call, tries: int) -> None:
        code: int | None = None
        try:
            for attempt in range(tries):
                if attempt:
                    call.arrived.clear()
                    await asyncio.sleep(AGAIN_AFTER_S)
                call_id, packet = packets.request(call.to, call.method, call.payload)
                call.answer = asyncio.get_running_loop().create_future()
                self._waiting[call_id] = call
                try:
                    self._send(packet)  # if it could not be sent the connection is being lost: it is taken back
                    code = await _answer(call, call.answer)
                finally:
                    del self._waiting[call_id]
                if code is None:
                    return
        except TimeoutError:
            log.warning("livekit_call_not_answered", method=call.method, arrived=call.arrived.is_set())
            return  # it may have been taken: twice would be worse than not at all
        finally:
            call.arrived.set()
        if call.method != "lk.playback_started":  # which an agent need not serve
            log.warning("livekit_call_refused", method=call.method, code=code)


async def _answer(call: Call, answer: asyncio.Future[int | None]) -> int | None:
    """Return the code of the agent's error, None for none. Raises TimeoutError."""
    async with asyncio.timeout(ARRIVES_WITHIN_S):
        await call.arrived.wait()
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        return await answer
