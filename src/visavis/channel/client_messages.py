"""The client's messages by their numbers: which were taken, and which have their answers. Pure.

The numbers count only in a conversation that can be resumed. There a client sends again what may not have been taken.
Interrupts and updates are answered outside the order of replies, an interrupt perhaps before its turn.
"""

from __future__ import annotations

from collections.abc import Iterable

from visavis.channel.handed_conversation import Mark


class ClientMessages:
    """`index`: the place of the conversation among those of its session, from 1; 0 if it cannot be resumed. `taken`:
    how many messages were taken since it began, without acknowledgements (`ack`).
    """

    def __init__(self) -> None:
        self.index = 0
        self.taken = 0
        self._unanswered: set[int] = set()  # interrupts and updates that were taken and have no answer
        self._answered_ahead: set[int] = set()  # interrupts that were answered and perhaps not taken
        # From an earlier server: messages up to `_answered_before` have their answers, but those in `_to_repeat`.
        self._answered_before = 0
        self._to_repeat: set[int] = set()

    @classmethod
    def take_over(cls, index: int, mark: Mark) -> ClientMessages:
        """Go on with those of another server."""
        messages = cls()
        messages.index, messages.taken, messages._answered_before = index, mark.taken, mark.answered
        messages._to_repeat, messages._answered_ahead = set(mark.unanswered), set(mark.interrupts)
        return messages

    def take(self) -> bool:
        """Count the next message; return False if an earlier server has answered it."""
        self.taken += 1
        if self.has_answered(self.taken):
            return False
        self._to_repeat.discard(self.taken)
        return True

    def has_answered(self, message: int) -> bool:
        """Whether a message that the client sends again needs no answer, because an earlier server has answered it."""
        return message <= self._answered_before and message not in self._to_repeat

    def session_number(self, message: int) -> int:
        """Return a number for a message that rises through all conversations of the session; 0 if the conversation
        cannot be resumed, so that no message comes twice.
        """
        return self.index << 32 | message if self.index else 0

    def answer_later(self) -> int:
        """Expect the answer to the last message outside the order of replies; return its number, 0 if the conversation
        cannot be resumed.
        """
        if not self.index:
            return 0
        self._unanswered.add(self.taken)
        return self.taken

    @property
    def is_answered_ahead(self) -> bool:
        """Whether the last message is an interrupt that was answered before its turn."""
        return self.taken in self._answered_ahead

    def answer_interrupt(self, message: int) -> bool:
        """Note that an interrupt has its answer, perhaps before its turn; return False if it has had one."""
        if not self.index:
            return True
        if not message or message in self._answered_ahead or self.has_answered(message):
            return False
        self._unanswered.discard(message)
        self._answered_ahead.add(message)
        return True

    def note_answers(self, messages: Iterable[int]) -> None:
        """These have their answers."""
        self._unanswered.difference_update(messages)

    def answers(self, through: int) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """Return `answered`, `unanswered` and `interrupts` of `Mark`, if the messages up to a number have their answers
        but those that come outside the order.
        """
        answered = max(through, self._answered_before)
        past = min(answered, self.taken)
        self._answered_ahead = {number for number in self._answered_ahead if number > past}
        return answered, (*self._unanswered, *self._to_repeat), tuple(self._answered_ahead)
