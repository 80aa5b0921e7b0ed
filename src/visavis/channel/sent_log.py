"""What a server has sent to a client with the feature "resume" and keeps until the client acknowledges it. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from visavis.channel.port import SessionEvent

MAX_SENT_BYTES = 4 * 1024 * 1024  # that are kept for a client; if it acknowledges nothing, older ones are forgotten


@dataclass(frozen=True, slots=True)
class _Sent:
    number: int
    text: str
    event: SessionEvent | None
    is_sent: bool  # False if the client had already left


class SentLog:
    """The numbered messages to a client that it has not acknowledged."""

    def __init__(self) -> None:
        self.last_number = 0
        self._messages: deque[_Sent] = deque()
        self._size_bytes = 0
        self._forgotten = 0  # the highest number that is not kept any more

    def add(self, text: str, event: SessionEvent | None, *, is_sent: bool) -> None:
        """Add the message that has the next number."""
        self.last_number += 1
        self._messages.append(_Sent(self.last_number, text, event, is_sent))
        self._size_bytes += len(text)
        while self._size_bytes > MAX_SENT_BYTES:
            self._forgotten = self._remove_oldest()

    def acknowledge(self, number: int) -> None:
        """Forget the messages up to a number. A client that has received them goes on after them, not before."""
        while self._messages and self._messages[0].number <= number:
            self._forgotten = self._remove_oldest()

    def can_go_on_after(self, number: int) -> bool:
        """Whether all messages after this one are kept."""
        return self._forgotten <= number <= self.last_number

    def texts(self) -> list[str]:
        return [message.text for message in self._messages]

    def unsent_events(self) -> list[SessionEvent]:
        """Return the events of messages that came after the client had left."""
        return [message.event for message in self._messages if message.event is not None and not message.is_sent]

    def _remove_oldest(self) -> int:
        oldest = self._messages.popleft()
        self._size_bytes -= len(oldest.text)
        return oldest.number
