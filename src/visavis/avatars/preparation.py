"""Prepares photos for avatars, a bounded number at the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from visavis.avatars.places import Places
from visavis.engine.portrait.points import SevenPoints
from visavis.refusals import translated_engine_errors
from visavis.store.failures import translated_disk_errors


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
    """Prepares photos, at most `at_once` at a time while at most `waiting` wait; no holder takes every place."""

    def __init__(self, prepare: Prepare, *, at_once: int, waiting: int) -> None:
        self._prepare = prepare
        self._places = Places(at_once=at_once, waiting=waiting, things="photos")

    async def run(self, image: bytes, out_dir: Path, *, holder: str, points: SevenPoints | None = None) -> None:
        """Prepare `image` into the empty folder `out_dir`. `holder`: the API key that sent it, or what of the server
        wants it. Raises `PortraitRefused`, `NoCapacity` if too many photos are waiting, and `StorageUnusable`.
        """
        async with self._places.place(holder):
            with translated_disk_errors("The photo"):
                await self._prepare(image, out_dir, points=points)
