"""A LiveKit server's API of rooms in memory: what the service calls, and nothing of media."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx
import jwt

from visavis.proxy_rooms.livekit import LiveKitKey, LiveKitServer

KEY = LiveKitKey(url="wss://livekit.example.com", api_key="devkey", api_secret="a secret of thirty-two bytes or more")


@dataclass(slots=True)
class LiveKitDouble:
    """`rooms`: metadata by name. `mode`: `answers`, `away` (no connection) or `refuses` (the key). `ahead_s`: how far
    its clock is ahead.
    """

    rooms: dict[str, str] = field(default_factory=dict)
    mode: str = "answers"
    calls: list[str] = field(default_factory=list)
    ahead_s: float = 0.0

    def server(self) -> LiveKitServer:
        return LiveKitServer(KEY, httpx.MockTransport(self._answer))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        method, body = request.url.path.rpartition("/")[2], json.loads(request.content)
        self.calls.append(method)
        if self.mode == "away":
            raise httpx.ConnectError("All connection attempts failed")
        grants = self._grants(request)
        if self.mode == "refuses" or grants is None:
            return httpx.Response(401, text="invalid API key", headers={"date": formatdate(self._now_s, usegmt=True)})
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

    @property
    def _now_s(self) -> float:
        return time.time() + self.ahead_s

    def _grants(self, request: httpx.Request) -> dict[str, Any] | None:
        token = request.headers["authorization"].removeprefix("Bearer ")
        try:
            claims = jwt.decode(
                token,
                KEY.api_secret,
                algorithms=["HS256"],
                issuer=KEY.api_key,
                options={"verify_exp": False, "verify_nbf": False},  # by the clock of this machine
            )
        except jwt.InvalidTokenError:
            return None
        if not claims["nbf"] <= self._now_s < claims["exp"]:
            return None
        grants: dict[str, Any] = claims["video"]
        return grants
