"""A server below a path of a real nginx with TLS, in a real Chromium: the playground, the room page, WHEP."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.e2e.browser import CHROMIUM, chromium, opened_page
from tests.e2e.nginx import NGINX, nginx
from tests.engine.portrait import photos
from tests.used_folder import used_before
from visavis.demo.server_process import ServerProcess, free_port

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(NGINX is None, reason="there is no nginx on this machine"),
]
TIMEOUT_MS = 30_000
# Changes of the documented configuration.
KINDS: dict[str, dict[str, str]] = {
    "stripped": {},
    "passed on": {"proxy_pass http://visavis/;": "proxy_pass http://visavis;"},
    "a slash missing": {"location /avatar/ {": "location /avatar {"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    url: str  # without a slash at the end
    key: str
    code: str  # the fragment of an address that signs in once
    certificate: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, int]]:
    """A server that is reached through a port of nginx."""
    folder = tmp_path_factory.mktemp("proxied")
    port = free_port()
    settings = {
        "VISAVIS_PUBLIC_URL": f"https://127.0.0.1:{port}/avatar",
        "VISAVIS_TRUSTED_PROXIES": '["127.0.0.1"]',
        "VISAVIS_RATE_LIMIT_PER_MINUTE": "100000",
    }
    with ServerProcess(data_dir=used_before(folder / "data"), log=folder / "log", settings=settings) as process:
        process.wait_ready()
        yield process, port
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture(params=KINDS, scope="module")
def site(
    request: pytest.FixtureRequest, server: tuple[ServerProcess, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    process, port = server
    folder = tmp_path_factory.mktemp("nginx") / "run"
    with ExitStack() as stack:
        certificate = stack.enter_context(
            nginx(folder, port=port, upstream_port=process.port, changes=KINDS[request.param])
        )
        key = process.create_key(str(request.param))
        code = process.sign_in_address(str(request.param)).partition("#")[2]
        yield Site(url=f"https://127.0.0.1:{port}/avatar", key=key, code=code, certificate=certificate)


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture
async def http(site: Site, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    trusted = ssl.create_default_context(cafile=str(site.certificate))
    async with httpx.AsyncClient(
        base_url=site.url, headers={"x-api-key": site.key}, verify=trusted, timeout=60
    ) as client:
        yield client


async def test_the_playground_plays_below_the_path_of_the_proxy(site: Site, browser: Browser) -> None:
    failed: list[str] = []
    async with opened_page(browser, f"{site.url}#{site.code}", trusting=True) as page:
        page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
        player = page.locator(".player")
        await expect(player).to_have_attribute("data-phase", "live", timeout=TIMEOUT_MS)
        await expect(player).to_have_attribute("data-shown", "true", timeout=TIMEOUT_MS)
        # the greeting: a sample from the server, sent over the channel
        await expect(page.locator(".chip [role=status]")).to_have_text("Speaking", timeout=TIMEOUT_MS)
        assert (await page.evaluate("location.pathname")).rstrip("/") == "/avatar"
        addresses = await page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
        assert len(addresses) > 5 and all(one.startswith(f"{site.url}/") for one in addresses), addresses
        async with page.context.expect_page() as opened:
            await page.get_by_role("link", name="API").click()
        documents = await opened.value
        await expect(documents.get_by_role("heading", level=1)).to_be_visible()
        await documents.get_by_role("link", name="Operations").click()
        await documents.get_by_role("link", name="Rooms").first.click()
        assert documents.url == f"{site.url}/docs/rooms"
    assert failed == []


# Joins a room by WHEP and leaves it. Returns the statuses of POST, GET, DELETE and GET, and the address for leaving.
JOIN_AND_LEAVE = """
async ([whep, token]) => {
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  for (const kind of ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
  await peer.setLocalDescription();
  const headers = { authorization: `Bearer ${token}` };
  const offer = { "content-type": "application/sdp", ...headers };
  const joined = await fetch(whep, { method: "POST", headers: offer, body: peer.localDescription.sdp });
  const resource = new URL(joined.headers.get("location"), joined.url).href;
  const statuses = [joined.status];
  for (const method of ["GET", "DELETE", "GET"]) statuses.push((await fetch(resource, { method, headers })).status);
  peer.close();
  return [statuses, resource];
}
"""


async def test_rooms_and_pictures_below_the_path_of_the_proxy(
    site: Site, browser: Browser, http: httpx.AsyncClient
) -> None:
    photo = ("face.jpg", photos.encoded(photos.portrait()), "image/jpeg")
    upload = await http.post("/v1/avatars/upload-face", files={"file": photo})
    assert upload.status_code == 201, upload.text
    created = await http.post("/v1/sessions", json={"avatar_id": upload.json()["avatar_id"]})
    session = created.json()["session"]
    room = session["daily_room"]
    assert room["url"].startswith(f"{site.url}/rooms/")
    assert (await http.put(f"/v1/sessions/{session['session_id']}/start")).status_code == 200

    async with opened_page(browser, f"{room['url']}/?t={room['token']}", expected="404", trusting=True) as page:
        await expect(page.locator("#room")).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
        assert await page.evaluate("location.pathname") == f"/avatar/rooms/{room['name']}"
        statuses, resource = await page.evaluate(JOIN_AND_LEAVE, [f"{room['url']}/whep", room["token"]])
        assert statuses == [201, 204, 200, 404] and resource.startswith(f"{room['url']}/whep/view_")
        # a private picture in an <img>
        show = "async (url) => { const img = new Image(); img.src = url; await img.decode(); return img.naturalWidth; }"
        assert await page.evaluate(show, upload.json()["preview_url"]) == 500
    await http.put(f"/v1/sessions/{session['session_id']}/end")


async def test_the_bare_path_is_the_playground_and_openapi_names_it(site: Site, http: httpx.AsyncClient) -> None:
    bare = await http.get(site.url, follow_redirects=True)
    assert bare.status_code == 200 and bare.content == (await http.get("/")).content
    assert (await http.get("/openapi.json")).json()["servers"] == [{"url": site.url}]
