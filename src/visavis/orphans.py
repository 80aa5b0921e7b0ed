"""Reaps orphans: processes that the system gives to process 1 of a container when their parent has died.

Nobody else waits for them, so each would stay in the table of processes for ever.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

CHECK_EVERY_S = 5.0


class Orphans:
    """Reaps what was dead at two checks in a row. Whoever has started a process waits for it long before."""

    def __init__(self) -> None:
        self._dead: set[int] = set()  # at the last check

    def check(self) -> list[int]:
        """Reap orphans and return their process ids."""
        dead = {pid for pid in _children() if _is_dead(pid)}
        reaped = []
        for pid in dead & self._dead:
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    reaped.append(pid)
        self._dead = dead
        return reaped

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            self.check()
            await asyncio.sleep(CHECK_EVERY_S)


def _children() -> set[int]:
    """Return the children of this process; none on a system without /proc."""
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            found.update(int(pid) for pid in task.read_text().split())
    return found


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
