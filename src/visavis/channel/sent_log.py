"""What a server has sent to a client with the feature "resume" and keeps until the client acknowledges it. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from visavis.channel.handed_conversation import HandedMessage, HandedSentLog
from visavis.channel.port import SessionEvent
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted, SampleCut

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

    def messages(self) -> list[tuple[str, SessionEvent | None]]:
        """Return the kept messages, each with the event that it tells."""
        return [(message.text, message.event) for message in self._messages]

    def unsent_events(self) -> list[SessionEvent]:
        """Return the events of messages that came after the client had left."""
        return [message.event for message in self._messages if message.event is not None and not message.is_sent]

    def handed_over(self) -> HandedSentLog:
        """Return the log for another server. Of its events those of playback are kept."""
        return HandedSentLog(
            last_number=self.last_number,
            forgotten=self._forgotten,
            messages=tuple(
                HandedMessage(
                    number=message.number,
                    text=message.text,
                    is_sent=message.is_sent,
                    event=message.event
                    if isinstance(message.event, PlaybackStarted | PlaybackFinished | SampleCut)
                    else None,
                )
                for message in self._messages
            ),
        )

    @classmethod
    def take_over(cls, handed: HandedSentLog) -> SentLog:
        """Go on with a log of another server."""
        log = cls()
        log.last_number, log._forgotten = handed.last_number, handed.forgotten
        log._messages = deque(_Sent(one.number, one.text, one.event, one.is_sent) for one in handed.messages)
        log._size_bytes = sum(len(one.text) for one in handed.messages)
        return log

    def _remove_oldest(self) -> int:
        oldest = self._messages.popleft()
        self._size_bytes -= len(oldest.text)
        return oldest.number
