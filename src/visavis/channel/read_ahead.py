"""Frames read ahead of their turn, so that an interrupt behind a burst of small pieces of speech is seen at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import anyio
from starlette.types import Message

from visavis.channel.client_message import parse_object
from visavis.errors import InvalidJson

MAX_FRAMES = 8192
# and the frame that goes beyond it; then nothing is read until some frames have had their turn
MAX_BYTES = 4 * 1024 * 1024
MAX_INTERRUPT_CHARS = 1024  # a longer interrupt waits for its turn


class ReadAhead:
    """A client's frames in their order, each with its number; the first has 1.

    `interrupt_read` is called with the number of an interrupt when it is read, before it has its turn. `run` returns
    when the client has left.
    """

    def __init__(self, receive: Callable[[], Awaitable[Message]], interrupt_read: Callable[[int], None]) -> None:
        self._receive, self._interrupt_read = receive, interrupt_read
        self._frames: deque[tuple[Message, int]] = deque()
        self._number = 0  # of the frame read last
        self._bytes = 0
        self._came = anyio.Event()  # replaced when it was waited for
        self._went = anyio.Event()  # likewise

    async def run(self) -> None:
        while True:
            while len(self._frames) >= MAX_FRAMES or self._bytes >= MAX_BYTES:
                self._went = anyio.Event()
                await self._went.wait()
            frame = await self._receive()
            self._number += 1
            self._frames.append((frame, self._number))
            self._bytes += _size(frame)
            self._came.set()
            if frame["type"] == "websocket.disconnect":
                return
            if _is_interrupt(frame.get("text")):
                self._interrupt_read(self._number)

    async def next(self) -> tuple[Message, int]:
        """Return the next frame in its turn, and its number."""
        while not self._frames:
            self._came = anyio.Event()
            await self._came.wait()
        frame, number = self._frames.popleft()
        self._bytes -= _size(frame)
        self._went.set()
        return frame, number


def _is_interrupt(text: str | None) -> bool:
    """Whether a text frame is an `agent.interrupt`; cheap to say of all others."""
    if text is None or len(text) > MAX_INTERRUPT_CHARS or "agent.interrupt" not in text:
        return False
    try:
        return parse_object(text).get("type") == "agent.interrupt"
    except InvalidJson:
        return False


def _size(frame: Message) -> int:
    return len(frame.get("text") or frame.get("bytes") or "")
