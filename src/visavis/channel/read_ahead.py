"""Frames read ahead of their turn, so that an interrupt behind a burst of small pieces of speech is seen at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import anyio
from starlette.types import Message

from visavis.channel.client_message import parse_object
from visavis.errors import InvalidJson

MAX_FRAMES = 8192
MAX_BYTES = 4 * 1024 * 1024  # and the frame that goes beyond it; then nothing is read until some have had their turn
MAX_INTERRUPT_CHARS = 1024  # a longer one waits for its turn


class ReadAhead:
    """A client's frames in their order, each with whether it `hushes`: that is asked of each when it is read, with
    whether others stand before it.

    `hush` is called for one that does, before it has its turn. `run` returns when the client has left.
    """

    def __init__(
        self,
        receive: Callable[[], Awaitable[Message]],
        hushes: Callable[[Message, bool], bool],
        hush: Callable[[], Awaitable[None]],
    ) -> None:
        self._receive, self._hushes, self._hush = receive, hushes, hush
        self._frames: deque[tuple[Message, bool]] = deque()
        self._bytes = 0
        self._came = anyio.Event()  # replaced when it was waited for
        self._went = anyio.Event()  # likewise

    async def run(self) -> None:
        while True:
            while len(self._frames) >= MAX_FRAMES or self._bytes >= MAX_BYTES:
                self._went = anyio.Event()
                await self._went.wait()
            frame = await self._receive()
            hushes = self._hushes(frame, bool(self._frames))
            self._frames.append((frame, hushes))
            self._bytes += _size(frame)
            self._came.set()
            if frame["type"] == "websocket.disconnect":
                return
            if hushes:
                await self._hush()

    async def next(self) -> tuple[Message, bool]:
        """Return the next frame in its turn, and whether it hushed."""
        while not self._frames:
            self._came = anyio.Event()
            await self._came.wait()
        frame, hushed = self._frames.popleft()
        self._bytes -= _size(frame)
        self._went.set()
        return frame, hushed


def is_interrupt(text: str | None) -> bool:
    """Whether a text frame is an `agent.interrupt`, said cheaply of all the others."""
    if text is None or len(text) > MAX_INTERRUPT_CHARS or "agent.interrupt" not in text:
        return False
    try:
        return parse_object(text).get("type") == "agent.interrupt"
    except InvalidJson:
        return False


def _size(frame: Message) -> int:
    return len(frame.get("text") or frame.get("bytes") or "")
