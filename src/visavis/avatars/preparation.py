"""Prepares photos for avatars, a bounded number at the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import anyio

from visavis.engine.portrait.points import SevenPoints
from visavis.errors import NoCapacity
from visavis.refusals import translated_engine_errors


class Prepare(Protocol):
    """Prepare a photo: write the pack, `image.jpg` (at most 1200 px wide), `preview.jpg` (500 x 500) and `report.json`
    into the empty folder `out_dir`.

    `points`: where the face is; without them it is found. Raises `PortraitRefused`.
    """

    async def __call__(self, image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> object: ...


async def prepare_with_engine(image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> object:
    """Prepare with the engine. It is imported here because the service itself does not need it."""
    from visavis.engine.pack.prepare import prepare_avatar_async

    with translated_engine_errors():
        return await prepare_avatar_async(image, out_dir, points=points)


class Preparation:
    """Prepares photos, at most `at_once` at a time while at most `waiting` wait."""

    def __init__(self, prepare: Prepare, *, at_once: int, waiting: int) -> None:
        self._prepare = prepare
        self._turns = anyio.Semaphore(at_once)
        self._waiting_most = waiting
        self._waiting = 0

    async def run(self, image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
        """Prepare `image` into the empty folder `out_dir`. Raises `PortraitRefused`, and `NoCapacity` if too many
        photos are waiting.
        """
        await self._take_turn()
        try:
            await self._prepare(image, out_dir, points=points)
        finally:
            self._turns.release()

    async def _take_turn(self) -> None:
        try:
            self._turns.acquire_nowait()
            return
        except anyio.WouldBlock:
            if self._waiting >= self._waiting_most:
                raise NoCapacity(
                    "Too many photos are being prepared", suggestion="Try again in a few seconds"
                ) from None
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
