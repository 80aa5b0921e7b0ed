"""Stores everything that one viewer of a room receives, pictures and sound with their two times, and writes a film of
it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visavis.film import SOUND_RATE_HZ, FilmWriter
from visavis.rooms.watch import ReceivedPicture, ReceivedSound, WhepViewer
from visavis.rooms.webrtc.receiving_peer import VIDEO_RATE_HZ

CONTINUES_WITHIN_S = 0.005  # a block this close to the end of the block before continues it
# Unix time. Before the first sender report, media times come from the time of arrival and are below this.
ROOM_CLOCK_SINCE_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Sound on one timeline. `samples`: float32 (n,), -1 to 1, with 0 in gaps; `arrived_s`: float64 (n,), the time at
    which each sample's block arrived.
    """

    begins_s: float  # media time of the first sample
    samples: NDArray[np.float32]
    arrived_s: NDArray[np.float64]


@dataclass(slots=True)
class Reception:
    """Everything that was received since the viewer joined."""

    pictures: list[ReceivedPicture] = field(default_factory=list)
    blocks: list[ReceivedSound] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)  # every picture sets it

    async def take_pictures(self, viewer: WhepViewer) -> None:
        async for picture in viewer.pictures():
            self.pictures.append(picture)
            self._arrived.set()

    async def wait_for_picture(self, width_px: int, height_px: int) -> None:
        """Wait until a picture of this size has arrived."""
        while not self.pictures_of_size(width_px, height_px):
            self._arrived.clear()
            await self._arrived.wait()

    async def take_sound(self, viewer: WhepViewer) -> None:
        async for block in viewer.sound():
            self.blocks.append(block)

    def pictures_of_size(self, width_px: int, height_px: int) -> list[ReceivedPicture]:
        """Return the pictures of one size whose media time is on the room's clock, in order."""
        return [
            seen
            for seen in self.pictures
            if (seen.frame.width, seen.frame.height) == (width_px, height_px) and seen.media_time_s > ROOM_CLOCK_SINCE_S
        ]

    def sound(self) -> Sound | None:
        """Return the sound on the room's clock; None if there was none."""
        blocks = [block for block in self.blocks if block.media_time_s > ROOM_CLOCK_SINCE_S]
        if not blocks:
            return None
        begins_s = blocks[0].media_time_s
        places, end = [], 0
        for block in blocks:
            place = round((block.media_time_s - begins_s) * SOUND_RATE_HZ)
            if abs(place - end) < CONTINUES_WITHIN_S * SOUND_RATE_HZ:
                place = end
            places.append(max(0, place))
            end = max(end, places[-1] + len(block.samples))
        samples, arrived_s = np.zeros(end, np.float32), np.zeros(end)
        for place, block in zip(places, blocks, strict=True):
            samples[place : place + len(block.samples)] = block.samples / np.float32(32_768)
            arrived_s[place : place + len(block.samples)] = block.arrived_s
        return Sound(begins_s=begins_s, samples=samples, arrived_s=np.maximum.accumulate(arrived_s))


def write_film(path: Path, pictures: list[ReceivedPicture], sound: Sound) -> None:
    """Write pictures and sound as MP4 (H.264, AAC), each at its media time. If this fails, no file is left."""
    begins_s = pictures[0].media_time_s
    first = round((begins_s - sound.begins_s) * SOUND_RATE_HZ)
    heard = sound.samples[first:] if first >= 0 else np.concatenate([np.zeros(-first, np.float32), sound.samples])
    size = pictures[0].frame
    with FilmWriter(path, width_px=size.width, height_px=size.height, ticks_hz=VIDEO_RATE_HZ) as film:
        film.write_sound(np.rint(heard * 32_768).astype(np.int16), SOUND_RATE_HZ)
        for seen in pictures:
            at = round((seen.media_time_s - begins_s) * VIDEO_RATE_HZ)
            film.write_picture(seen.frame.to_ndarray(format="yuv420p").astype(np.uint8, copy=False), at=at)
