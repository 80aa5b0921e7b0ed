"""Viewers that only count: real WebRTC connections whose packets are counted, but neither decrypted nor decoded.

This is a child process of `visavis bench density`, so that the processor time of viewers is measured separately. It
reads and writes lines of JSON. For {"join": n} it writes {"viewer": n, "offer": sdp}, and then it reads {"viewer": n,
"answer": sdp}. For {"count": true} it writes {"pictures": [...], "gaps_ms": [...], "sound": [...], "sound_gaps_ms":
[...], "sound_missing": [...]}: for each viewer, the pictures and the blocks of sound since the last count, the longest
time between two of them, and the blocks that never came.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from visavis.rooms.webrtc.counting_peer import CountingPeer


class _Viewers:
    def __init__(self) -> None:
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._peers: list[CountingPeer] = []

    async def run(self) -> None:
        """Serve the parent until it closes its end."""
        reader = asyncio.StreamReader(limit=1024 * 1024)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async with asyncio.TaskGroup() as tasks:
            while line := await reader.readline():
                message = json.loads(line)
                if "join" in message:
                    tasks.create_task(self._join(int(message["join"])))
                elif "answer" in message:
                    self._answers.pop(int(message["viewer"])).set_result(message["answer"])
                else:
                    counted = [peer.read() for peer in self._peers]
                    _tell(
                        {
                            "pictures": [video.received for video, _ in counted],
                            "gaps_ms": [round(video.longest_gap_s * 1000) for video, _ in counted],
                            "sound": [audio.received for _, audio in counted],
                            "sound_gaps_ms": [round(audio.longest_gap_s * 1000) for _, audio in counted],
                            "sound_missing": [audio.missing for _, audio in counted],
                        }
                    )
            for answer in self._answers.values():
                answer.cancel()  # the room has refused these viewers
        for peer in self._peers:
            await peer.aclose()

    async def _join(self, number: int) -> None:
        peer = CountingPeer()
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        _tell({"viewer": number, "offer": await peer.offer()})
        try:
            await peer.accept(await answer)
        except asyncio.CancelledError:
            await peer.aclose()
            raise
        self._peers.append(peer)


def _tell(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    asyncio.run(_Viewers().run())
