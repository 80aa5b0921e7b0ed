"""A whole server in which every slice takes a whole turn, so that whatever a client sends waits in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.fakes import FakeFleet, fake_prepare
from visavis.connections import turns
from visavis.server import RunningServer
from visavis.settings import Settings

LONG = {"X-Long": "x" * 5000}  # more than one slice


@pytest.fixture
def crowded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    monkeypatch.setattr(turns, "TURN_S", 1e-12)
    with RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare) as server:
        yield server


def test_requests_and_bodies_arrive_whole(crowded: RunningServer) -> None:
    with httpx.Client(base_url=crowded.base_url, headers=LONG | {"x-api-key": crowded.api_key}) as http:
        for _ in range(3):
            assert http.get("/healthz").status_code == 200
            refused = http.post("/v1/sessions", json={"avatar_id": "none", "metadata": {"text": "x" * 200_000}})
            assert refused.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


def test_a_handshake_that_waits_for_its_turn_becomes_a_channel(crowded: RunningServer) -> None:
    address = f"ws{crowded.base_url.removeprefix('http')}/v1/channel"
    with connect(address, additional_headers=LONG) as channel:
        init = {"type": "session.init", "session_id": "s", "session_token": "t" * 4000}
        channel.send(json.dumps(init))
        assert json.loads(channel.recv(timeout=10))["code"] == "SESSION_NOT_FOUND"
