"""The notes about a session that a stage keeps for the next server, beside its memo. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import accumulate

import msgspec


class KeptNote(msgspec.Struct, frozen=True, kw_only=True):
    """`number`: rises from note to note, but for notes in a row that have the same."""

    number: int
    note: bytes


class Notes:
    """Notes, the oldest first."""

    def __init__(self, notes: Iterable[KeptNote] = ()) -> None:
        self._notes = deque(notes)

    def add(self, note: KeptNote, *, forget_through: int) -> None:
        """Forget the notes up to a number, and add a new one. That is kept whatever its number."""
        while self._notes and self._notes[0].number <= forget_through:
            self._notes.popleft()
        self._notes.append(note)

    def clear(self) -> None:
        self._notes.clear()

    def all(self) -> tuple[KeptNote, ...]:
        return tuple(self._notes)

    def split(self, *, size_bytes: int) -> tuple[tuple[KeptNote, ...], tuple[KeptNote, ...]]:
        """Return the oldest notes up to a size, and the rest."""
        notes, sizes = self.all(), accumulate(len(kept.note) for kept in self._notes)
        count = sum(size <= size_bytes for size in sizes)
        return notes[:count], notes[count:]
