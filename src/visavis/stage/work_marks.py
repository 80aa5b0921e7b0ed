"""Marks which sessions a stage works for at this moment, in memory that its server shares. The memory outlives the
stage: if the work for a session crashes the process, its server learns whose work it was.

Slot 0 has the session whose turn it is in the stage's loop. The other slots have the sessions whose requests are being
carried out: some of them work in threads, or wait.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SLOTS, SLOT_BYTES = 16, 64
SIZE_BYTES = SLOTS * SLOT_BYTES
_FREE = bytes(SLOT_BYTES)


class WorkMarks:
    """The marks of this stage. Without memory (another system, or no server on this machine) they cost nothing."""

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        self._memory = memory
        self._free = list(range(SLOTS - 1, 0, -1))
        self._requests: dict[str, tuple[int, int]] = {}  # by session: its slot, and how many requests it has

    @classmethod
    def at(cls, descriptor: int | None) -> WorkMarks:
        """Return marks in the memory of a descriptor, which stays open: the next server finds it."""
        return cls(None if descriptor is None else mmap.mmap(descriptor, SIZE_BYTES))

    def begin_turn(self, session_id: str) -> None:
        if self._memory is not None:
            self._memory[:SLOT_BYTES] = _slot(session_id)

    def end_turn(self) -> None:
        if self._memory is not None:
            self._memory[:SLOT_BYTES] = _FREE

    @contextmanager
    def request(self, session_id: str) -> Iterator[None]:
        """Mark a session while one of its requests is carried out. No mark if all slots are taken."""
        if self._memory is None:
            yield
            return
        slot, count = self._requests.get(session_id) or (self._free.pop() if self._free else 0, 0)
        self._requests[session_id] = slot, count + 1
        if slot and not count:
            self._memory[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES] = _slot(session_id)
        try:
            yield
        finally:
            slot, count = self._requests[session_id]
            if count > 1:
                self._requests[session_id] = slot, count - 1
            else:
                del self._requests[session_id]
                if slot:
                    self._memory[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES] = _FREE
                    self._free.append(slot)


def _slot(session_id: str) -> bytes:
    return session_id.encode()[:SLOT_BYTES].ljust(SLOT_BYTES, b"\0")


class SharedMarks:
    """The server's side: makes the memory for a stage, and reads it when the stage has died."""

    def __init__(self, descriptor: int) -> None:
        """Takes the descriptor over."""
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, SIZE_BYTES)

    @classmethod
    def make(cls) -> SharedMarks | None:
        """Return new memory; None where the system has none that needs no disk."""
        if not hasattr(os, "memfd_create"):
            return None
        with suppress(OSError):
            descriptor = os.memfd_create("visavis-work")
            os.ftruncate(descriptor, SIZE_BYTES)
            return cls(descriptor)
        return None

    @classmethod
    def of_process(cls, pid: int, descriptor: int | None) -> SharedMarks | None:
        """Return the memory of a stage that another server has started; None if it cannot be opened."""
        if descriptor is None:
            return None
        with suppress(OSError, ValueError):
            return cls(os.open(Path(f"/proc/{pid}/fd/{descriptor}"), os.O_RDWR | os.O_CLOEXEC))
        return None

    def sessions(self) -> frozenset[str]:
        """Return the sessions that are marked; none after `close`."""
        if self.descriptor < 0:
            return frozenset()
        slots = (self._memory[at : at + SLOT_BYTES].rstrip(b"\0") for at in range(0, SIZE_BYTES, SLOT_BYTES))
        return frozenset(slot.decode(errors="replace") for slot in slots if slot)

    def close(self) -> None:
        """Idempotent."""
        self._memory.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
