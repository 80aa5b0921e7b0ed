"""What a conversation has its connection do: say a message, close, or one effect on the session (protocol.py)."""

from __future__ import annotations

from dataclasses import dataclass

from visavis.channel.messages import ServerMessage
from visavis.channel.port import SessionInit
from visavis.engine.output import OutputChange
from visavis.fleet.port import PLAIN, Attitude, Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    message: ServerMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    code: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    init: SessionInit


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    pcm: bytes
    sample_rate_hz: int
    utterance_id: str | None
    final: bool
    delivery: Delivery = PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Attend:
    """Listen or think where nothing is said. It has no answer of its own: the change of state is told when it comes."""

    state: Attitude


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Have the session look otherwise. It may take seconds (a picture is fetched), so it is the one effect that stands in no line: its outcome is
    told by `updated` or `update_refused` whenever it comes, and updates come about in their own order.
    """

    change: OutputChange


Effect = Attach | Speak | Interrupt | Attend | Update
Step = Send | Close | Effect
