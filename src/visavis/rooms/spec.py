"""The specification of a session's room, as data that the service sends to a stage. Imports nothing."""

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
    """This server's own WebRTC room. Viewers join by WHEP.

    `ice_servers`: those with credentials for this session alone, beside the ones that all sessions share.
    """

    ice_servers: tuple[IceServer, ...] = ()
    kind: Literal["embedded"] = "embedded"


# One frozen dataclass for each kind of room, distinguished by `kind`. A room of another vendor will have its address
# and its token here.
RoomSpec = EmbeddedRoomSpec
