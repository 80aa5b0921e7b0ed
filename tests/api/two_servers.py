"""Two servers of a fleet, as the tests of the relay ask them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.fakes import FakeFleet
from visavis.server import RunningServer


@dataclass(slots=True)
class Both:
    """Two servers; `http` calls the first. `stages`: of each."""

    url: str
    one: RunningServer
    other: RunningServer
    stages: tuple[FakeFleet, FakeFleet]
    http: httpx.Client
    avatar_id: str


@dataclass(slots=True)
class Two:
    """`one` owns the session; `other` is asked. `stages`: of each."""

    one: RunningServer
    other: RunningServer
    stages: tuple[FakeFleet, FakeFleet]
    session: dict[str, Any]
    http: httpx.Client  # asks the other one

    @property
    def performer(self) -> Any:
        return self.stages[0].performers[self.session["session_id"]]

    def channel(self) -> ClientConnection:
        return connect(f"ws{self.other.base_url.removeprefix('http')}/v1/channel")

    def init(self, **changes: str) -> str:
        names = {"session_id": self.session["session_id"], "session_token": self.session["access_token"]} | changes
        return json.dumps({"type": "session.init", "features": ["playback"], **names})

    @property
    def room(self) -> str:
        return str(urlsplit(self.session["daily_room"]["url"]).path)

    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.session['daily_room']['token']}"}
