"""Calls of the avatar to its agent (LiveKit's RPC, version 1), each repeated a few times if nobody takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from visavis.rooms.livekit import packets

TRIES = 4
AGAIN_AFTER_S = 0.25  # after an answer that the agent does not take the call (it may just have been replaced)
ANSWERED_WITHIN_S = 3.0
MAX_WAITING = 256
CLOSE_WITHIN_S = 0.5

log = structlog.get_logger("visavis.rooms")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    code: int | None  # None: the agent has taken the call


class Calls:
    """`send` sends a data packet, and returns whether it could. A call that fails is logged, and never fatal."""

    def __init__(self, send: Callable[[bytes], bool]) -> None:
        self._send = send
        self._waiting: dict[str, asyncio.Future[_Answer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def call(self, to: str, method: str, payload: str, *, tries: int = TRIES) -> None:
        """Call a method of another participant, in the background."""
        if len(self._tasks) >= MAX_WAITING:
            log.warning("livekit_call_dropped", method=method)
            return
        task = asyncio.get_running_loop().create_task(self._call(to, method, payload, tries))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def answered(self, call_id: str, code: int | None) -> None:
        """The agent has answered. `code`: of its error, None for none."""
        waiting = self._waiting.get(call_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(_Answer(code=code))

    async def aclose(self) -> None:
        """Wait a moment for the answers, then drop what waits."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN_S)
        for task in list(self._tasks):
            task.cancel()

    async def _call(self, to: str, method: str, payload: str, tries: int) -> None:
        code: int | None = None
        for attempt in range(tries):
            if attempt:
                await asyncio.sleep(AGAIN_AFTER_S)
            call_id, packet = packets.request(to, method, payload)
            waiting = self._waiting[call_id] = asyncio.get_running_loop().create_future()
            try:
                if not self._send(packet):
                    continue
                async with asyncio.timeout(ANSWERED_WITHIN_S):
                    code = (await waiting).code
            except TimeoutError:
                log.warning("livekit_call_not_answered", method=method)
                return  # it may have been taken: twice would be worse than not at all
            finally:
                del self._waiting[call_id]
            if code is None:
                return
        if method != "lk.playback_started":  # which an agent need not serve
            log.warning("livekit_call_refused", method=method, code=code)
