"""The proxy rooms of this server's sessions: each is made on the operator's LiveKit server, before its session."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Literal

from visavis.errors import RoomPlatformUnavailable
from visavis.proxy_rooms.kept_rooms import KeptRooms, RoomStatuses
from visavis.proxy_rooms.livekit import LiveKitServer
from visavis.rooms.spec import ANYWHERE, LiveKitRoomSpec

# The identities in a proxy room. The hosted service's Pipecat client sends speech and calls to this name alone.
AVATAR, CALLER = "agenthuman-avatar-agent", "caller"
AVATAR_TOKEN_LASTS_S = (
    30 * 86_400
)  # it never leaves this service; the avatar may join again as long as its session runs
CALLER_TOKEN_LASTS_S = 86_400

Proxy = Literal["proxy"]
PROXY: Proxy = "proxy"
"""What a create asks for instead of the specification of a room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRoom:
    """How the caller of a session joins its room."""

    url: str
    token: str


class ProxyRooms:
    """`server`: the operator's LiveKit server, None for none. `secret`: this service's. `kept`: deletes the rooms."""

    def __init__(self, server: LiveKitServer | None, sessions: RoomStatuses, secret: bytes) -> None:
        self._server = server
        self._mark = "visavis:" + hmac.digest(secret, b"proxy rooms", "sha256").hex()[:32]
        self.kept = KeptRooms(server, sessions, mark=self._mark)

    async def open(self, room_name: str, *, avatar_name: str) -> LiveKitRoomSpec:
        """Make a room; return what the avatar joins. Raises `RoomPlatformUnavailable` and `RoomUnreachable`."""
        server = self.check_available()
        self.kept.note(room_name)
        await server.create(room_name, metadata=self._mark)
        token = server.token(
            room_name, AVATAR, name=avatar_name, kind="agent", on_behalf=CALLER, lasts_s=AVATAR_TOKEN_LASTS_S
        )
        return LiveKitRoomSpec(url=server.url, token=token, ends_by_silence=True, networks=ANYWHERE)

    def door(self, room_name: str) -> ProxyRoom:
        """Return a new way in for the caller. Raises `RoomPlatformUnavailable`."""
        server = self.check_available()
        return ProxyRoom(url=server.url, token=server.token(room_name, CALLER, lasts_s=CALLER_TOKEN_LASTS_S))

    def check_available(self) -> LiveKitServer:
        """Return the LiveKit server. Raises `RoomPlatformUnavailable` without one."""
        if self._server is None:
            raise RoomPlatformUnavailable(
                "This server has no proxy rooms",
                suggestion="Have the operator set VISAVIS_LIVEKIT_URL, _API_KEY and _API_SECRET, or leave room out",
            )
        return self._server
