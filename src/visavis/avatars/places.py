"""Shares few places fairly among those who want them: no holder takes them all, and holders are served in turn."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from visavis.errors import NoCapacity

SUGGESTION = "Try again in a few seconds"


class Places:
    """Places for work of holders, usually API keys: `at_once` at a time, while at most `waiting` wait.

    One holder has at most all places but one, and half of those in which one can wait; one of each if there are so few.
    A free place goes to the holder that was served longest ago. `things`: what the work is on, in the words of the
    refusal.
    """

    def __init__(self, *, at_once: int, waiting: int, things: str) -> None:
        self._at_once, self._at_once_each = at_once, max(1, at_once - 1)
        self._waiting_most, self._waiting_each = waiting, max(1, waiting // 2)
        self._things = things
        self._taken: Counter[str] = Counter()  # by holder
        self._waiting: OrderedDict[str, deque[anyio.Event]] = OrderedDict()  # by holder; the next to be served is first

    @asynccontextmanager
    async def place(self, holder: str) -> AsyncIterator[None]:
        """Wait for a place, and keep it for the block. Raises `NoCapacity` if too many wait already."""
        await self._take(holder)
        try:
            yield
        finally:
            self._give_back(holder)

    async def _take(self, holder: str) -> None:
        if holder not in self._waiting and self._is_free_for(holder):
            self._taken[holder] += 1
            return
        if sum(len(queue) for queue in self._waiting.values()) >= self._waiting_most:
            raise NoCapacity(f"Too many {self._things} are waiting", suggestion=SUGGESTION)
        if len(self._waiting.get(holder, ())) >= self._waiting_each:
            raise NoCapacity(f"Too many {self._things} of yours are waiting", suggestion=SUGGESTION)
        served = anyio.Event()
        self._waiting.setdefault(holder, deque()).append(served)
        try:
            await served.wait()
        except BaseException:
            if served.is_set():  # the place came, and nobody wants it any more
                self._give_back(holder)
            else:
                self._waiting[holder].remove(served)
                self._forget_if_empty(holder)
            raise

    def _give_back(self, holder: str) -> None:
        self._taken[holder] -= 1
        self._taken += Counter()  # forgets holders without a place
        while (served := next((each for each in self._waiting if self._is_free_for(each)), None)) is not None:
            self._taken[served] += 1
            self._waiting[served].popleft().set()
            self._waiting.move_to_end(served)
            self._forget_if_empty(served)

    def _is_free_for(self, holder: str) -> bool:
        return self._taken.total() < self._at_once and self._taken[holder] < self._at_once_each

    def _forget_if_empty(self, holder: str) -> None:
        if not self._waiting[holder]:
            del self._waiting[holder]
