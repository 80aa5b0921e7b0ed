"""The room of an own-room session, as its create asks for it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from visavis.channel.handshake import MAX_HOLD_S
from visavis.errors import InvalidRequest, InvalidRoomPlatform, RoomPlatformUnavailable
from visavis.proxy_rooms.rooms import PROXY, Proxy
from visavis.rooms.spec import DailyRoomSpec, LiveKitRoomSpec, RoomSpec

MAX_URL_CHARS = 2048
MAX_TOKEN_CHARS = 8192
_VENDORS = {"livekit": "LiveKit", "daily": "Daily"}
_LIVEKIT_SCHEMES = ("ws", "wss", "http", "https")


def read_room(
    given: object, *, has_daily: bool, networks_for: Callable[[str], tuple[str, ...]]
) -> RoomSpec | Proxy | None:
    """Return the room of another server, `PROXY` for one to be made there; None for one of this server. `has_daily`:
    whether this server can join Daily rooms. `networks_for`: where a LiveKit server of this address may stand.

    Raises `InvalidRoomPlatform`, `RoomPlatformUnavailable`, and `InvalidRequest` for a wrong address, token or
    `hold_for_viewer_s`.
    """
    if given is None:
        return None
    platform = given.get("platform") if isinstance(given, dict) else None
    if platform == "daily" and not has_daily:
        raise RoomPlatformUnavailable("This server has no daily rooms", suggestion="Leave room out")
    if platform not in ("livekit", "daily", "proxy", "embedded") or not isinstance(given, dict):
        raise InvalidRoomPlatform
    hold_s = _hold_of(given)
    if platform == "proxy":
        return PROXY
    if platform == "embedded":
        return None
    url, token = given.get("url"), given.get("token")
    if platform == "livekit" and (not isinstance(url, str) or not _is_server(url, _LIVEKIT_SCHEMES)):
        raise InvalidRequest("room.url must be the address of a LiveKit server", suggestion="Use wss://…")
    if platform == "daily" and (not isinstance(url, str) or not _is_daily_room(url)):
        raise InvalidRequest(
            "room.url must be the address of a Daily room", suggestion="Use https://your-domain.daily.co/room-name"
        )
    if not isinstance(token, str) or not token or len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise InvalidRequest(f"room.token must be a token of the {_VENDORS[platform]} room")
    assert isinstance(url, str)
    if platform == "daily":
        return DailyRoomSpec(url=url, token=token)
    return LiveKitRoomSpec(url=url, token=token, networks=networks_for(url), hold_for_viewer_s=hold_s)


def _hold_of(room: dict[str, object]) -> float | None:
    """Return how long the first speech waits for a user. Raises `InvalidRequest`, also for a room that does not tell
    users from others, and for a proxy room, whose only user is the one who speaks.
    """
    seconds = room.get("hold_for_viewer_s")
    if seconds is None:
        return None
    if room.get("platform") != "livekit":
        raise InvalidRequest(
            "room.hold_for_viewer_s is for the platform livekit alone",
            suggestion="In rooms of this service, send hold_for_viewer_s in session.init",
        )
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_HOLD_S:
        raise InvalidRequest(f"room.hold_for_viewer_s must be a number above 0, at most {MAX_HOLD_S}")
    return float(seconds)


def _is_daily_room(url: str) -> bool:
    """Whether an address is of a room at Daily: its library connects to no other server."""
    if not _is_server(url, ("https",)):
        return False
    parts = urlsplit(url)
    return (parts.hostname or "").endswith(".daily.co") and len(parts.path.strip("/")) > 0


def _is_server(url: str, schemes: tuple[str, ...]) -> bool:
    """Whether an address has a scheme and a host, and no name or password in it."""
    if len(url) > MAX_URL_CHARS or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or 0 < parts.port < 65536  # parts.port raises ValueError for no number
        return parts.scheme in schemes and bool(parts.hostname) and has_port and "@" not in parts.netloc
    except ValueError:
        return False
