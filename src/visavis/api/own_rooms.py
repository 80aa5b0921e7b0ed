"""The room of an own-room session, as its create asks for it."""

from __future__ import annotations

from urllib.parse import urlsplit

from visavis.errors import InvalidRequest, InvalidRoomPlatform, RoomPlatformUnavailable
from visavis.rooms.spec import LiveKitRoomSpec, RoomSpec

MAX_URL_CHARS = 2048
MAX_TOKEN_CHARS = 8192


def read_room(given: object) -> RoomSpec | None:
    """Return the room of another server; None for one of this server.

    Raises `InvalidRoomPlatform`, `RoomPlatformUnavailable`, and `InvalidRequest` for a wrong address or token.
    """
    if given is None:
        return None
    platform = given.get("platform") if isinstance(given, dict) else None
    if platform in ("daily", "proxy"):
        raise RoomPlatformUnavailable(f"This server has no {platform} rooms", suggestion="Leave room out")
    if platform == "embedded":
        return None
    if platform != "livekit" or not isinstance(given, dict):
        raise InvalidRoomPlatform
    url, token = given.get("url"), given.get("token")
    if not isinstance(url, str) or not _is_server(url):
        raise InvalidRequest("room.url must be the address of a LiveKit server", suggestion="Use wss://…")
    if not isinstance(token, str) or not token or len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise InvalidRequest("room.token must be a token of the LiveKit room")
    return LiveKitRoomSpec(url=url, token=token)


def _is_server(url: str) -> bool:
    """Whether an address has a scheme and a host, and no name or password in it."""
    if len(url) > MAX_URL_CHARS or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("ws", "wss", "http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False
