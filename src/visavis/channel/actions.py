"""What the protocol asks its caller to do, in order: send a message, close the connection, or apply one effect to the
session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from visavis.channel.port import SessionEvent, SessionInit
from visavis.channel.server_messages import ServerMessage
from visavis.engine.motion.states import SettableState
from visavis.errors import CloseCode
from visavis.output_json import OutputChange
from visavis.stage.port.values import Speech
from visavis.voice.port import TextPiece

MAX_REASON_BYTES = 123  # RFC 6455, section 5.5: a control frame holds 125 bytes, two of them the close code


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """`event`: the session's event that the message reports, if it reports one. `answers`: the number of the update
    that it answers, or 0.
    """

    message: ServerMessage
    event: SessionEvent | None = None
    answers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SendAgain:
    """Send a message of a conversation that can be resumed, perhaps not for the first time. `event`: as in `Send`."""

    number: int
    text: str
    event: SessionEvent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    code: CloseCode
    reason: str

    @classmethod
    def truncated(cls, code: CloseCode, reason: str) -> Self:
        """Close with as much of the reason as a close frame holds."""
        return cls(code=code, reason=reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    init: SessionInit


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    """`after_interrupt`: it is the first speech after an interrupt, so its samples are counted anew."""

    speech: Speech
    after_interrupt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Speak text: `text_queued` reports its outcome."""

    piece: TextPiece


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt:
    """Drop all speech up to the frame with the number `through`, which is the number of the interrupt itself. It goes
    ahead of everything: `interrupt_succeeded` or `interrupt_failed` reports its outcome as soon as it comes. `message`:
    its number among the client's messages, 0 if that needs no answer.
    """

    through: int
    message: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetState:
    """Set the state that the avatar has while it does not speak. It has no reply of its own: an event reports the
    change of state. `message`: its number among the client's messages.
    """

    state: SettableState
    message: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Change the session's output. It may take seconds, because a picture may be fetched. So it is outside the reply
    queue: `update_succeeded` or `update_failed` reports its outcome whenever it comes. Updates take effect in the order
    of their messages. `message`: its number among the client's messages.
    """

    change: OutputChange
    message: int = 0


Effect = Attach | Speak | Say | Interrupt | SetState | Update
Reply = Send | SendAgain | Close
Action = Reply | Effect
