"""What waits to be written to Daily's library. Its writes may block, so each is made in a thread, one at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

MAX_WAITING_BLOCKS = 50  # one second of sound
MAX_WAITING_PICTURES = 3

log = structlog.get_logger("visavis.rooms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture, I420. `position`: see `rooms.port`."""

    data: bytes
    width_px: int
    height_px: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """20 ms of sound: PCM16, mono, 48 kHz. `position`: of its first sample."""

    data: bytes
    position: int


class Outbox:
    """`write`: writes one item, and returns when the library has taken it. When it takes too long, the oldest items are
    dropped.
    """

    def __init__(self, write: Callable[[Picture | Sound], Awaitable[None]]) -> None:
        self._write = write
        self._sound: deque[Sound] = deque(maxlen=MAX_WAITING_BLOCKS)
        self._pictures: deque[Picture] = deque(maxlen=MAX_WAITING_PICTURES)
        self._added = asyncio.Event()
        self._failing = False  # the last write has failed

    def put(self, item: Picture | Sound) -> None:
        if isinstance(item, Sound):
            self._sound.append(item)
        else:
            self._pictures.append(item)
        self._added.set()

    def drop(self) -> int | None:
        """Drop what waits. Return the position of the first block of sound, None if none waits."""
        first = self._sound[0].position if self._sound else None
        self._sound.clear()
        self._pictures.clear()
        return first

    async def run(self) -> None:
        """Write until cancelled. A write that fails is logged once, until one succeeds again."""
        while True:
            await self._added.wait()
            self._added.clear()
            while self._sound or self._pictures:
                for waiting in (self._sound, self._pictures):
                    if waiting:
                        await self._try(waiting.popleft())

    async def _try(self, item: Picture | Sound) -> None:
        try:
            await self._write(item)
            self._failing = False
        except Exception:  # the edge of the library: the next item may go
            if not self._failing:
                self._failing = True
                log.exception("daily_write_failed")
