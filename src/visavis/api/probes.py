"""What /readyz and /healthz tell. The server asks itself all the time, so that an answer never waits: not for a
database that is locked, not for a disk that hangs.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import anyio
from anyio.to_thread import run_sync

from visavis.settings import Settings
from visavis.store.database import Database
from visavis.store.disk import disk_problem

ASK_EVERY_S = 2.0
ANSWER_WITHIN_S = 2.0
LOOP_EVERY_S = 0.25
REMEMBER_S = 30.0  # a delay of the event loop is told for this long, or up to twice as long


class Probe:
    """Asks one thing again and again, and tells its last answer. `ask` returns what is wrong, None if nothing is."""

    def __init__(
        self, thing: str, ask: Callable[[], Awaitable[str | None]], *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._thing, self._ask, self._clock_s = thing, ask, clock_s
        self._asked_s: float | None = None  # while an answer is awaited
        self._problem: str | None = None  # of the last answer

    @property
    def problem(self) -> str | None:
        """What is wrong, as a sentence; None if nothing is."""
        if self._asked_s is not None and self._clock_s() - self._asked_s > ANSWER_WITHIN_S:
            return f"{self._thing} has not answered for {self._clock_s() - self._asked_s:.0f} s"
        return None if self._problem is None else f"{self._thing}: {self._problem}"

    async def ask_once(self) -> None:
        self._asked_s = self._clock_s()
        try:
            self._problem = await self._ask()
        except Exception as error:  # noqa: BLE001  # it is told by `problem`
            self._problem = str(getattr(error, "orig", None) or error)  # SQLAlchemy adds the statement
        finally:
            self._asked_s = None

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.ask_once()
            await anyio.sleep(ASK_EVERY_S)


class LoopDelay:
    """Measures how late the event loop runs what is due. `longest_ms`: the longest delay of the last half minute."""

    def __init__(self, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._period_s = clock_s()  # start of the current period
        self._longest_s = self._before_s = 0.0  # in the current period, and in the one before

    @property
    def longest_ms(self) -> int:
        return round(max(self._longest_s, self._before_s) * 1000)

    def note(self, delay_s: float) -> None:
        now_s = self._clock_s()
        if now_s - self._period_s >= REMEMBER_S:
            self._before_s = self._longest_s if now_s - self._period_s < 2 * REMEMBER_S else 0.0
            self._period_s, self._longest_s = now_s, 0.0
        self._longest_s = max(self._longest_s, delay_s)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due_s = self._clock_s() + LOOP_EVERY_S
            await anyio.sleep(LOOP_EVERY_S)
            self.note(max(0.0, self._clock_s() - due_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """All that a server asks itself."""

    database: Probe
    disk: Probe
    loop: LoopDelay

    async def run(self) -> None:
        """Ask until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.database.run)
            tasks.start_soon(self.disk.run)
            tasks.start_soon(self.loop.run)


def probes_of(settings: Settings, database: Database) -> Probes:
    """Return what a server with these settings asks itself."""

    async def ask_disk() -> str | None:
        least_free_bytes = settings.min_free_disk_mb * 1024 * 1024
        return await run_sync(partial(disk_problem, settings.data_dir, least_free_bytes=least_free_bytes))

    return Probes(database=Probe("The database", database.check), disk=Probe("The disk", ask_disk), loop=LoopDelay())
