"""Text and sound that wait in a line, packed as the next server gets them (`stage/port/line.py`). Pure."""

from __future__ import annotations

import msgspec

from visavis.stage.port.values import Speech


class WaitingText(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """`begins`: it is the first of its utterance in the line; otherwise it continues the text before it. `final`: the
    utterance ends with it.
    """

    utterance_id: str
    text: str
    begins: bool
    final: bool
    voice: str | None = None
    language: str | None = None


class WaitingSound(msgspec.Struct, frozen=True, kw_only=True, tag="sound"):
    speech: Speech


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[WaitingText | WaitingSound] = msgspec.msgpack.Decoder(WaitingText | WaitingSound)


def pack(waiting: WaitingText | WaitingSound) -> bytes:
    return _encoder.encode(waiting)


def unpack(body: bytes) -> WaitingText | WaitingSound | None:
    """Read what `pack` returned; None if another version of the program has written it otherwise."""
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError:
        return None
