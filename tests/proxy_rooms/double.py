"""A LiveKit server's API of rooms in memory: what the service calls, and nothing of media."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt

from visavis.proxy_rooms.livekit import LiveKitKey, LiveKitServer

KEY = LiveKitKey(url="wss://livekit.example.com", api_key="devkey", api_secret="a secret of thirty-two bytes or more")


@dataclass(slots=True)
class LiveKitDouble:
    """`rooms`: metadata by name. `mode`: `answers`, `away` (no connection) or `refuses` (the key)."""

    rooms: dict[str, str] = field(default_factory=dict)
    mode: str = "answers"
    calls: list[str] = field(default_factory=list)

    def server(self) -> LiveKitServer:
        return LiveKitServer(KEY, httpx.MockTransport(self._answer))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        method, body = request.url.path.rpartition("/")[2], json.loads(request.content)
        self.calls.append(method)
        if self.mode == "away":
            raise httpx.ConnectError("All connection attempts failed")
        grants = self._grants(request)
        if self.mode == "refuses" or grants is None:
            return httpx.Response(401, text="invalid API key")
        match method:
            case "CreateRoom" if grants.get("roomCreate"):
                self.rooms.setdefault(body["name"], body["metadata"])
                return httpx.Response(200, json={"name": body["name"]})
            case "DeleteRoom" if grants.get("roomCreate"):
                if self.rooms.pop(body["room"], None) is None:
                    return httpx.Response(404, json={"code": "not_found", "msg": "requested room does not exist"})
                return httpx.Response(200, json={})
            case "ListRooms" if grants.get("roomList"):
                listed = [{"name": name, "metadata": metadata} for name, metadata in self.rooms.items()]
                return httpx.Response(200, json={"rooms": listed})
        return httpx.Response(403, text="permissions denied")

    def _grants(self, request: httpx.Request) -> dict[str, Any] | None:
        token = request.headers["authorization"].removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, KEY.api_secret, algorithms=["HS256"], issuer=KEY.api_key)
        except jwt.InvalidTokenError:
            return None
        grants: dict[str, Any] = claims["video"]
        return grants
