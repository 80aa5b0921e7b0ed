"""What scripts/check-compose runs as a client and viewer outside: an avatar speaks; its film has pictures and sound.

check_compose_viewer.py ADDRESS KEY FILM
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import av
import numpy as np
from visavis_client import AsyncVisavis

from visavis import library

SAMPLE = Path(library.__file__).parent / "voices" / "sample.wav"
SECONDS = 6
LEAST_PICTURES = 50  # of 150: this looks at the way that they take, and not at the speed of the machine
LEAST_PEAK = 1_000  # of 32,767


async def record(address: str, key: str, film: Path) -> None:
    async with AsyncVisavis(address, key) as client:
        avatar = (await client.avatars.public())[0]
        async with client.sessions.create(avatar=avatar.id, hold_for_viewer_s=30) as session:
            assert session.room is not None
            assert session.room.url.startswith(address), session.room.url
            watch = [str(Path(sys.executable).with_name("visavis")), "watch", "--whep", f"{session.room.url}/whep"]
            seen = ["--token", session.room.token, "--out", str(film), "--seconds", str(SECONDS)]
            watching = await asyncio.create_subprocess_exec(*watch, *seen)
            await session.send(str(SAMPLE))
            assert await asyncio.wait_for(watching.wait(), 60) == 0


def main(address: str, key: str, film: str) -> None:
    asyncio.run(record(address, key, Path(film)))
    with av.open(film) as container:
        pictures = sum(1 for _ in container.decode(video=0))
    with av.open(film) as container:
        peak = max(int(np.abs(block.to_ndarray()).max() * 32_767) for block in container.decode(audio=0))
    print(f"compose: outside {pictures} pictures in {SECONDS} s, sound of at most {peak}")
    assert pictures >= LEAST_PICTURES, pictures
    assert peak >= LEAST_PEAK, peak


if __name__ == "__main__":
    main(*sys.argv[1:])
