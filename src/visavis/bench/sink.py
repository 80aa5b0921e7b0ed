"""Viewers that only count: real WebRTC connections whose packets are taken off the wire and counted, neither decrypted
nor decoded.

A child process of `visavis bench density`, so that what viewers cost is a figure of its own. Lines of JSON: it writes
{"viewer": n, "offer": sdp} for every line {"join": n} and takes {"viewer": n, "answer": sdp}; for {"count": true} it
writes {"pictures": [...], "gaps_ms": [...]}, per viewer: the pictures that have come since the last count, and the
longest time between two of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from visavis.rooms.watch import RoomViewer

# of the second byte of an RTP header (RFC 3550, section 5.1); the header is not encrypted
_MARKER, _PAYLOAD_TYPE = 0x80, 0x7F


class _Unopened:
    """Stands in for a connection's SRTP: sound and picture stay as they came, reports are decrypted as ever."""

    def __init__(self, srtp: Any) -> None:
        self.unprotect_rtcp = srtp.unprotect_rtcp

    def unprotect(self, data: bytes) -> bytes:
        return data


class _Counter:
    """The pictures of one viewer: packets with the marker bit, of the payload type that is the video's."""

    def __init__(self) -> None:
        self.pictures, self.longest_gap_s = 0, 0.0
        self.video_type = -1
        self._last_s = 0.0

    async def take(self, data: bytes, arrival_time_ms: int) -> None:
        if data[1] & _MARKER and data[1] & _PAYLOAD_TYPE == self.video_type:
            now_s = time.monotonic()
            if self._last_s:
                self.longest_gap_s = max(self.longest_gap_s, now_s - self._last_s)
            self._last_s = now_s
            self.pictures += 1

    def read(self) -> tuple[int, float]:
        counted = self.pictures, self.longest_gap_s
        self.pictures, self.longest_gap_s = 0, 0.0
        return counted


class _Sink:
    def __init__(self) -> None:
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._viewers: list[RoomViewer] = []
        self._counters: list[_Counter] = []

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
                    counted = [counter.read() for counter in self._counters]
                    _tell({"pictures": [n for n, _ in counted], "gaps_ms": [round(gap * 1000) for _, gap in counted]})
        for viewer in self._viewers:
            await viewer.aclose()

    async def _join(self, number: int) -> None:
        async def exchange(sdp: str) -> str:
            answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            self._answers[number] = answer
            _tell({"viewer": number, "offer": sdp})
            return await answer

        viewer, counter = RoomViewer(exchange), _Counter()
        self._viewers.append(viewer)
        await viewer.open()
        connection = viewer._connection
        assert connection is not None
        connected = asyncio.Event()

        def state_changed() -> None:
            if connection.connectionState == "connected":
                connected.set()

        connection.on("connectionstatechange", state_changed)
        state_changed()
        await connected.wait()
        video = connection.getTransceivers()[0]
        counter.video_type = next(
            codec.payloadType or 0 for codec in video._codecs if codec.mimeType.lower() == "video/vp8"
        )
        transport = video.receiver.transport
        transport._rx_srtp = _Unopened(transport._rx_srtp)  # type: ignore[assignment]
        transport._handle_rtp_data = counter.take  # type: ignore[method-assign]
        self._counters.append(counter)


def _tell(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    asyncio.run(_Sink().run())
