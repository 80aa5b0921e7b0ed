"""Let an avatar speak a recording.

    python examples/speak.py speech.mp3 --key ah_live_... [--base http://127.0.0.1:8000]

Needs visavis-client, and av for recordings that are no WAV. Prints the address of the page that shows the room; at a
terminal it waits with the speech until you have opened it.
"""

import argparse
import asyncio
import sys

from recording import read_speech
from visavis_client import AsyncVisavis, Sound, VisavisError


async def speak(base: str, key: str, path: str) -> None:
    pcm, sample_rate = read_speech(path)
    async with AsyncVisavis(base, key) as client:
        avatar = (await client.avatars.public())[0]
        async with client.sessions.create(avatar=avatar.id, metadata={"purpose": "example"}) as session:
            print(f"watch: {session.watch_url}")
            if sys.stdin.isatty():
                await asyncio.to_thread(input, "open that page, then press Enter: ")
            played = await session.speak(Sound(pcm=pcm, sample_rate_hz=sample_rate))
            print(f"played {played.position_s:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech")
    parser.add_argument("--key", required=True)
    parser.add_argument("--base", default="http://127.0.0.1:8000")
    arguments = parser.parse_args()
    try:
        asyncio.run(speak(arguments.base, arguments.key, arguments.speech))
    except VisavisError as error:
        raise SystemExit(f"{arguments.base}: {error}") from None
