"""Drive a 3D head of your own: send speech, receive ARKit coefficients ahead of it, and pose the head at the position
of your own playback.

    python examples/drive_a_head.py speech.mp3 --key ah_live_... [--base http://127.0.0.1:8000] [--emotion happy]

Needs httpx, websockets and av. Where your engine would pose its head and play the sound, this prints the jaw as a bar,
25 times a second.
"""

import argparse
import asyncio
import base64
import bisect
import json
import time

import httpx
import websockets
from recording import read_speech

LEAD_S = 0.1  # start to play this long after the first frame: what comes later then always comes in time


class Head:
    """Keeps the frames of one utterance, and says how the head is posed at any position of its audio."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.step_s = 0.02
        self.times_s: list[float] = []
        self.poses: list[list[float]] = []
        self.end_s: float | None = None  # set when the speech was cut

    def take(self, message: dict) -> None:
        if message["type"] == "agent.motion.format":
            self.names, self.step_s = message["coefficients"], 1 / message["rate_hz"]
        elif message["type"] == "agent.motion" and message["utterance_id"] is not None:
            for k, (coefficients, head) in enumerate(zip(message["coefficients"], message["head"], strict=True)):
                self.times_s.append(message["position_s"] + k * self.step_s)
                self.poses.append(coefficients + head)
        elif message["type"] == "agent.motion.cut":
            self.end_s = message["position_s"]  # frames from there on are void

    def at(self, position_s: float) -> dict[str, float] | None:
        """Return the coefficients at a position, between the frames around it; None where no speech is left."""
        if not self.times_s or position_s > self.times_s[-1] or (self.end_s is not None and position_s >= self.end_s):
            return None
        after = min(bisect.bisect_right(self.times_s, position_s), len(self.times_s) - 1)
        before = max(0, after - 1)
        share = min(1.0, max(0.0, (position_s - self.times_s[before]) / self.step_s))
        pose = [a + share * (b - a) for a, b in zip(self.poses[before], self.poses[after], strict=True)]
        return dict(zip([*self.names, "yaw_deg", "pitch_deg", "roll_deg"], pose, strict=True))


async def drive(base: str, key: str, path: str, emotion: str) -> None:
    pcm, rate_hz = read_speech(path)
    async with httpx.AsyncClient(base_url=base, headers={"x-api-key": key}, timeout=30) as api:
        avatar = (await api.get("/v1/avatars/public")).raise_for_status().json()["avatars"][0]["avatar_id"]
        session = (await api.post("/v1/sessions", json={"avatar": avatar})).raise_for_status().json()["session"]
        async with websockets.connect(base.replace("http", "ws") + "/v1/channel", max_size=None) as channel:
            init = {
                "type": "session.init",
                "session_id": session["session_id"],
                "session_token": session["session_token"],
                "features": ["motion"],
            }
            await channel.send(json.dumps(init))
            speech = {
                "type": "agent.speak",
                "audio": base64.b64encode(pcm).decode(),
                "sample_rate": rate_hz,
                "utterance_id": "one",
                "final": True,
            }
            await channel.send(json.dumps({**speech, "emotion": emotion}))
            head, began = Head(), asyncio.Event()
            receiving = asyncio.create_task(receive(channel, head, began))
            await began.wait()
            await asyncio.sleep(LEAD_S)
            await play(head, len(pcm) / 2 / rate_hz)
            receiving.cancel()
        await api.post(f"/v1/sessions/{session['session_id']}/end")


async def receive(channel: websockets.ClientConnection, head: Head, began: asyncio.Event) -> None:
    async for text in channel:
        message = json.loads(text)
        if message["type"] == "error":
            print(message["error"])
        head.take(message)
        if head.times_s:
            began.set()


async def play(head: Head, duration_s: float) -> None:
    """Play the sound here, on your own clock, and pose the head with it."""
    began_s, position_s = time.monotonic(), 0.0
    while position_s < duration_s:
        pose = head.at(position_s)
        if pose is not None:
            opening = max(0.0, pose["jawOpen"] - pose["mouthClose"])
            print(f"{position_s:6.2f} s  jaw {opening:4.2f} {'#' * round(40 * opening):40} yaw {pose['yaw_deg']:+5.1f}")
        await asyncio.sleep(0.04)
        position_s = time.monotonic() - began_s


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech")
    parser.add_argument("--key", required=True)
    parser.add_argument("--base", default="http://127.0.0.1:8000")
    parser.add_argument("--emotion", default="neutral")
    arguments = parser.parse_args()
    try:
        asyncio.run(drive(arguments.base, arguments.key, arguments.speech, arguments.emotion))
    except (OSError, httpx.HTTPError, websockets.WebSocketException) as error:
        raise SystemExit(f"{arguments.base}: {str(error).splitlines()[0]}") from None
