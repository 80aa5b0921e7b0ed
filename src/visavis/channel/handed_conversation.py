"""A conversation as it is kept on the stage of its session, so that the next server goes on with it: its beginning, and
one note for each time that something was sent to the client. Pure.

A note is with the stage before its messages are with the client (`websocket.py`). So the next server has every message
that the client may have received, and knows which of the client's messages were answered by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from visavis.channel.encodings import USUAL, Encoding
from visavis.channel.sample_count import SampleCount
from visavis.channel.speech import DEFAULT_RATE_HZ
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted, SampleCut
from visavis.stage.port.notes import KeptNote


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """`index`: the place of the conversation among those of its session, from 1."""

    session_id: str
    features: frozenset[str]
    index: int


class HandedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to the client that it has not acknowledged. `event`: the event of playback that it tells."""

    number: int
    text: str
    is_sent: bool
    event: PlaybackStarted | PlaybackFinished | SampleCut | None = None


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a conversation has come.

    `answered`: the client's messages up to this number have their answers, except those in `unanswered`.
    `interrupts`: interrupts above `answered` that were answered ahead of their turn. `binary_rate_hz`,
    `binary_encoding`, `interrupted`, `sample_count`: see speech_intake.py; as they were after the message `answered`.
    """

    answered: int = 0
    unanswered: tuple[int, ...] = ()
    interrupts: tuple[int, ...] = ()
    binary_rate_hz: int = DEFAULT_RATE_HZ
    binary_encoding: Encoding = USUAL
    interrupted: bool = False
    sample_count: SampleCount = msgspec.field(default_factory=SampleCount)

    @property
    def taken(self) -> int:
        """The number up to which the client need not send its messages again."""
        return min((self.answered, *(number - 1 for number in self.unanswered)))


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """`messages`: those that were sent. `last_number`: of all so far. `forgotten`: those up to here are not kept."""

    mark: Mark
    last_number: int
    forgotten: int
    messages: tuple[HandedMessage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedConversation:
    """What the next server needs. `messages`: those that the client has not acknowledged."""

    beginning: Beginning
    mark: Mark
    last_number: int
    forgotten: int
    messages: tuple[HandedMessage, ...]


_encoder = msgspec.msgpack.Encoder()
_beginnings = msgspec.msgpack.Decoder(Beginning)
_notes = msgspec.msgpack.Decoder(Note)


def pack(kept: Beginning | Note) -> bytes:
    return _encoder.encode(kept)


def unpack(beginning: bytes, notes: Sequence[KeptNote]) -> HandedConversation | None:
    """Read what `pack` returned; None if another version of the program has written it otherwise."""
    try:
        begun = _beginnings.decode(beginning)
        read = [_notes.decode(kept.note) for kept in notes]
    except msgspec.DecodeError:
        return None
    last = read[-1] if read else Note(mark=Mark(), last_number=0, forgotten=0)
    return HandedConversation(
        beginning=begun,
        mark=last.mark,
        last_number=last.last_number,
        forgotten=last.forgotten,
        messages=tuple(one for note in read for one in note.messages if one.number > last.forgotten),
    )
