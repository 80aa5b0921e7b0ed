"""The specification of a session's room, and other values of rooms that the service and a stage exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

ANYWHERE = ("0.0.0.0/0", "::/0")  # the networks of a room whose server the operator has named


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A STUN or TURN server: `url` is stun:, turn: or turns:, as in RTCIceServer. `tls_name`: the name that the
    certificate of a turns: server has to have, where `url` has an address instead of the name.
    """

    url: str
    username: str | None = None
    credential: str | None = None
    tls_name: str | None = None


def tls_name(servers: tuple[IceServer, ...]) -> str | None:
    """Return the `tls_name` of the TURN server among these that a connection uses: the first one."""
    return next((server.tls_name for server in servers if server.url.startswith("turn")), None)


class EmbeddedRoomSpec(msgspec.Struct, frozen=True, kw_only=True, tag="embedded", tag_field="kind"):
    """This server's own WebRTC room. Viewers join by WHEP.

    `ice_servers`: those with credentials for this session alone, beside the ones that all sessions share.
    """

    ice_servers: tuple[IceServer, ...] = ()


class LiveKitRoomSpec(msgspec.Struct, frozen=True, kw_only=True, tag="livekit", tag_field="kind"):
    """A room of a LiveKit server, which the avatar joins with a token.

    `url`: ws, wss, http or https. `ends_by_silence`: whether a pause of its agent ends a segment of speech.
    `networks`: to which the avatar may connect for this room, beside the public internet. `hold_for_viewer_s`: the
    first speech waits so long for a user.
    """

    url: str
    token: str
    ends_by_silence: bool = False
    networks: tuple[str, ...] = ()
    hold_for_viewer_s: float | None = None


class DailyRoomSpec(msgspec.Struct, frozen=True, kw_only=True, tag="daily", tag_field="kind"):
    """A Daily room, which the avatar joins with a meeting token. `name`: what the others read; empty for that of the
    token.
    """

    url: str
    token: str
    name: str = ""


class IceRestarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A viewer has a new ICE session. `fragment`: the server's side of it, a fragment of SDP (RFC 8840). `ice_session`:
    its number; the session of the offer is 0.
    """

    fragment: str
    ice_session: int


# One struct for each kind of room.
RoomSpec = EmbeddedRoomSpec | LiveKitRoomSpec | DailyRoomSpec


RoomEnd = Literal["agent_left", "avatar_removed", "room_deleted", "room_lost"]
"""Why a room of another server is over: the agent has left it, somebody has removed the avatar or deleted the room, or
the connection was lost for good."""


def hold_for_viewer_s(room: RoomSpec) -> float | None:
    """Return how long the first speech in a room waits for a user, None for not at all."""
    return room.hold_for_viewer_s if isinstance(room, LiveKitRoomSpec) else None


def admitted(room: RoomSpec, token: str | None) -> RoomSpec:
    """Return a LiveKit room that the avatar joins with another token. None: the same one."""
    return msgspec.structs.replace(room, token=token) if isinstance(room, LiveKitRoomSpec) and token else room


def named(room: RoomSpec, name: str) -> RoomSpec:
    """Return a room in which the avatar has another name; the same one where the specification has none."""
    return msgspec.structs.replace(room, name=name) if isinstance(room, DailyRoomSpec) else room
