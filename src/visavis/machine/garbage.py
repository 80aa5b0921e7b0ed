"""Keeps the pauses of Python's garbage collector short, and notes them.

A full collection looks at every object that could be part of a cycle, and nothing else runs meanwhile. Modules, routes
and statements are most of what a server has, and stay: with them a collection holds the event loop for 15 to 150 ms,
without them for 1. It comes whenever enough objects are new, so every few seconds under load.
"""

from __future__ import annotations

import gc
import time

PAUSES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


def keep_what_is_there() -> None:
    """Collect garbage once, and leave all that is there now out of every later collection. What of it is part of a
    cycle is never freed, so this is for what stays as long as the process.
    """
    gc.collect()
    gc.freeze()


class Pauses:
    """The pauses of one process so far. `counts`: how many lasted at most as long as each of PAUSES_S, and longer than
    the one before; the last: longer than all.

    The collector calls `note` wherever an object is made, so it takes no lock.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(PAUSES_S) + 1)
        self.sum_s = 0.0
        self._began_s: float | None = None  # during a collection

    def watch(self) -> None:
        """Note all pauses from now on."""
        if self.note not in gc.callbacks:
            gc.callbacks.append(self.note)

    def note(self, phase: str, _found: dict[str, int]) -> None:
        """Called by the collector: `phase` is "start" or "stop"."""
        if phase == "start":
            self._began_s = time.perf_counter()
        elif self._began_s is not None:
            self.add(time.perf_counter() - self._began_s)
            self._began_s = None

    def add(self, pause_s: float) -> None:
        place = next((place for place, most_s in enumerate(PAUSES_S) if pause_s <= most_s), len(PAUSES_S))
        self.counts[place] += 1
        self.sum_s += pause_s


PAUSES = Pauses()  # of this process, which has one collector; counted once `watch` was called
