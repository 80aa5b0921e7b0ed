"""The numbered messages of a channel (its feature `resume`). Pure: no socket and no clock.

Both sides number their messages from 1. Each keeps its own until the other one has acknowledged them, and sends the
rest again on the next connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any


class Conversation:
    """What was sent and not yet acknowledged, and what has arrived."""

    def __init__(self) -> None:
        self._kept: deque[str] = deque()
        self._kept_size = 0
        self._acknowledged = 0  # the number of the last message that the server has taken
        self._sent = 0  # the number of the last message that was put on the present connection
        self.received = 0
        self._answered = 0  # the number of the last message that we have acknowledged

    @property
    def kept_size(self) -> int:
        """How many characters wait for the server's acknowledgement."""
        return self._kept_size

    def push(self, text: str) -> int:
        """Take a message to be sent. Return its number."""
        self._kept.append(text)
        self._kept_size += len(text)
        return self._acknowledged + len(self._kept)

    def next_unsent(self) -> str | None:
        """Return the next message for the present connection, None if all are on their way."""
        at = self._sent - self._acknowledged
        if at >= len(self._kept):
            return None
        self._sent += 1
        return self._kept[at]

    def arrived(self, message: Mapping[str, Any]) -> bool:
        """Take the numbers of a message of the server. Return False if it has arrived before."""
        ack, seq = message.get("ack"), message.get("seq")
        if isinstance(ack, int):
            self.taken(ack)
        if isinstance(seq, int):
            if seq <= self.received:
                return False
            self.received = seq
        return True

    def taken(self, number: int) -> None:
        """Forget the messages that the server has taken, up to `number`."""
        while self._acknowledged < number and self._kept:
            self._kept_size -= len(self._kept.popleft())
            self._acknowledged += 1
        self._sent = max(self._sent, self._acknowledged)

    def is_taken(self, number: int) -> bool:
        return number <= self._acknowledged

    def due_acknowledgement(self) -> int | None:
        """Return the number to acknowledge now, None if the server knows it."""
        if self.received == self._answered:
            return None
        self._answered = self.received
        return self.received

    def resume(self, received: int) -> None:
        """The conversation goes on over a new connection: the server has our messages up to `received`."""
        self.taken(received)
        self._sent = self._acknowledged
        self._answered = 0

    def begin_anew(self) -> None:
        """The server remembers nothing: both sides count from 1 again, and what was kept is dropped."""
        self.__init__()  # type: ignore[misc]
