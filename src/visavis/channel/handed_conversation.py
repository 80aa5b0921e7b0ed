"""A conversation as one server hands it over to the next, while no connection uses it. Pure."""

from __future__ import annotations

import msgspec

from visavis.channel.sample_count import SampleCount
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted, SampleCut


class HandedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to the client that it has not acknowledged. `event`: the event of playback that it tells."""

    number: int
    text: str
    is_sent: bool
    event: PlaybackStarted | PlaybackFinished | SampleCut | None = None


class HandedSentLog(msgspec.Struct, frozen=True, kw_only=True):
    """See `sent_log.SentLog`."""

    last_number: int
    forgotten: int
    messages: tuple[HandedMessage, ...]


class HandedConversation(msgspec.Struct, frozen=True, kw_only=True):
    """See the attributes of `protocol.ChannelProtocol`."""

    session_id: str
    features: frozenset[str]
    binary_rate_hz: int
    taken: int
    confirmed_ahead: int
    interrupted: bool
    sample_count: SampleCount
    sent: HandedSentLog


_conversations = msgspec.msgpack.Decoder(HandedConversation)


def pack(conversation: HandedConversation) -> bytes:
    return msgspec.msgpack.encode(conversation)


def unpack(packed: bytes) -> HandedConversation | None:
    """Read what `pack` returned; None if another version of the program has written it otherwise."""
    try:
        return _conversations.decode(packed)
    except msgspec.DecodeError:
        return None
