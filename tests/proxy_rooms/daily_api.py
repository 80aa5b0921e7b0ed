"""Daily's REST API of rooms and meeting tokens, as its documentation tells it, on a port of this machine."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt

from visavis.proxy_rooms.daily import DailyKey, DailyServer

KEY = "a key of Daily that has thirty-two bytes or more"
DOMAIN = "https://visavis.daily.co"
FIELDS = {"name", "privacy", "properties"}
NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(slots=True)
class DailyApi:
    """`rooms`: their configurations by name, the oldest first. `mode`: `answers`, `limits` (429), `breaks` (500) or
    `rambles` (no JSON). `tokens`: the properties of those that were made. `calls`: methods and paths.
    """

    url: str
    rooms: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    mode: str = "answers"

    def server(self, key: str = KEY) -> DailyServer:
        return DailyServer(DailyKey(url=self.url, api_key=key))

    def answer(self, method: str, target: str, key: str, body: Any) -> tuple[int, Any]:
        path, query = urlsplit(target).path.removeprefix("/v1/"), parse_qs(urlsplit(target).query)
        self.calls.append(f"{method} {path}")
        if self.mode == "limits":
            return 429, {"error": "rate-limit-error"}
        if self.mode == "breaks":
            return 500, {"error": "server-error"}
        if self.mode == "rambles":
            return 200, ["a list"]
        if key != f"Bearer {KEY}":
            return 401, {"error": "authentication-error", "info": "invalid API key"}
        match method, path.partition("/")[0]:
            case "POST", "rooms":
                return self._create(body)
            case "GET", "rooms":
                return 200, self._list(int(query["limit"][0]), query.get("starting_after", [""])[0])
            case "DELETE", "rooms":
                name = path.removeprefix("rooms/")
                if self.rooms.pop(name, None) is None:
                    return 404, {"error": "not-found"}
                return 200, {"deleted": True, "name": name}
            case "POST", "meeting-tokens":
                self.tokens.append(body["properties"])
                claims = {"r": body["properties"]["room_name"], "o": body["properties"].get("is_owner", False)}
                return 200, {"token": jwt.encode(claims, KEY, algorithm="HS256")}
        return 404, {"error": "not-found"}

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        if set(body) - FIELDS or not NAME.fullmatch(body["name"]) or body["privacy"] not in ("public", "private"):
            return 400, {"error": "invalid-request-error", "info": "bad room"}
        if body["name"] in self.rooms:
            return 400, {"error": "invalid-request-error", "info": f"a room named {body['name']} already exists"}
        self.rooms[body["name"]] = body
        return 200, self._room(body["name"])

    def _room(self, name: str) -> dict[str, Any]:
        room = self.rooms[name]
        return {
            "id": f"id-{name}",
            "name": name,
            "api_created": True,
            "privacy": room["privacy"],
            "url": f"{DOMAIN}/{name}",
            "created_at": "2024-01-15T12:00:00.000Z",
            "config": room["properties"],
        }

    def _list(self, limit: int, after: str) -> dict[str, Any]:
        names = list(reversed(self.rooms))  # the newest first
        begin = 0 if not after else names.index(after.removeprefix("id-")) + 1
        return {"total_count": len(names), "data": [self._room(name) for name in names[begin : begin + limit]]}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A caller that has gone before its answer is no error here."""


@contextmanager
def daily_api() -> Iterator[DailyApi]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, document = api.answer(self.command, self.path, self.headers.get("authorization", ""), body)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, format: str, *args: object) -> None: ...

    with _Server(("127.0.0.1", 0), Handler) as http:
        api = DailyApi(url=f"http://127.0.0.1:{http.server_port}/v1")
        serving = threading.Thread(target=http.serve_forever, args=(0.02,))
        serving.start()
        try:
            yield api
        finally:
            http.shutdown()
            serving.join()
