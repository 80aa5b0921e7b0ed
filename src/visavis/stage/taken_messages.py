"""Which messages of its client a session has taken, so that one that is sent again takes effect once. Pure.

A client sends a message again if it does not know that it was taken: because its connection broke, or because its
server died before it had answered. Of a message that has taken effect the outcome of the first time is told again.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from visavis.errors import VisavisError
from visavis.stage.port.messages import Command, Done, Interrupt, KeepLine, Result, SetState, Speak
from visavis.stage.port.values import Speech, Spoken

MAX_OUTCOMES = 128  # more than a channel has under way at once (`channel.websocket.MAX_PENDING_EFFECTS`)
OVERTAKEN_NUMBER = 0  # a piece of speech with this number is late


class TakenMessages:
    """The numbers of messages rise; only interrupts overtake others. A command without a number (0) is always new."""

    def __init__(self) -> None:
        self._last = 0  # of speech and states
        self._last_interrupt = 0
        self._outcomes: OrderedDict[int, Result | VisavisError] = OrderedDict()  # of the newest messages

    def repeated(self, command: Command) -> Result | None:
        """Return the result of a command that was carried out before; None for a new one. Raises the error with which
        it was refused.
        """
        number = _number_of(command)
        if not number:
            return None
        if isinstance(command, Interrupt):
            return Done(repeated=True) if number <= self._last_interrupt else None
        if number > self._last:
            return None
        outcome = self._outcomes.get(number)
        match outcome:
            case VisavisError():
                raise outcome
            case Spoken():
                return msgspec.structs.replace(outcome, repeated=True)
        if isinstance(command, Speak):
            return outcome or Spoken(utterance_id=command.speech.utterance_id or "", samples=0, repeated=True)
        if isinstance(command, KeepLine):
            return msgspec.structs.replace(command.spoken, repeated=True)
        return Done(repeated=True)

    def carried_out(self, command: Command, outcome: Result | VisavisError) -> None:
        """A new command was carried out or refused."""
        number = _number_of(command)
        if not number:
            return
        if isinstance(command, Interrupt):
            self._last_interrupt = number
            return
        self._last = number
        self._outcomes[number] = outcome
        if len(self._outcomes) > MAX_OUTCOMES:
            self._outcomes.popitem(last=False)

    def in_turn(self, speech: Speech) -> Speech:
        """Return a piece of speech with a number that tells whether an interrupt has overtaken it. Its own number does
        not, if it comes by another connection than the interrupt.
        """
        overtaken = 0 < speech.message < self._last_interrupt
        return msgspec.structs.replace(speech, number=OVERTAKEN_NUMBER) if overtaken else speech


def _number_of(command: Command) -> int:
    match command:
        case Speak(speech=speech):
            return speech.message
        case SetState(message=message) | Interrupt(message=message) | KeepLine(message=message):
            return message
    return 0
