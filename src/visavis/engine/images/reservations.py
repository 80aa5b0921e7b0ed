"""Reserves memory for the sandbox's processes before they start, so that none drives the container out of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import PAGESIZE as PAGE_BYTES
from pathlib import Path

from visavis.engine.images.memory_left import memory_left_bytes

# Beside its own limit a process needs page tables and libraries, and everything else in the container goes on growing.
SPARE_BYTES = 128 << 20


@dataclass(slots=True, eq=False)
class Reservation:
    """`size_bytes`: how much the process may take; `pid`: set when it runs."""

    size_bytes: int
    pid: int | None = None

    @property
    def untouched_bytes(self) -> int:
        """How much of it is not in use yet."""
        return max(0, self.size_bytes - _own_memory_bytes(self.pid))


class Reservations:
    """The memory that the processes of one server may still take. `left_bytes`: how much is left now, None for no
    limit.
    """

    def __init__(self, left_bytes: Callable[[], int | None] = memory_left_bytes) -> None:
        self._left_bytes = left_bytes
        self._held: list[Reservation] = []

    @property
    def are_held(self) -> bool:
        """Whether any memory is reserved."""
        return bool(self._held)

    def reserve(self, size_bytes: int) -> Reservation | None:
        """Reserve memory for a process that is about to start; return None if it does not fit into what is left."""
        left_bytes = self._left_bytes()
        promised_bytes = sum(held.untouched_bytes for held in self._held)
        if left_bytes is not None and size_bytes + SPARE_BYTES + promised_bytes > left_bytes:
            return None
        reservation = Reservation(size_bytes)
        self._held.append(reservation)
        return reservation

    @contextmanager
    def released_after(self, reservation: Reservation) -> Iterator[None]:
        try:
            yield
        finally:
            self._held.remove(reservation)


def _own_memory_bytes(pid: int | None) -> int:
    """Return how much memory a process has for itself, 0 if it cannot be told (proc_pid_statm(5))."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * PAGE_BYTES
