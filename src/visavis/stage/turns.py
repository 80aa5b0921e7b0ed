"""The loop of a stage: its sessions take turns, so that no load makes sound wait for pictures, or one session wait for
another.

Due sound comes first, of all sessions. Then one picture is made: that of the session whose frame was due first, which
is the one that has waited longest. Then whatever else waits in the event loop goes on: packets, requests, answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from selectors import DefaultSelector, SelectorKey
from typing import Protocol

from visavis.stage.fence import now_ns
from visavis.stage.work_marks import WorkMarks

ROUNDING_NS = 1_000_000  # epoll counts milliseconds, so a rest may be this much longer than the loop asked for


class TurnTaker(Protocol):
    """A session that takes turns. Times are of `time.monotonic_ns`."""

    session_id: str

    @property
    def block_due_ns(self) -> int:
        """When the next block of sound is due."""
        ...

    @property
    def frame_due_ns(self) -> int:
        """When the next frame is due; not before the block that it belongs to."""
        ...

    def publish_block(self, now_ns: int) -> None: ...

    def publish_frame(self, now_ns: int) -> bool:
        """Publish the newest frame that is due; return whether a picture was made."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """What is done next: a block or a frame of one session, as soon as `due_ns` has come."""

    session: TurnTaker
    is_block: bool
    due_ns: int


def next_turn(sessions: Iterable[TurnTaker], now_ns: int) -> Turn:
    """Return the next turn of at least one session. It is asked for a thousand times a second: a plain loop."""
    block: TurnTaker | None = None
    frame: TurnTaker | None = None
    block_due_ns = frame_due_ns = 0
    for session in sessions:
        due_ns = session.block_due_ns
        if block is None or due_ns < block_due_ns:
            block, block_due_ns = session, due_ns
        due_ns = session.frame_due_ns
        if frame is None or due_ns < frame_due_ns:
            frame, frame_due_ns = session, due_ns
    assert block is not None and frame is not None
    if block_due_ns <= now_ns or block_due_ns <= frame_due_ns:
        return Turn(block, is_block=True, due_ns=block_due_ns)
    return Turn(frame, is_block=False, due_ns=frame_due_ns)


@dataclass(slots=True)
class PictureCount:
    """The pictures that were made so far, and the time that they took."""

    pictures: int = 0
    pictures_ns: int = 0


class Turns:
    """The sessions that take turns. `run` gives them; a session that fails leaves, and the others go on.

    Each turn is a callback of the event loop: a task that slept in between would cost two rounds of the loop more.
    """

    def __init__(
        self,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        marks: WorkMarks | None = None,
        check: Callable[[str], None] | None = None,
    ) -> None:
        """`marks`: where it is noted whose turn it is. `check`: called before each turn of a session, which fails with
        what it raises.
        """
        self._clock_ns, self._check = clock_ns, check
        self._marks = marks or WorkMarks()
        self._sessions: dict[TurnTaker, asyncio.Future[None]] = {}
        self._running: asyncio.Future[None] | None = None  # while `run` runs
        self._next: asyncio.Handle | None = None  # the next call of `_take_turn`; None while there is no session
        self.count = PictureCount()

    async def take(self, session: TurnTaker) -> None:
        """Let a session take turns until cancelled. Raises what one of its turns raised."""
        loop = asyncio.get_running_loop()
        failed = self._sessions[session] = loop.create_future()
        if self._running is not None and self._next is None:
            self._next = loop.call_soon(self._take_turn, loop)
        try:
            await failed
        finally:
            self._sessions.pop(session, None)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._running = loop.create_future()
        self._next = loop.call_soon(self._take_turn, loop)
        try:
            await self._running
        finally:
            self._running = None
            if self._next is not None:
                self._next.cancel()

    def hurry(self) -> None:
        """Look at once whether a turn is due: a session's dues have changed."""
        if self._next is not None:
            self._next.cancel()
            loop = asyncio.get_running_loop()
            self._next = loop.call_soon(self._take_turn, loop)

    def _take_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the next turn if it is due; come again when the next one is. If that fails, `run` raises why."""
        self._next = None
        if not self._sessions:
            return
        try:
            now_ns = self._clock_ns()
            turn = next_turn(self._sessions, now_ns)
            if turn.due_ns > now_ns:
                self._next = loop.call_later((turn.due_ns - now_ns) / 1e9, self._take_turn, loop)
                return
            self._give(turn, now_ns)
            self._next = loop.call_soon(self._take_turn, loop)  # what was published is sent before more is made
        except Exception as error:  # noqa: BLE001  the task of `run` raises it
            if self._running is not None and not self._running.done():
                self._running.set_exception(error)

    def _give(self, turn: Turn, now_ns: int) -> None:
        session = turn.session
        self._marks.begin_turn(session.session_id)
        try:
            if self._check is not None:
                self._check(session.session_id)
            if turn.is_block:
                session.publish_block(now_ns)
            elif session.publish_frame(now_ns):
                self.count.pictures += 1
                self.count.pictures_ns += self._clock_ns() - now_ns
        except Exception as error:  # noqa: BLE001  the session's own task raises it
            failed = self._sessions.pop(session)
            if not failed.done():
                failed.set_exception(error)
        finally:
            self._marks.end_turn()


class RestSelector(DefaultSelector):
    """A selector for the event loop that measures how long the loop rested. A rest that lasts longer than the loop
    asked for is work: another program had the processor.

    `notes_idle`: also note in `idle_ns` (of `fence.now_ns`) when the loop had last done all that had come. What is read
    since then has come since then, however long this process was stopped.
    """

    def __init__(self, *, notes_idle: bool = False) -> None:
        super().__init__()
        self.rested_ns = 0
        self._notes_idle, self.idle_ns = notes_idle, 0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if self._notes_idle and (timeout is None or timeout > 0):
            idle_ns = now_ns()
            if ready := super().select(0):
                return ready
            self.idle_ns = idle_ns
        began_ns = time.monotonic_ns()
        ready = super().select(timeout)
        rested_ns = time.monotonic_ns() - began_ns
        if timeout is not None:
            rested_ns = min(rested_ns, int(timeout * 1e9) + ROUNDING_NS if timeout > 0 else 0)
        self.rested_ns += rested_ns
        return ready
