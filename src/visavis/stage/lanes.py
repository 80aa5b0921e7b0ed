"""The requests of each session, in lanes of their own: one for speech and changes, in order, and one for viewers who
join. A lane carries its requests out one by one, within the session's work budgets; between two of them the loop goes
on with sound, pictures and other sessions. Interrupts, ends and starts do not wait in a lane.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine

from visavis.stage.port.messages import (
    AddCandidates,
    Command,
    End,
    Interrupt,
    KeepLine,
    Offer,
    Open,
    RemoveViewer,
    Resize,
    SetOutput,
    Speak,
    TellRoom,
)
from visavis.stage.work_budget import JOIN, LAYOUT, SPEECH, WorkBudget

AHEAD = (Interrupt, TellRoom, End, Open, RemoveViewer)
"""Commands that go ahead of the lanes: they end trouble, or begin a session."""
JOIN_NS = 15_000_000  # what a viewer's handshake costs, most of it after the answer (docs/decisions/0027)
MAX_LANES = 256  # idle ones beyond this are forgotten

CarryOut = Callable[[], Coroutine[None, None, None]]


class Lanes:
    """The lanes of a stage. Their tasks run in `tasks`."""

    def __init__(self, tasks: asyncio.TaskGroup, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._tasks, self._clock_ns = tasks, clock_ns
        self._lanes: dict[tuple[str, bool], _Lane] = {}  # by session, and whether it is the one for viewers

    def submit(self, session_id: str, command: Command, carry_out: CarryOut) -> None:
        """Carry out a command in its lane, or at once if it goes ahead of the lanes."""
        if isinstance(command, AHEAD):
            self._tasks.create_task(carry_out())
            return
        name = (session_id, isinstance(command, Offer | AddCandidates))
        lane = self._lanes.get(name)
        if lane is None:
            self._forget_idle()
            lane = self._lanes[name] = _Lane(self._tasks, self._clock_ns)
        lane.submit(command, carry_out)

    def charge_layout(self, session_id: str, work_ns: int) -> None:
        """Charge a session for a layout that was made in a thread."""
        if (lane := self._lanes.get((session_id, False))) is not None:
            lane.charge_layout(work_ns)

    def _forget_idle(self) -> None:
        if len(self._lanes) >= MAX_LANES:
            self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.is_idle}


class _Lane:
    def __init__(self, tasks: asyncio.TaskGroup, clock_ns: Callable[[], int]) -> None:
        self._tasks, self._clock_ns = tasks, clock_ns
        now_ns = clock_ns()
        self._speech, self._layout, self._join = (WorkBudget(one, now_ns) for one in (SPEECH, LAYOUT, JOIN))
        self._waiting: deque[tuple[Command, CarryOut]] = deque()
        self._working = False

    @property
    def is_idle(self) -> bool:
        now_ns = self._clock_ns()
        return not self._working and all(one.is_full(now_ns) for one in (self._speech, self._layout, self._join))

    def submit(self, command: Command, carry_out: CarryOut) -> None:
        self._waiting.append((command, carry_out))
        if not self._working:
            self._working = True
            self._tasks.create_task(self._work())

    def charge_layout(self, work_ns: int) -> None:
        self._layout.spend(work_ns, self._clock_ns())

    async def _work(self) -> None:
        try:
            while self._waiting:
                command, carry_out = self._waiting.popleft()
                budget = self._budget_of(command)
                if wait_ns := budget.wait_ns(self._clock_ns()):
                    await asyncio.sleep(wait_ns / 1e9)
                if isinstance(command, Speak | KeepLine):
                    began_ns = self._clock_ns()
                    await carry_out()
                    now_ns = self._clock_ns()
                    budget.spend(now_ns - began_ns, now_ns)
                else:  # it may wait for a thread or the network: what follows in the lane does not wait with it
                    self._tasks.create_task(carry_out())
                    if budget is self._join:
                        budget.spend(JOIN_NS, self._clock_ns())
                await asyncio.sleep(0)  # others go on before the session's next request
        finally:
            self._working = False

    def _budget_of(self, command: Command) -> WorkBudget:
        if isinstance(command, Offer):
            return self._join
        return self._layout if isinstance(command, Resize | SetOutput) else self._speech
