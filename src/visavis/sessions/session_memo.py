"""What a server has the stage of a session remember for the next server. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMemo:
    """`had_channel`: a channel was attached to the session at some time. `conversations`: how many have begun that can
    be resumed. `conversation`: the beginning of the last one, packed; empty if it cannot be resumed any more.
    """

    had_channel: bool = False
    conversations: int = 0
    conversation: bytes = b""

    def packed(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def unpacked(cls, packed: bytes) -> SessionMemo:
        """Read what `packed` returned. A memo of another version of the program counts as none."""
        try:
            return _memos.decode(packed)
        except msgspec.DecodeError:
            return cls()


_memos = msgspec.msgpack.Decoder(SessionMemo)
