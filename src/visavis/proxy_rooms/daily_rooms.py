"""The Daily rooms of hosted sessions, where the operator has chosen Daily to carry them."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.fernet import Fernet

from visavis.errors import RoomPlatformUnavailable
from visavis.proxy_rooms.daily import DailyServer
from visavis.proxy_rooms.kept_rooms import KeptRooms, RoomStatuses
from visavis.rooms.spec import DailyRoomSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyRoomDoor:
    """How the caller of a session joins its room: with any of Daily's clients."""

    url: str
    token: str


class DoorSeal:
    """Doors as the rows of sessions keep them: their tokens are encrypted with a key that is derived from the server's
    `secret`. The database alone opens no room.
    """

    def __init__(self, secret: bytes) -> None:
        self._cipher = Fernet(base64.urlsafe_b64encode(hmac.digest(secret, b"tokens of daily rooms", "sha256")))

    def seal(self, door: DailyRoomDoor) -> dict[str, str]:
        return {"url": door.url, "sealed_token": self._cipher.encrypt(door.token.encode()).decode()}

    def open(self, kept: Mapping[str, str] | None) -> DailyRoomDoor | None:
        """Return the door of a row, None where it has none."""
        if kept is None:
            return None
        if "token" in kept:  # an earlier build has not encrypted it
            return DailyRoomDoor(url=kept["url"], token=kept["token"])
        return DailyRoomDoor(url=kept["url"], token=self._cipher.decrypt(kept["sealed_token"].encode()).decode())


class DailyRooms:
    """`server`: the operator's, None for none. `carry_hosted`: whether Daily carries the rooms of new hosted sessions.
    `secret`: this service's. `seal`: of their doors. `kept`: deletes the rooms.
    """

    def __init__(
        self, server: DailyServer | None, sessions: RoomStatuses, secret: bytes, *, carry_hosted: bool
    ) -> None:
        self._server, self.carry_hosted, self.seal = server, carry_hosted, DoorSeal(secret)
        self.kept = KeptRooms(server, sessions, mark=None)

    async def make(self, room_name: str) -> DailyRoomDoor:
        """Make a room for a session. Raises `RoomUnreachable`; then nothing is left of it in the end."""
        assert self._server is not None
        self.kept.note(room_name)
        try:
            url = await self._server.create(room_name)
            return DailyRoomDoor(url=url, token=await self._server.token(room_name, name=""))
        except BaseException:
            self.kept.release(room_name)
            raise

    async def spec(self, room_name: str, door: DailyRoomDoor, *, avatar_name: str) -> DailyRoomSpec:
        """Return what the avatar joins, with a token of its own. Raises `RoomUnreachable`; `RoomPlatformUnavailable` if
        the operator has taken the key away since.
        """
        if self._server is None:
            raise RoomPlatformUnavailable(
                "This server has no daily rooms", suggestion="Have the operator set VISAVIS_DAILY_API_KEY"
            )
        token = await self._server.token(room_name, name=avatar_name, owner=True)
        return DailyRoomSpec(url=door.url, token=token, name=avatar_name)
