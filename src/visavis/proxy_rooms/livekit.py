"""The operator's LiveKit server: its rooms over its API (Twirp, as JSON), and the tokens that open them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import jwt

from visavis.errors import RoomUnreachable
from visavis.proxy_rooms.answers import json_object, said
from visavis.proxy_rooms.kept_rooms import ListedRoom
from visavis.settings import Settings

ANSWERS_WITHIN_S = 5.0
API_TOKEN_LASTS_S = 60
CLOCKS_DIFFER_S = 30  # at most: tokens hold in spite of it
EMPTY_FOR_S = 120  # a room that nobody has joined, or that all have left, is deleted by the server itself


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKitKey:
    """`url`: ws or wss, as clients use it."""

    url: str
    api_key: str
    api_secret: str


class LiveKitServer:
    """Rooms and tokens of a LiveKit server. `transport`: of httpx, for tests."""

    def __init__(self, key: LiveKitKey, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._key = key
        self._http = httpx.AsyncClient(base_url=_api_url(key.url), timeout=ANSWERS_WITHIN_S, transport=transport)

    @property
    def url(self) -> str:
        return self._key.url

    async def create(self, name: str, *, metadata: str) -> None:
        """Create a room; one that is there already stays. Raises `RoomUnreachable`."""
        body = {
            "name": name,
            "metadata": metadata,
            "empty_timeout": EMPTY_FOR_S,
            "departure_timeout": EMPTY_FOR_S,
        }
        await self._call("CreateRoom", body, {"roomCreate": True})

    async def delete(self, name: str) -> None:
        """Delete a room and send everybody in it away. A room that is not there is no error. Raises
        `RoomUnreachable`.
        """
        await self._call("DeleteRoom", {"room": name}, {"roomCreate": True}, may_lack=True)

    async def rooms(self) -> list[ListedRoom]:
        """Return all rooms of the server, those of others too. Raises `RoomUnreachable`."""
        listed = (await self._call("ListRooms", {}, {"roomList": True})).get("rooms")
        rooms = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        return [ListedRoom(name=str(one.get("name", "")), metadata=str(one.get("metadata", ""))) for one in rooms]

    def token(
        self, room: str, identity: str, *, lasts_s: int, name: str = "", kind: str = "standard", on_behalf: str = ""
    ) -> str:
        """Return a token with which a participant joins a room, publishes, subscribes and sends data. `on_behalf`: the
        identity of the agent that an avatar serves.
        """
        claims: dict[str, Any] = {
            "sub": identity,
            "name": name or identity,
            "kind": kind,
            "video": {"roomJoin": True, "room": room, "canPublish": True, "canSubscribe": True, "canPublishData": True},
        }
        if on_behalf:
            claims["attributes"] = {"lk.publish_on_behalf": on_behalf}
        return self._signed(claims, lasts_s=lasts_s)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _call(
        self, method: str, body: dict[str, Any], grants: dict[str, bool], *, may_lack: bool = False
    ) -> dict[str, Any]:
        token = self._signed({"video": grants}, lasts_s=API_TOKEN_LASTS_S)
        try:
            answer = await self._http.post(
                f"twirp/livekit.RoomService/{method}", json=body, headers={"authorization": f"Bearer {token}"}
            )
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
            raise RoomUnreachable(f"The LiveKit server of this service cannot be reached: {problem}") from None
        if answer.status_code == 404 and may_lack:
            return {}
        if answer.status_code in (401, 403):
            raise RoomUnreachable(
                "The LiveKit server of this service does not admit its key",
                suggestion=_wrong_clock(answer)
                or "Have the operator check VISAVIS_LIVEKIT_API_KEY and VISAVIS_LIVEKIT_API_SECRET",
            )
        document = json_object(answer)
        if not answer.is_success or document is None:
            raise RoomUnreachable(f"The LiveKit server of this service answered {answer.status_code}: {said(answer)}")
        return document

    def _signed(self, claims: dict[str, Any], *, lasts_s: int) -> str:
        now_s = int(time.time())
        times = {"iss": self._key.api_key, "nbf": now_s - CLOCKS_DIFFER_S, "exp": now_s + lasts_s}
        return jwt.encode({**times, **claims}, self._key.api_secret, algorithm="HS256")


def livekit_server(settings: Settings) -> LiveKitServer | None:
    """Return the operator's LiveKit server, None without one."""
    if settings.livekit_url is None or settings.livekit_api_key is None or settings.livekit_api_secret is None:
        return None
    secret = settings.livekit_api_secret.get_secret_value()
    return LiveKitServer(LiveKitKey(url=settings.livekit_url, api_key=settings.livekit_api_key, api_secret=secret))


def _wrong_clock(answer: httpx.Response) -> str | None:
    """Return what to do if the clock of the server that has answered differs so much that no token holds."""
    try:
        ahead_s = round(parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time())
    except (KeyError, ValueError):
        return None
    if abs(ahead_s) <= CLOCKS_DIFFER_S:
        return None
    away = f"{abs(ahead_s)} s {'ahead of' if ahead_s > 0 else 'behind'}"
    return f"Have the operator set the clocks: the LiveKit server's is {away} this server's"


def _api_url(url: str) -> str:
    """Return the address of the API of a server whose clients connect to `url`."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/", "", ""))
