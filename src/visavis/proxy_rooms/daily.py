"""The operator's rooms at Daily, over its REST API: https://docs.daily.co/reference/rest-api."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx

from visavis.errors import RoomUnreachable
from visavis.proxy_rooms.answers import json_object, said
from visavis.proxy_rooms.kept_rooms import ListedRoom
from visavis.settings import Settings

ANSWERS_WITHIN_S = 5.0
ROOM_LASTS_S = 7 * 86_400  # then Daily deletes it itself, and sends everybody in it away
PAGE = 100  # the most rooms of one answer
MOST_PAGES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyKey:
    """`url`: of the API, with its version."""

    url: str
    api_key: str


class DailyServer:
    """Rooms and meeting tokens of one Daily domain. Every call raises `RoomUnreachable`."""

    def __init__(self, key: DailyKey) -> None:
        self._http = httpx.AsyncClient(
            base_url=key.url.rstrip("/") + "/",
            headers={"authorization": f"Bearer {key.api_key}"},
            timeout=ANSWERS_WITHIN_S,
        )

    async def create(self, name: str) -> str:
        """Create a private room; return its address."""
        properties = {"exp": int(time.time()) + ROOM_LASTS_S, "eject_at_room_exp": True}
        created = await self._call("POST", "rooms", {"name": name, "privacy": "private", "properties": properties})
        return _text(created, "url")

    async def token(self, room: str, *, name: str, owner: bool = False) -> str:
        """Return a meeting token for one room. `name`: of the participant; empty: it chooses one. `owner`: whether it
        may always send.
        """
        properties: dict[str, Any] = {"room_name": room, "exp": int(time.time()) + ROOM_LASTS_S, "is_owner": owner}
        if name:
            properties["user_name"] = name
        return _text(await self._call("POST", "meeting-tokens", {"properties": properties}), "token")

    async def delete(self, name: str) -> None:
        """See `RoomServer.delete`."""
        await self._call("DELETE", f"rooms/{name}", may_lack=True)

    async def rooms(self) -> list[ListedRoom]:
        """See `RoomServer.rooms`. Daily keeps no metadata."""
        found: list[ListedRoom] = []
        query: dict[str, str | int] = {"limit": PAGE}
        for _ in range(MOST_PAGES):
            listed = (await self._call("GET", "rooms", query=query)).get("data")
            page = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
            found += [ListedRoom(name=str(one.get("name", ""))) for one in page]
            if len(page) < PAGE:
                break
            query["starting_after"] = str(page[-1].get("id", ""))
        return found

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        query: dict[str, str | int] | None = None,
        may_lack: bool = False,
    ) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, path, json=body, params=query)
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
            raise RoomUnreachable(f"Daily cannot be reached: {problem}") from None
        if answer.status_code == 404 and may_lack:
            return {}
        if answer.status_code in (401, 403):
            raise RoomUnreachable(
                "Daily does not admit the key of this service",
                suggestion="Have the operator check VISAVIS_DAILY_API_KEY",
            )
        document = json_object(answer)
        if not answer.is_success or document is None:
            raise RoomUnreachable(f"Daily answered {answer.status_code}: {said(answer)}")
        return document


def daily_server(settings: Settings) -> DailyServer | None:
    """Return the operator's Daily domain, None without one."""
    if settings.daily_api_key is None:
        return None
    return DailyServer(DailyKey(url=settings.daily_api_url, api_key=settings.daily_api_key.get_secret_value()))


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise RoomUnreachable(f"Daily answered without {name}")
    return value
