"""What the protocol asks to be done, in order: say a message, close the connection, or bring about one effect on the
session.
"""

from __future__ import annotations

from dataclasses import dataclass

from visavis.channel.port import SessionInit
from visavis.channel.server_messages import ServerMessage
from visavis.engine.motion.states import SettableState
from visavis.errors import CloseCode
from visavis.output_json import OutputChange
from visavis.stage.port.values import Speech

MAX_REASON_BYTES = 123  # RFC 6455, section 5.5: a control frame holds 125 bytes, two of them the close code


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    message: ServerMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    init: SessionInit


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    speech: Speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt:
    """Drop all speech up to the message with the number `through`, which is the interrupt's own."""

    through: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetState:
    """Listen or think where nothing is said. It has no answer of its own: the change of state is told when it comes."""

    state: SettableState


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Have the session look otherwise. It may take seconds (a picture is fetched), so it is the one effect that stands
    in no line: its outcome is told by `updated` or `update_refused` whenever it comes, and updates come about in their
    own order.
    """

    change: OutputChange


Effect = Attach | Speak | Interrupt | SetState | Update
Said = Send | Close
Step = Said | Effect


def close(code: CloseCode, reason: str) -> Close:
    """Close with as much of the reason as a close frame holds."""
    return Close(code=code, reason=reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore"))
