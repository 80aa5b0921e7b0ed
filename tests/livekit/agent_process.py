"""`python -m tests.livekit.agent_process URL TOKEN AVATAR`: an agent in a process of its own, which a test can kill.

Prints `joined`, waits for the avatar, speaks for a minute, and prints `started` when it is heard. Never leaves
the room.
"""

from __future__ import annotations

import asyncio
import sys

import numpy as np
from livekit import rtc

RATE_HZ, SPOKEN_S = 24_000, 60


async def main(url: str, token: str, avatar: str) -> None:
    room, came = rtc.Room(), asyncio.Event()
    room.on("track_published", lambda _, one: came.set() if one.identity == avatar else None)
    await room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))

    async def started(_: rtc.RpcInvocationData) -> str:
        print("started", flush=True)
        return ""

    async def finished(_: rtc.RpcInvocationData) -> str:
        return ""

    room.local_participant.register_rpc_method("lk.playback_started", started)
    room.local_participant.register_rpc_method("lk.playback_finished", finished)
    print("joined", flush=True)
    await came.wait()
    stream = await room.local_participant.stream_bytes(
        name="AUDIO_1",
        topic="lk.audio_stream",
        destination_identities=[avatar],
        attributes={"sample_rate": str(RATE_HZ), "num_channels": "1"},
    )
    tone = (np.sin(np.arange(RATE_HZ) * 440 * 2 * np.pi / RATE_HZ) * 12_000).astype("<i2").tobytes()
    for _ in range(SPOKEN_S):
        await stream.write(tone)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
