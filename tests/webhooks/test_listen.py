"""`visavis webhooks listen` against a real server, and what it refuses."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes import FakeFleet, fake_prepare
from tests.webhooks.receiver import receiving
from visavis.errors import ListeningFailed
from visavis.server import RunningServer
from visavis.settings import Settings
from visavis.webhooks.commands import listen as command
from visavis.webhooks.verification import SignatureInvalid, verify_webhook

WITHIN_S = 30.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    settings = Settings(data_dir=tmp_path, rate_limit_per_minute=100_000, log_level="error")
    with RunningServer(settings, fleet=FakeFleet(), prepare=fake_prepare) as running:
        yield running


def test_signed_events_come_to_a_port_that_the_server_cannot_reach(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "ASKS_EVERY_S", 0.05)
    # `capsys` may lose what another thread prints while it is read
    said = queue.Queue[str]()
    monkeypatch.setattr(command, "print", lambda line, flush: said.put(line), raising=False)
    client = httpx.Client(base_url=server.base_url, headers={"x-api-key": server.api_key}, timeout=WITHIN_S)
    with receiving() as program, client:
        listening = threading.Thread(
            target=command.listen,
            kwargs={
                "base": server.base_url,
                "key": server.api_key,
                "forward_to": program.url,
                "events": ["avatar.ready"],
                "goes_on": lambda: not program.received,
            },
        )
        # whatever happens before somebody listens is told to nobody
        client.post("/v1/avatars/upload-face", json={"image_base64": "YSBmYWNl", "name": "Early"})
        listening.start()
        secret = said.get(timeout=WITHIN_S).rpartition(" ")[2]
        assert said.get(timeout=WITHIN_S) == f"Forwarding events to {program.url}"
        client.post("/v1/avatars/upload-face", json={"image_base64": "YSBmYWNl", "name": "Ann"})
        listening.join(WITHIN_S)
        assert not listening.is_alive()
    (one,) = program.received
    event = verify_webhook(one.body, one.headers, secret)
    assert (event.type, event.data["name"]) == ("avatar.ready", "Ann (Look)")
    with pytest.raises(SignatureInvalid):
        verify_webhook(one.body.replace(b"Ann", b"Eve"), one.headers, secret)
    assert said.get_nowait().startswith("avatar.ready") and said.empty()


def test_a_server_that_refuses_or_cannot_be_reached_is_named(server: RunningServer) -> None:
    told = {"forward_to": "http://127.0.0.1:9/", "events": []}
    with pytest.raises(ListeningFailed, match="Invalid API key"):
        command.listen(base=server.base_url, key="ah_live_wrong", **told)  # type: ignore[arg-type]
    with pytest.raises(ListeningFailed, match="cannot be reached"):
        command.listen(base="http://127.0.0.1:9", key=server.api_key, **told)  # type: ignore[arg-type]
