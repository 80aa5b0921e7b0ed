"""What scripts/check-fleet runs as a client and viewer outside: a session speaks, and goes on with its channel and with
new viewers when its server is killed, and then its machine.

check_fleet_session.py ADDRESS KEY FOLDER: in FOLDER are the films. A file kill-WHAT asks for the kill of the session's
`server` or `stage`; whoever has done that writes killed-WHAT.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import av
import numpy as np
from visavis_client import AsyncSession, AsyncVisavis

from visavis import library

SAMPLE = Path(library.__file__).parent / "voices" / "sample.wav"
SECONDS = 8
LEAST_PICTURES = 65  # of 200: this looks at the way that they take, and not at the speed of the machine
LEAST_PEAK = 1_000  # of 32,767
KILLED_WITHIN_S = 120  # podman asks and kills
JOINED_WITHIN_S = 60  # again and again: the session may be moving just then


async def record(session: AsyncSession, film: Path) -> None:
    """Record what a viewer sees and hears who joins now, while the session speaks."""
    assert session.room is not None
    until_s = asyncio.get_running_loop().time() + JOINED_WITHIN_S
    watch = [str(Path(sys.executable).with_name("visavis")), "watch", "--whep", f"{session.room.url}/whep"]
    seen = ["--token", session.room.token, "--out", str(film), "--seconds", str(SECONDS)]
    while True:
        watching = await asyncio.create_subprocess_exec(*watch, *seen)
        await session.send(str(SAMPLE))
        if await asyncio.wait_for(watching.wait(), 60) == 0:
            return
        assert asyncio.get_running_loop().time() < until_s, f"nobody can watch: {film.name}"


async def killed(folder: Path, what: str) -> None:
    (folder / f"kill-{what}").touch()
    async with asyncio.timeout(KILLED_WITHIN_S):
        while not (folder / f"killed-{what}").exists():  # noqa: ASYNC110 (another program writes it)
            await asyncio.sleep(0.05)


async def perform(address: str, key: str, folder: Path) -> None:
    async with AsyncVisavis(address, key) as client:
        avatar = (await client.avatars.public())[0]
        async with client.sessions.create(avatar=avatar.id, hold_for_viewer_s=30) as session:
            assert session.room is not None
            assert session.room.url.startswith(address), session.room.url
            await record(session, folder / "first.mp4")
            for what in ("server", "stage"):
                await killed(folder, what)
                await record(session, folder / f"after-{what}.mp4")


def check(film: Path) -> None:
    with av.open(film) as container:
        pictures = sum(1 for _ in container.decode(video=0))
    with av.open(film) as container:
        peak = max(int(np.abs(block.to_ndarray()).max() * 32_767) for block in container.decode(audio=0))
    print(f"fleet: {film.stem}: {pictures} pictures in {SECONDS} s, sound of at most {peak}", flush=True)
    assert pictures >= LEAST_PICTURES, pictures
    assert peak >= LEAST_PEAK, peak


def main(address: str, key: str, folder: str) -> None:
    asyncio.run(perform(address, key, Path(folder)))
    for name in ("first", "after-server", "after-stage"):
        check(Path(folder) / f"{name}.mp4")


if __name__ == "__main__":
    main(*sys.argv[1:])
