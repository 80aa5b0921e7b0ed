"""The same without a client library: create and start a session, open its channel, speak a recording, end the session.

    python examples/speak_without_client.py speech.mp3 --key ah_live_... [--base http://127.0.0.1:8000]

Needs httpx, websockets and av. Prints the address of the page that shows the room; at a terminal it waits with the
speech until you have opened it.
"""

import argparse
import asyncio
import base64
import json
import sys

import httpx
import websockets
from recording import read_speech


async def speak(base: str, key: str, path: str) -> None:
    pcm, sample_rate = read_speech(path)
    async with httpx.AsyncClient(base_url=base, headers={"x-api-key": key}, timeout=30) as api:
        character = (await api.get("/v1/avatars/public")).raise_for_status().json()["avatars"][0]
        looks = (
            (await api.get("/v1/avatars", params={"parent_id": character["avatar_id"]}))
            .raise_for_status()
            .json()["avatars"]
        )
        created = await api.post(
            "/v1/sessions", json={"avatar_id": looks[0]["avatar_id"], "metadata": {"purpose": "example"}}
        )
        session = created.raise_for_status().json()["session"]
        room = session["daily_room"]
        print(f"watch: {room['url']}?t={room['token']}")

        ws_uri = "try_again"
        while ws_uri == "try_again":
            ws_uri = (await api.post(f"/v1/sessions/{session['session_id']}/start")).raise_for_status().json()["ws_uri"]

        if sys.stdin.isatty():
            await asyncio.to_thread(input, "open that page, then press Enter: ")

        async with websockets.connect(ws_uri, max_size=None) as channel:
            config = {
                "session_id": session["session_id"],
                "access_token": session["access_token"],
                "room": {"platform": "daily", "url": room["url"], "token": room["token"]},
            }
            await channel.send(json.dumps({"type": "session.init", "config": config, "features": ["playback"]}))
            second = sample_rate * 2
            for at in range(0, len(pcm), second):
                audio = base64.b64encode(pcm[at : at + second]).decode()
                message = {
                    "type": "agent.speak",
                    "audio": audio,
                    "sample_rate": sample_rate,
                    "final": at + second >= len(pcm),
                }
                await channel.send(json.dumps(message))
            async for text in channel:
                print(text)
                if json.loads(text)["type"] in ("agent.playback.finished", "error"):
                    break
        await api.post(f"/v1/sessions/{session['session_id']}/end")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech")
    parser.add_argument("--key", required=True)
    parser.add_argument("--base", default="http://127.0.0.1:8000")
    arguments = parser.parse_args()
    try:
        asyncio.run(speak(arguments.base, arguments.key, arguments.speech))
    except (OSError, httpx.HTTPError, websockets.WebSocketException) as error:
        raise SystemExit(f"{arguments.base}: {str(error).splitlines()[0]}") from None
