"""A server below a path of a proxy: `VISAVIS_PUBLIC_URL=https://…/avatar`. Proxies pass the path on or strip it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from starlette.routing import Route
from websockets.asyncio.client import connect

from tests.attacks.test_rooms import HEAD, VIDEO
from tests.conftest import Service, open_service
from tests.fakes import FakeFleet, fake_prepare
from visavis.api import pages
from visavis.api.app import create_app
from visavis.api.routers import ROUTERS
from visavis.server import RunningServer
from visavis.settings import OWN_PATHS, Settings

pytestmark = pytest.mark.anyio

PUBLIC_URL = "https://visavis.test/avatar"
PREFIXES = ["/avatar", ""]
KINDS = pytest.mark.parametrize("prefix", PREFIXES, ids=["passed on", "stripped"])


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with open_service(tmp_path, public_url=PUBLIC_URL) as opened:
        yield opened


@KINDS
async def test_a_session_lives_below_the_prefix(service: Service, prefix: str) -> None:
    def inside(address: str) -> str:
        """Return the path at which a request for this public address reaches the server."""
        path = urlsplit(address).path
        assert path.startswith("/avatar/"), address
        return prefix + path.removeprefix("/avatar")

    client = service.client
    created = (await client.post(f"{prefix}/v1/sessions", json={"avatar_id": service.look_id})).json()["session"]
    picture, room = created["avatar"]["url"], created["daily_room"]
    assert picture.startswith(f"{PUBLIC_URL}/media/avatars/{service.look_id}/image.jpg?")
    assert room["url"] == f"{PUBLIC_URL}/rooms/{room['name']}"
    assert (await client.get(f"{inside(picture)}?{urlsplit(picture).query}")).content == b"a face"
    started = (await client.put(f"{prefix}/v1/sessions/{created['session_id']}/start")).json()
    assert started["ws_uri"] == f"wss://visavis.test/avatar/v1/channel/{created['session_id']}"
    assert (await client.get(inside(room["url"]))).headers["content-type"].startswith("text/html")

    bearer = {"authorization": f"Bearer {room['token']}"}
    sdp = bearer | {"content-type": "application/sdp"}
    joined = await client.post(f"{inside(room['url'])}/whep", content=HEAD + VIDEO, headers=sdp)
    assert joined.status_code == 201
    resource = urljoin(f"{room['url']}/whep", joined.headers["location"])
    assert resource.startswith(f"{room['url']}/whep/view_")
    assert (await client.delete(inside(resource), headers=bearer)).status_code == 200
    assert (await client.get(inside(resource), headers=bearer)).status_code == 404


@KINDS
async def test_the_channel_takes_the_rooms_own_address_alone(tmp_path: Path, prefix: str) -> None:
    settings = Settings(data_dir=tmp_path, public_url=PUBLIC_URL)
    with RunningServer(settings, fleet=FakeFleet(), prepare=fake_prepare) as server:
        async with httpx.AsyncClient(base_url=server.base_url, headers={"x-api-key": server.api_key}) as client:
            upload = await client.post("/v1/avatars/upload-face", json={"image_base64": "YQ=="})
            body = {"avatar_id": upload.json()["avatar_id"]}
            session = (await client.post("/v1/sessions", json=body)).json()["session"]
            await client.put(f"/v1/sessions/{session['session_id']}/start")
        room = session["daily_room"]

        def init(url: str) -> str:
            config = {"session_id": session["session_id"], "access_token": session["access_token"]}
            shown = {"platform": "daily", "url": url, "token": room["token"]}
            return json.dumps({"type": "session.init", "config": config | {"room": shown}})

        address = f"ws{server.base_url.removeprefix('http')}{prefix}/v1/channel/{session['session_id']}"
        async with connect(address) as channel:
            for url in (room["url"].replace("/avatar", ""), room["url"].replace("/avatar", "/other")):
                await channel.send(init(url))
                assert json.loads(await channel.recv())["code"] == "INVALID_ROOM_URL"
            await channel.send(init(room["url"]))
            assert json.loads(await channel.recv())["type"] == "connection.established"


def links(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="([^"#]+)', page)


SHOWN = ["/", "/rooms/vv-1", "/docs", "/docs/rest", "/docs/operations"]


async def test_pages_lead_only_to_what_is_below_the_prefix(service: Service) -> None:
    for prefix in PREFIXES:
        for page in SHOWN:
            shown = await service.client.get(f"{prefix}{page}")
            assert shown.status_code == 200, (prefix, page)
            found = links(shown.text)
            assert found, (prefix, page)
            for link in found:
                target = urlsplit(urljoin(f"{PUBLIC_URL}{page}", link)).path
                assert target.startswith("/avatar/"), (prefix, page, link)
                answer = await service.client.get(prefix + target.removeprefix("/avatar"))
                assert answer.status_code == 200, (prefix, page, link)


def test_built_files_hold_no_addresses_from_the_root() -> None:
    """Style sheets and scripts load the others by relative addresses."""
    for path in (pages.WEB / "assets").iterdir():
        assert not re.search(r"""["'(]/(assets|v1|samples|docs|rooms)\b""", path.read_text()) or path.suffix == ".js"
        assert not re.search(r"""["'(`]/assets/""", path.read_text()), path.name


async def test_the_prefix_without_a_slash_leads_to_the_playground(service: Service) -> None:
    answer = await service.client.get("/avatar")
    assert (answer.status_code, answer.headers["location"]) == (307, "/avatar/")
    assert answer.headers["request-id"].startswith("req_") and answer.headers["cache-control"] == "no-store"
    assert (await service.client.get("/avatar/")).content == (await service.client.get("/")).content
    slashed = await service.client.get("/avatar/rooms/vv-1/?t=x")
    location = urljoin("https://visavis.test/avatar/rooms/vv-1/", slashed.headers["location"])
    assert (slashed.status_code, location) == (307, f"{PUBLIC_URL}/rooms/vv-1?t=x")


async def test_a_slash_that_is_missing_in_the_configuration_of_nginx_does_no_harm(service: Service) -> None:
    """With `location /avatar` and `proxy_pass http://…/;`, `/avatar/x` arrives as `//x`, and `/avatar` as `/`."""
    for path in ("//healthz", "//docs", "//rooms/vv-1"):
        plain = await service.client.get(path[1:])
        assert plain.status_code == 200
        assert (await service.client.get(f"http://visavis.test{path}")).content == plain.content
    assert (await service.client.get("http://visavis.test//v1/sessions", headers={"x-api-key": ""})).status_code == 401
    playground = (await service.client.get("/")).text
    assert all(link.startswith("/avatar/") for link in links(playground)) and "./" not in links(playground)


async def test_only_the_whole_prefix_is_taken_off(service: Service) -> None:
    for path in ("/avatars/healthz", "/avatar.healthz", "/other/healthz", "/avatar/avatar/healthz", "/avatar//healthz"):
        assert (await service.client.get(path)).status_code == 404, path
    assert (await service.client.get("/avatar/healthz")).status_code == 200


async def test_what_guards_an_address_guards_it_below_the_prefix(service: Service) -> None:
    no_key = await service.client.get("/avatar/v1/sessions", headers={"x-api-key": ""})
    assert (no_key.status_code, no_key.json()) == (401, {"error": "API key required"})
    assert "x-ratelimit-limit" in (await service.client.get("/avatar/v1/sessions")).headers
    packs = await service.client.get("/avatar/internal/packs/avat_1/1/" + "0" * 64)
    assert packs.status_code == 401
    large: dict[str, Any] = {"image_base64": "eA==", "more": "x" * 2_000_000}
    assert (await service.client.post("/avatar/v1/avatars/upload-face", json=large)).status_code == 201
    once = {"idempotency-key": "0"}
    assert (await service.client.post("/avatar/v1/sessions/x/end", json=large, headers=once)).status_code == 413
    once = {"idempotency-key": "1"}
    body = {"avatar_id": service.look_id}
    first = await service.client.post("/avatar/v1/sessions", json=body, headers=once)
    assert (await service.client.post("/v1/sessions", json=body, headers=once)).json() == first.json()


async def test_openapi_names_the_server(service: Service, tmp_path: Path) -> None:
    for path in ("/openapi.json", "/avatar/openapi.json"):
        assert (await service.client.get(path)).json()["servers"] == [{"url": PUBLIC_URL}]
    assert "servers" not in create_app(Settings(data_dir=tmp_path)).openapi()


def test_the_servers_own_paths_are_no_prefix() -> None:
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, Route)]
    first_parts = {route.path.split("/")[1] for route in routes}
    assert (first_parts | {"openapi.json"}) - {"", "{name}"} == OWN_PATHS
    for part in OWN_PATHS:
        for path in (f"/{part}", f"/{part}/more"):
            with pytest.raises(ValueError, match="addresses of its own"):
                Settings(public_url=f"https://example.org{path}")


@pytest.mark.parametrize(
    ("public_url", "prefix"),
    [
        ("https://example.org", ""),
        ("https://example.org/", ""),
        ("http://127.0.0.1:8000/avatar", "/avatar"),
        ("https://[::1]:8443/a-b/c.d_e~1/", "/a-b/c.d_e~1"),
        ("", ""),
    ],
)
def test_the_prefix_is_the_path_of_the_public_url(public_url: str, prefix: str) -> None:
    assert Settings(public_url=public_url).path_prefix == prefix


@pytest.mark.parametrize(
    "public_url",
    [
        "example.org/avatar",
        "ftp://example.org",
        "https://",
        "https:///avatar",
        "https://user@example.org",
        "https://example.org?a=b",
        "https://example.org/avatar#a",
        "https://example.org/a b",
        "https://example.org/a%20b",
        "https://example.org//avatar",
        "https://example.org/../avatar",
        "https://example.org/a/./b",
    ],
)
def test_a_public_url_that_is_none_is_refused(public_url: str) -> None:
    with pytest.raises(ValueError, match="public_url"):
        Settings(public_url=public_url)
