"""One read for all who ask at the same time: a statement costs several times what the answer to a request does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio

from visavis.errors import StorageUnusable

Key = TypeVar("Key")
Found = TypeVar("Found")

PATIENCE_S = 0.05  # a read that takes longer holds up no others: a connection of PostgreSQL may be dead


@dataclass(slots=True)
class _Round(Generic[Key, Found]):
    """Those who are answered together. `error`: set before `done` if the read has failed."""

    keys: set[Key] = field(default_factory=set)
    found: Mapping[Key, Found] = field(default_factory=dict)
    error: Exception | None = None
    done: anyio.Event = field(default_factory=anyio.Event)


class SharedRead(Generic[Key, Found]):
    """Reads by key. `read` is given the keys of all who wait, and returns what it has found of them.

    A read begins after everyone has asked whom it answers, so each sees what was written before. Who asks while a read
    is under way waits for the next one.
    """

    def __init__(self, read: Callable[[Set[Key]], Awaitable[Mapping[Key, Found]]]) -> None:
        self._read = read
        self._turn = anyio.Lock()  # while a read is under way
        self._next: _Round[Key, Found] | None = None  # whom the next read answers

    async def get(self, key: Key) -> Found | None:
        """Raises what `read` raises."""
        if self._next is None and not self._turn.locked():  # nobody reads: nobody to share with
            self._turn.acquire_nowait()
            try:
                return (await self._read({key})).get(key)
            finally:
                self._turn.release()
        if self._next is None:
            asked = self._next = _Round()
            asked.keys.add(key)
            await self._lead(asked)
        else:
            asked = self._next
            asked.keys.add(key)
            await asked.done.wait()
        if asked.error is not None:
            raise asked.error
        return asked.found.get(key)

    async def _lead(self, asked: _Round[Key, Found]) -> None:
        asked.error = StorageUnusable("The database cannot be used now: the read was broken off")
        with anyio.CancelScope(shield=True):  # others wait for this read, too
            with anyio.move_on_after(PATIENCE_S) as waiting:
                await self._turn.acquire()
            try:
                self._next = None
                asked.found = await self._read(asked.keys)
                asked.error = None
            except Exception as error:  # noqa: BLE001 (each who has asked raises it)
                asked.error = error
            finally:
                if not waiting.cancelled_caught:
                    self._turn.release()
                asked.done.set()
