"""Whether a stage of a fleet may still show its sessions. Others take a machine's sessions over when its lease in the
database has lapsed, 2 s after it was last renewed. So a stage that has heard neither the database nor a session's
server for 1.5 s shows nothing of that session any more, and leaves its room: then no two stages ever show one.

The supervisor hears the database. It notes when in memory that its stage processes share, so that a process which slept
knows it before it sends anything. What a process finds in its sockets when it wakes, its servers may have sent at any
time since it was last idle, so it counts as heard then (`turns.RestSelector`). The clock goes on while the machine is
suspended, where the system has such a clock.
"""

from __future__ import annotations

import mmap
import os
import time
from contextlib import suppress

CUT_OFF_AFTER_NS = 1_500_000_000
SIZE_BYTES = 8
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class StageCutOff(Exception):
    """Raised in a session's turn: the stage may not show it any more."""


def now_ns() -> int:
    """The clock of the fence: the same in all processes of a machine."""
    return time.clock_gettime_ns(_CLOCK)


class Fence:
    """What a stage process reads. Without memory (a stage that is in no fleet) it keeps nobody from anything."""

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        self._memory = memory

    @classmethod
    def at(cls, descriptor: int | None) -> Fence:
        return cls(None if descriptor is None else mmap.mmap(descriptor, SIZE_BYTES, prot=mmap.PROT_READ))

    def check(self, heard_ns: int) -> None:
        """`heard_ns`: when the session's server was heard. Raises `StageCutOff`."""
        if self._memory is None:
            return
        heard_ns = max(heard_ns, int.from_bytes(self._memory[:SIZE_BYTES], "little"))
        if (silent_ns := now_ns() - heard_ns) > CUT_OFF_AFTER_NS:
            raise StageCutOff(f"Neither its server nor the database was heard for {silent_ns / 1e9:.1f} s")


class SharedFence:
    """What the supervisor writes."""

    def __init__(self, descriptor: int) -> None:
        """Takes the descriptor over."""
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, SIZE_BYTES)

    @classmethod
    def make(cls) -> SharedFence | None:
        """Return new memory; None where the system has none that needs no disk."""
        if not hasattr(os, "memfd_create"):
            return None
        with suppress(OSError):
            descriptor = os.memfd_create("visavis-fence")
            os.ftruncate(descriptor, SIZE_BYTES)
            return cls(descriptor)
        return None

    def heard(self, at_ns: int) -> None:
        """The lease held at this time (`now_ns`)."""
        self._memory[:SIZE_BYTES] = at_ns.to_bytes(SIZE_BYTES, "little")

    def close(self) -> None:
        """Idempotent."""
        self._memory.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
