"""Reads a client's frames ahead of their turn, so that an interrupt behind a burst of small pieces of speech is noticed
at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import anyio
from anyio.lowlevel import checkpoint
from starlette.types import Message as Frame

from visavis.channel.client_message import parse_object
from visavis.errors import InvalidJson

# Beyond these limits nothing is read until some frames have been processed. The last frame may exceed MAX_BYTES.
MAX_FRAMES = 8192
MAX_BYTES = 4 * 1024 * 1024
FRAMES_AT_ONCE = 64  # then others have their turn
MAX_SHORT_CHARS = 1024  # a longer interrupt waits for its turn
QUIET_TURNS = 8  # of the event loop, without a frame: then all frames that had arrived are read


class ReadAheadQueue:
    """A client's frames in order, each with its number. The first frame has the number 1.

    `on_interrupt` is called with the number of an interrupt as soon as it is read, before its turn.
    """

    def __init__(self, receive: Callable[[], Awaitable[Frame]], on_interrupt: Callable[[int], None]) -> None:
        self._receive, self._on_interrupt = receive, on_interrupt
        self._frames: deque[tuple[Frame, int, int]] = deque()
        self._last_number = 0  # of the frame that was read last
        self.acks_read = 0  # how many of the frames that were read are an `ack`
        self.acks_taken = 0  # likewise, of those that `next` has returned
        self.frames_taken = 0  # how many frames `next` has returned
        self._size_bytes = 0
        self._frame_added = anyio.Event()  # replaced before each wait
        self._frame_taken = anyio.Event()  # replaced before each wait

    async def run(self) -> None:
        """Read frames until the client disconnects."""
        while True:
            while len(self._frames) >= MAX_FRAMES or self._size_bytes >= MAX_BYTES:
                self._frame_taken = anyio.Event()
                await self._frame_taken.wait()
            frame = await self._receive()
            self._last_number += 1
            if self._last_number % FRAMES_AT_ONCE == 0:
                await checkpoint()  # frames that have arrived are received without a wait
            self.acks_read += _is_of_type(frame.get("text"), "ack")
            self._frames.append((frame, self._last_number, self.acks_read))
            self._size_bytes += _size_of(frame)
            self._frame_added.set()
            if frame["type"] == "websocket.disconnect":
                return
            if _is_of_type(frame.get("text"), "agent.interrupt"):
                self._on_interrupt(self._last_number)

    async def catch_up(self) -> None:
        """Let `run` read what has arrived, so that its interrupts are noticed: a few turns of the event loop."""
        quiet = 0
        while quiet < QUIET_TURNS:
            before = self._last_number
            await checkpoint()
            quiet = quiet + 1 if self._last_number == before else 0

    async def next(self) -> tuple[Frame, int]:
        """Wait for the next frame; return it and its number."""
        while not self._frames:
            self._frame_added = anyio.Event()
            await self._frame_added.wait()
        frame, number, self.acks_taken = self._frames.popleft()
        self.frames_taken = number
        self._size_bytes -= _size_of(frame)
        self._frame_taken.set()
        return frame, number


def _is_of_type(text: str | None, kind: str) -> bool:
    """Whether a text frame is a short message of this type. Cheap for all other frames."""
    if text is None or len(text) > MAX_SHORT_CHARS or f'"{kind}"' not in text:
        return False
    try:
        return bool(parse_object(text).get("type") == kind)
    except InvalidJson:
        return False


def _size_of(frame: Frame) -> int:
    return len(frame.get("text") or frame.get("bytes") or "")
