"""`python -m tests.e2e.watching WHEP TOKEN SECONDS [JOINS]`: a viewer that joins a room so many times, and watches it
for so long after the last time.

It is a program of its own so that it can run in another network namespace. Prints one JSON object: `joined_ms`, how
long each join took until its first picture, and `picture_times_s`, when each picture that was watched was due, on the
room's clock, which is the same for all viewers.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

from visavis.rooms.watch import WhepViewer

FIRST_PICTURE_WITHIN_S = 30.0
REPORTS_WITHIN_S = 15.0  # of the sender, which bring its clock


async def join(whep_url: str, token: str, seconds: float) -> tuple[float, list[float]]:
    """Return the time until the first picture in ms, and the times of all pictures that came in so many seconds."""
    pictures: list[int] = []
    sees, knows_time = asyncio.Event(), asyncio.Event()
    async with WhepViewer(whep_url=whep_url, token=token) as viewer:

        async def look() -> None:
            async for picture in viewer.pictures():
                assert picture.frame.pts is not None
                pictures.append(picture.frame.pts)
                sees.set()
                if viewer.synchronised:
                    knows_time.set()

        async def listen() -> None:
            async for _ in viewer.sound():
                pass

        looking = [asyncio.create_task(one) for one in (look(), listen())]
        try:
            await asyncio.wait_for(sees.wait(), FIRST_PICTURE_WITHIN_S)
            if seconds > 0:
                await asyncio.sleep(seconds)
                await asyncio.wait_for(knows_time.wait(), REPORTS_WITHIN_S)
        finally:
            for task in looking:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        assert viewer.time_to_first_frame_s is not None
        times_s = [viewer.media_time_s("video", pts) for pts in pictures] if seconds > 0 else []
        return viewer.time_to_first_frame_s * 1000, times_s


async def main(whep_url: str, token: str, seconds: float, joins: int) -> None:
    before = [(await join(whep_url, token, 0.0))[0] for _ in range(joins - 1)]
    last, times_s = await join(whep_url, token, seconds)
    print(json.dumps({"joined_ms": [*before, last], "picture_times_s": times_s}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 1))
