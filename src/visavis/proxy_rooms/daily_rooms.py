"""The Daily rooms of hosted sessions, where the operator has chosen Daily to carry them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from visavis.errors import RoomPlatformUnavailable
from visavis.proxy_rooms.daily import DailyServer
from visavis.proxy_rooms.kept_rooms import KeptRooms, RoomStatuses
from visavis.rooms.spec import DailyRoomSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyRoomDoor:
    """How the caller of a session joins its room: with any of Daily's clients."""

    url: str
    token: str

    def plain(self) -> dict[str, str]:
        """As the session's row keeps it."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, str] | None) -> DailyRoomDoor | None:
        return None if plain is None else cls(url=plain["url"], token=plain["token"])


class DailyRooms:
    """`server`: the operator's, None for none. `carry_hosted`: whether Daily carries the rooms of new hosted sessions.
    `kept`: deletes the rooms.
    """

    def __init__(self, server: DailyServer | None, sessions: RoomStatuses, *, carry_hosted: bool) -> None:
        self._server, self.carry_hosted = server, carry_hosted
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
