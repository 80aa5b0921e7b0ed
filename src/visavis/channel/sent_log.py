"""What a server has sent to a client with the feature "resume" and keeps until the client acknowledges it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from visavis.channel.actions import Action, Send, SendAgain
from visavis.channel.handed_conversation import HandedConversation, HandedMessage, Mark, Note
from visavis.channel.port import SessionEvent, TextFailed
from visavis.channel.server_messages import ConnectionEstablishedResumable
from visavis.stage.port.events import PlaybackEvent

MAX_SENT_BYTES = 4 * 1024 * 1024  # that are kept for a client; if it acknowledges nothing, older ones are forgotten


@dataclass(frozen=True, slots=True)
class _Sent:
    number: int
    text: str
    event: SessionEvent | None
    is_sent: bool  # False if the client had already left: for the next server, which does not know what was sent

    def handed_over(self) -> HandedMessage:
        """Return it for another server. Only events of playback are kept."""
        event = self.event if isinstance(self.event, PlaybackEvent) else None
        return HandedMessage(number=self.number, text=self.text, is_sent=self.is_sent, event=event)


class SentLog:
    """The numbered messages to a client that it has not acknowledged."""

    def __init__(self) -> None:
        self.last_number = 0
        self._messages: deque[_Sent] = deque()
        self._size_bytes = 0
        self.forgotten = 0  # the highest number that is not kept any more
        self._sent_through = 0  # the highest number that was sent

    def add(self, text: str, event: SessionEvent | None, *, is_sent: bool) -> None:
        """Add the message that has the next number."""
        self.last_number += 1
        self._messages.append(_Sent(self.last_number, text, event, is_sent))
        self._size_bytes += len(text)
        while self._size_bytes > MAX_SENT_BYTES:
            self.forgotten = self._remove_oldest()

    def numbered(self, actions: Iterable[Action], mark: Mark, *, is_sent: bool) -> tuple[list[Action], Note | None]:
        """Number and keep the messages that are to be sent. Return the actions with these, and a note of them for the
        next server. `mark`: as of when the protocol has returned the actions. `is_sent`: False if the client has left.
        """
        before = self.last_number
        numbered: list[Action] = []
        for action in actions:
            if isinstance(action, Send) and not isinstance(action.message, ConnectionEstablishedResumable):
                text = f'{action.message.model_dump_json()[:-1]},"seq":{self.last_number + 1},"ack":{mark.taken}}}'
                self.add(text, action.event, is_sent=is_sent)
                numbered.append(SendAgain(number=self.last_number, text=text, event=action.event))
            else:
                numbered.append(action)
        return numbered, self.note(mark, after=before) if self.last_number > before else None

    def note(self, mark: Mark, *, after: int) -> Note:
        """Return a note for the next server, with the messages that have higher numbers than `after`."""
        return Note(
            mark=mark,
            last_number=self.last_number,
            forgotten=self.forgotten,
            messages=self._handed_after(after),
        )

    def acknowledge(self, number: int) -> None:
        """Forget the messages up to a number. A client that has received them goes on after them, not before."""
        while self._messages and self._messages[0].number <= number:
            self.forgotten = self._remove_oldest()

    def can_go_on_after(self, number: int) -> bool:
        """Whether all messages after this one are kept."""
        return self.forgotten <= number <= self.last_number

    def messages(self) -> list[tuple[int, str, SessionEvent | None]]:
        """Return the kept messages, each with its number and the event that it tells."""
        return [(message.number, message.text, message.event) for message in self._messages]

    def note_sent(self, number: int) -> None:
        """A message was sent to the client. They are sent in order, those after a break beginning with the oldest."""
        self._sent_through = max(self._sent_through, number)

    def take_unsent_events(self) -> list[SessionEvent]:
        """Return, once, what became of speech by the messages that were not sent, because the client had left and did
        not come back for them. Other events are out of date by then.
        """
        unsent = [one for one in self._messages if one.number > self._sent_through]
        self._sent_through = self.last_number
        return [one.event for one in unsent if isinstance(one.event, PlaybackEvent | TextFailed)]

    @classmethod
    def take_over(cls, handed: HandedConversation) -> SentLog:
        """Go on with the log of another server."""
        log = cls()
        log.last_number, log.forgotten = handed.last_number, handed.forgotten
        log._messages = deque(_Sent(one.number, one.text, one.event, one.is_sent) for one in handed.messages)
        log._size_bytes = sum(len(one.text) for one in handed.messages)
        log._sent_through = max((one.number for one in handed.messages if one.is_sent), default=0)
        return log

    def _handed_after(self, number: int) -> tuple[HandedMessage, ...]:
        """Return the kept messages with higher numbers, for another server."""
        newest = takewhile(lambda message: message.number > number, reversed(self._messages))
        return tuple(message.handed_over() for message in newest)[::-1]

    def _remove_oldest(self) -> int:
        oldest = self._messages.popleft()
        self._size_bytes -= len(oldest.text)
        return oldest.number
