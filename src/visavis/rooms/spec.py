"""Which room a session has, as plain data that crosses from the service to a stage. Imports nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A STUN or TURN server: `url` is stun:, turn: or turns:, as in RTCIceServer."""

    url: str
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedRoomSpec:
    """This server's own WebRTC room: viewers join by WHEP."""

    kind: Literal["embedded"] = "embedded"


# One frozen dataclass for each kind of room, told apart by `kind`; a room of another vendor will bring its address and
# its token here.
RoomSpec = EmbeddedRoomSpec
