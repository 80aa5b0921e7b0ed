"""What anyone may see: health, the description of the API, the pages, samples and pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urljoin

import anyio
import pytest

import visavis.library
from tests.conftest import Service, open_service
from tests.fakes import FakeFleet
from visavis.api import pages
from visavis.api.reference import INDEX, PAGES, address_of, reference_page
from visavis.errors import NoCapacity
from visavis.library import DEFAULT_PORTRAIT

pytestmark = pytest.mark.anyio


async def test_healthz_is_there_before_readyz_says_ready(service: Service) -> None:
    assert (await service.client.get("/healthz")).json()["status"] == "ok"
    service.services.readiness.default_avatar = service.services.readiness.stage = False
    starting = await service.client.get("/readyz")
    assert (starting.status_code, starting.json()) == (
        503,
        {
            "status": "starting",
            "default_avatar": False,
            "stage": False,
            "database": True,
            "disk": True,
            "problems": ["No stage process is running yet", "The default avatar has not been performed yet"],
        },
    )
    service.services.readiness.default_avatar = service.services.readiness.stage = True
    assert (await service.client.get("/readyz")).status_code == 200


async def test_a_first_rehearsal_that_fails_is_tried_again(tmp_path: Path) -> None:
    fleet = FakeFleet()
    fleet.failure = NoCapacity("The stage was lost while the session was set up")
    async with open_service(tmp_path, fleet=fleet, portraits=[DEFAULT_PORTRAIT], sweep_interval_s=0.01) as service:
        with anyio.fail_after(10):
            while fleet.allocations < 2:  # noqa: ASYNC110 (as an operator watches)
                await anyio.sleep(0.01)
            starting = await service.client.get("/readyz")
            assert (starting.status_code, starting.json()["default_avatar"]) == (503, False)
            fleet.failure = None
            while (await service.client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                await anyio.sleep(0.01)


async def test_an_index_for_language_models_leads_to_the_pages_as_they_were_written(service: Service) -> None:
    index = await service.client.get("/llms.txt")
    assert index.headers["content-type"].startswith("text/markdown")
    links = re.findall(r"\]\((http://visavis.test/[^)]+)\): (.+)", index.text)
    assert len(links) == len(PAGES) + 2
    for link, told in links:
        shown = await service.client.get(link)
        assert shown.status_code == 200 and told.strip(), link
        if link.endswith(".md"):
            assert shown.text.startswith("# ") and shown.headers["content-type"].startswith("text/markdown")
    for odd in ("rest.txt", "rest.md.md", "README"):
        assert (await service.client.get(f"/docs/{odd}")).status_code == 404


async def test_openapi_describes_what_is_there(service: Service) -> None:
    schema = (await service.client.get("/openapi.json")).json()
    assert schema["openapi"].startswith("3.1")
    create = schema["paths"]["/v1/sessions"]["post"]
    shapes = schema["components"]["schemas"]
    assert shapes["CreateHostedSession"]["required"] == ["avatar_id"]
    assert shapes["CreateOwnSession"]["required"] == ["avatar"]
    assert "201" in create["responses"]
    assert create["security"] == [{"ApiKey": []}]
    for path, operations in schema["paths"].items():
        assert not path.startswith("/assets")
        for operation in operations.values():
            assert "422" not in operation["responses"]
    for name in re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema)):
        _, _, kind, component = name.split("/")
        assert component in schema["components"][kind], name
    fields = schema["components"]["schemas"]["HostedSession"]["properties"]
    assert list(fields)[:4] == ["session_id", "avatar", "session_type", "status"]


async def test_the_operations_are_shown_with_their_examples_and_refusals(service: Service) -> None:
    page = (await service.client.get("/docs/operations")).text
    schema = (await service.client.get("/openapi.json")).json()
    for path, operations in schema["paths"].items():
        assert page.count(f"<code>{path}</code>") == len(operations)
    assert "ws_uri" in page and "access_token" in page and "<code>NO_CAPACITY</code>" in page


async def test_the_reference_is_served(service: Service) -> None:
    for name in PAGES:
        answer = await service.client.get(address_of(name))
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html"), name
        assert f"<title>{reference_page(name).title} · Visavis</title>" in answer.text, name
        assert "<table>" in answer.text and "|---" not in answer.text and "```" not in answer.text, name


async def test_the_documents_lead_only_to_what_is_there_and_need_nothing_from_elsewhere(service: Service) -> None:
    found = [f"/docs/{name}" for name in PAGES if name != INDEX] + ["/docs", "/docs/operations"]
    pages = {address: (await service.client.get(address)).text for address in found}
    for address, page in pages.items():
        assert "<script" not in page and not re.findall(r'(?:src|href)="(?:https?:)?/', page)
        for link in re.findall(r'href="([^"]+)"', page):
            target, _, anchor = urljoin(address, link).partition("#")
            if anchor:
                assert f'id="{anchor}"' in pages[target], (address, link)
            elif target not in pages:
                assert (await service.client.get(target)).status_code == 200, (address, link)
    for unknown in ("/docs/nothing", "/docs/README", "/docs/..%2fREADME", "/docs/rest.txt"):
        assert (await service.client.get(unknown)).status_code == 404


async def test_pages_and_assets_are_served_and_nothing_else(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = tmp_path / "web"
    (web / "assets").mkdir(parents=True)
    (web / "index.html").write_text("<h1>playground</h1>")
    (web / "rooms").mkdir()
    (web / "rooms" / "room.html").write_text("<h1>room</h1>")
    (web / "assets" / "a-1234.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(pages, "WEB", web)
    index = await service.client.get("/")
    assert (index.status_code, index.text) == (200, "<h1>playground</h1>")
    assert index.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in index.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in index.headers["content-security-policy"]
    room = await service.client.get("/rooms/vv-any")
    assert room.text == "<h1>room</h1>"
    assert "frame-ancestors" not in room.headers["content-security-policy"]
    asset = await service.client.get("/assets/a-1234.js")
    assert asset.headers["content-type"].startswith("text/javascript")
    assert "immutable" in asset.headers["cache-control"]
    for path in (
        "/assets/..%2f..%2fsecret.txt",
        "/assets/../../secret.txt",
        "/..%2fsecret.txt",
        "/assets/",
        "/assets/%00",
        "/index.html",
        "/%00.js",
    ):
        assert (await service.client.get(path)).status_code == 404, path


async def test_samples_are_the_librarys(service: Service) -> None:
    answer = await service.client.get("/samples/greeting.wav")
    assert answer.headers["content-type"] in ("audio/x-wav", "audio/wav")
    assert answer.content == visavis.library.GREETING.read_bytes()
    assert (await service.client.get("/samples/none.wav")).status_code == 404


async def test_pictures_of_looks_and_characters(service: Service) -> None:
    character = (await service.client.get("/v1/avatars")).json()["avatars"][0]
    # the client sends the key that owns them
    for avatar_id in (service.look_id, character["avatar_id"]):
        answer = await service.client.get(f"/media/avatars/{avatar_id}/image.jpg")
        assert (answer.status_code, answer.content) == (200, b"a face")
        assert answer.headers["content-type"] == "image/jpeg"
    assert (await service.client.get(character["preview_img_url"])).content == b"a face"
    for path in (
        f"{service.look_id}/pack",
        f"{service.look_id}/..%2fpack%2fpack.npz",
        "odd/image.jpg",
        "%00/image.jpg",
    ):
        assert (await service.client.get(f"/media/avatars/{path}")).status_code in (400, 404), path
