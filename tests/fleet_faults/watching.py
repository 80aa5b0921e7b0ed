"""`python -m tests.fleet_faults.watching WHEP TOKEN`: a viewer that joins a room, and joins again when it was lost. It
is a program of its own so that it can run in another network namespace.

Prints lines of JSON: `{"kind": "picture", "from": …, "to": …}` for each gap of more than GAP_S between two pictures
that came, and the same for sound (unix s); and once a second how much came, and how much sound is missing by its time
stamps.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from typing import Any

from visavis.errors import VisavisError
from visavis.rooms.watch import WhepViewer

GAP_S = 0.3
AGAIN_AFTER_S = 0.2
BLOCK_TICKS = 960  # of a block of sound, at 48 kHz


class Seen:
    """What has come, over all joins."""

    def __init__(self) -> None:
        self.last_s: dict[str, float] = {}
        self.counts = {"picture": 0, "sound": 0, "missing": 0, "joins": 0}

    def came(self, kind: str) -> None:
        now_s = time.time()
        before_s = self.last_s.get(kind, now_s)
        self.last_s[kind] = now_s
        self.counts[kind] += 1
        if now_s - before_s > GAP_S:
            tell(kind=kind, **{"from": before_s, "to": now_s})


def tell(**members: Any) -> None:
    print(json.dumps(members), flush=True)


async def join(whep_url: str, token: str, seen: Seen) -> None:
    """Watch until the room does not know this viewer any more."""
    async with WhepViewer(whep_url=whep_url, token=token) as viewer:

        async def look() -> None:
            async for _ in viewer.pictures():
                seen.came("picture")

        async def listen() -> None:
            next_pts: int | None = None
            async for block in viewer.sound():
                if next_pts is not None and block.pts > next_pts:
                    seen.counts["missing"] += (block.pts - next_pts) // BLOCK_TICKS
                next_pts = block.pts + len(block.samples)
                seen.came("sound")

        seen.counts["joins"] += 1
        await asyncio.gather(look(), listen())


async def watch(whep_url: str, token: str) -> None:
    seen = Seen()

    async def count() -> None:
        while True:
            await asyncio.sleep(1)
            tell(kind="count", at=time.time(), **seen.counts)

    counting = asyncio.create_task(count())
    try:
        while True:
            with suppress(VisavisError, TimeoutError, ConnectionError, OSError):
                await join(whep_url, token, seen)
            await asyncio.sleep(AGAIN_AFTER_S)
    finally:
        counting.cancel()


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1], sys.argv[2]))
