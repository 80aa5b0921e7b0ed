"""What monitors, scanners and proxies send: HEAD, immense names, slashes, forwarded addresses, TURN credentials."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from pathlib import Path

import httpx
import pytest

from tests.conftest import Service, open_service
from visavis.server import RunningServer
from visavis.settings import IceServer, Settings, read_settings
from visavis.turn import VALID_S, for_session

pytestmark = pytest.mark.anyio


PATHS = [
    *("/", "/healthz", "/docs", "/openapi.json", "/rooms/vv-1"),
    *("/alpha.js", "/client.js", "/v1/sessions", "/v1/avatars/public"),
]


async def test_head_is_get_without_its_body(service: Service) -> None:
    for path in PATHS:
        got, head = await service.client.get(path), await service.client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"") and got.content, path
        for name in ("content-type", "content-length", "cache-control", "x-ratelimit-limit"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)


async def test_head_of_readyz_tells_what_get_tells(service: Service) -> None:
    assert (await service.client.head("/readyz")).status_code == (await service.client.get("/readyz")).status_code


async def test_head_starts_nothing(service: Service) -> None:
    assert (await service.client.head("/v1/avatars/upload-face")).status_code == 405


FOLDERS = ["/assets/", "/samples/", "/", "/rooms/", "/docs/", "/media/avatars/", "/v1/sessions/"]
ODD_NAMES = ["a" * 300, "a" * 5000, "%00", "..%2f..%2fetc%2fpasswd", "a/" * 200, "%ff%fe"]


async def test_no_name_is_a_fault_of_the_server(service: Service) -> None:
    for folder in FOLDERS:
        for name in ODD_NAMES:
            answer = await service.client.get(folder + name)
            assert answer.status_code in (200, 400, 404), (folder, name[:20], answer.text)
            if answer.status_code == 200:
                assert folder == "/rooms/", f"{folder}{name[:20]}: the room's page alone says itself what it finds"


async def test_a_page_with_a_trailing_slash_leads_to_the_page(service: Service) -> None:
    for path in ("/rooms/vv-1", "/docs", "/docs/rest"):
        slashed = await service.client.get(f"{path}/?t=a%26b")
        assert slashed.status_code == 307 and slashed.headers["cache-control"] == "no-store"
        assert str(slashed.url.join(slashed.headers["location"])) == f"http://visavis.test{path}?t=a%26b"
        followed = await service.client.get(f"{path}/", follow_redirects=True)
        assert followed.status_code == 200 and followed.content == (await service.client.get(path)).content


# --- proxies


async def wrong_keys_left(client: httpx.AsyncClient, forwarded: str) -> int:
    answer = await client.get("/v1/sessions", headers={"x-api-key": "wrong", "x-forwarded-for": forwarded})
    assert answer.status_code in (401, 429)
    return int(answer.headers["x-ratelimit-remaining"])


async def test_forwarded_addresses_are_believed_of_trusted_proxies_alone(tmp_path: Path) -> None:
    for trusted, believed in (((), False), (("10.0.0.0/8",), False), (("127.0.0.0/8",), True)):
        folder = tmp_path / str(len(trusted) + 2 * believed)
        settings = Settings(data_dir=folder, rate_limit_per_minute=50, trusted_proxies=trusted, stages=1)
        with RunningServer(settings) as server:
            async with httpx.AsyncClient(base_url=server.base_url) as client:
                left = [await wrong_keys_left(client, f"203.0.113.{n}") for n in range(3)]
        assert left == ([49, 49, 49] if believed else [49, 48, 47]), trusted


def test_a_proxy_that_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_TRUSTED_PROXIES", '["proxy.example"]')
    with pytest.raises(Exception, match="VISAVIS_TRUSTED_PROXIES"):
        read_settings()


# --- TURN


TURN = [{"url": "turn:turn.example:3478", "secret": "s3cret"}, {"url": "stun:stun.example"}]


async def test_turn_credentials_are_told_to_the_rooms_token_alone(tmp_path: Path) -> None:
    async with open_service(tmp_path, ice_servers=TURN) as service:
        session = (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json()["session"]
        room = session["daily_room"]
        whep = f"/rooms/{room['name']}/whep"
        stranger = httpx.AsyncClient(transport=service.client._transport, base_url="http://visavis.test")
        for path in (whep, "/rooms/nothing/whep", f"/rooms/{room['name']}/picture"):
            answer = await stranger.options(path)
            assert answer.status_code == 204 and "link" not in answer.headers
            assert answer.headers["accept-post"] == "application/sdp"
        assert (await stranger.options(whep, headers={"authorization": "Bearer wrong"})).status_code == 401
        answer = await stranger.options(whep, headers={"authorization": f"Bearer {room['token']}"})
        assert answer.status_code == 204 and answer.headers["cache-control"] == "no-store"
        link = answer.headers["link"]
        username = re.search('username="([^"]+)"', link)
        assert username is not None and username[1].endswith(session["session_id"])
        assert "s3cret" not in link and "<stun:stun.example>" in link
        await stranger.aclose()


def test_credentials_of_a_shared_secret_are_those_of_the_turn_rest_scheme() -> None:
    server = IceServer(url="turn:t", secret="north")  # type: ignore[arg-type]  # as the settings read it
    made = for_session(server, "sess_1", now_s=1_000)
    assert made.username == f"{1_000 + VALID_S}:sess_1" and made.secret is None and made.credential is not None
    expected = hmac.new(b"north", made.username.encode(), hashlib.sha1).digest()
    assert made.credential.get_secret_value() == base64.b64encode(expected).decode()
    plain = IceServer(url="turn:t", username="u")
    assert for_session(plain, "sess_1", now_s=1_000) is plain
