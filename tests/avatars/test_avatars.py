"""Avatars over the API: lists, uploads in every form, deletion; preparation itself is the fake one that takes any bytes
for a face.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import structlog.testing

from tests.accounts.test_accounts import other_account
from tests.api.test_session_lifecycle import TIME, ordered
from tests.conftest import Service, open_service
from tests.fakes import FakeFleet, fake_prepare
from visavis.api.app import create_app
from visavis.avatars.library import install_library
from visavis.avatars.preparation import Preparation
from visavis.engine.portrait.points import SevenPoints
from visavis.errors import NoCapacity
from visavis.library import DEFAULT_PORTRAIT, PORTRAITS, prepared
from visavis.library.prepared import PreparedLook
from visavis.settings import Settings

pytestmark = pytest.mark.anyio

CHARACTERS = list(dict.fromkeys(portrait.name for portrait in PORTRAITS))
LIST_KEYS = [
    "avatar_id", "name", "preview_img_url", "parent_id", "looks_count", "video_url", "is_favorite", "is_public",
    "active", "created_at", "updated_at",
]  # fmt: skip


async def listed(service: Service, query: str = "", **headers: str) -> list[dict[str, Any]]:
    answer = await service.client.get(f"/v1/avatars{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["success", "avatars"]
    avatars: list[dict[str, Any]] = answer.json()["avatars"]
    return avatars


async def own(service: Service, query: str = "") -> list[dict[str, Any]]:
    return [avatar for avatar in await listed(service, query) if not avatar["is_public"]]


@pytest.fixture
async def stocked(tmp_path: Path) -> AsyncIterator[Service]:
    """The service with its library."""
    async with open_service(tmp_path, portraits=PORTRAITS) as opened:
        yield opened


async def test_an_upload_is_a_character_with_one_look(service: Service) -> None:
    answer = await service.client.post(
        "/v1/avatars/upload-face", files={"file": ("me.jpg", b"photo", "image/jpeg")}, data={"name": "Ann"}
    )
    assert answer.status_code == 201
    look_id = answer.json()["avatar_id"]
    preview_url, image_url = answer.json()["preview_url"], answer.json()["image_url"]
    for address, name in ((preview_url, "preview.jpg"), (image_url, "image.jpg")):
        assert address.partition("?")[0] == f"http://visavis.test/media/avatars/{look_id}/{name}"
    expected = {"success": True, "preview_url": preview_url, "image_url": image_url, "avatar_id": look_id}
    assert ordered(answer.json()) == ordered(expected)
    assert (await service.client.get(answer.json()["image_url"])).content == b"photo"

    character = (await own(service))[0]
    expected_character = {
        "avatar_id": character["avatar_id"], "name": "Ann", "preview_img_url": preview_url,
        "parent_id": None, "looks_count": 1,
        "video_url": None, "is_favorite": 0, "is_public": 0, "active": 1, "created_at": character["created_at"],
        "updated_at": character["updated_at"],
    }  # fmt: skip
    assert ordered(character) == ordered(expected_character)
    assert TIME.fullmatch(character["created_at"])
    (look,) = await listed(service, f"?parent_id={character['avatar_id']}")
    assert (look["avatar_id"], look["name"], look["parent_id"], look["looks_count"]) == (
        look_id,
        "Ann (Look)",
        character["avatar_id"],
        0,
    )
    newest = [avatar["avatar_id"] for avatar in await own(service, "?characters_only=false")][:2]
    assert sorted(newest) == sorted([look_id, character["avatar_id"]])
    assert list(look) == LIST_KEYS
    assert (await service.client.post("/v1/sessions", json={"avatar_id": look_id})).status_code == 201


async def test_base64_in_json_and_in_a_form(service: Service) -> None:
    text = base64.b64encode(b"photo").decode()
    for request in (
        {"json": {"image_base64": text}},
        {"json": {"image_base64": f"data:image/jpeg;base64,{text}"}},
        {"data": {"image_base64": text}},
        {"files": {"image_base64": (None, text)}},
        {"json": {"image_base64": text.rstrip("=")}},
    ):
        answer = await service.client.post("/v1/avatars/upload-face", **request)
        assert answer.status_code == 201, (request, answer.text)
        assert (await service.client.get(answer.json()["image_url"])).content == b"photo"


@pytest.mark.parametrize(
    ("request_body", "status", "code"),
    [
        ({"json": {}}, 400, "IMAGE_REQUIRED"),
        ({"json": {"image_base64": "eA==", "image_url": "http://example.org/"}}, 400, "IMAGE_REQUIRED"),
        ({"json": {"image_base64": 5}}, 400, "INVALID_REQUEST"),
        ({"json": {"image_base64": "***"}}, 400, "IMAGE_UNREADABLE"),
        ({"json": {"image_base64": "é"}}, 400, "IMAGE_UNREADABLE"),
        ({"json": {"image_url": "http://localhost/"}}, 400, "IMAGE_URL_REFUSED"),
        ({"json": {"image_url": 5}}, 400, "INVALID_REQUEST"),
        ({"json": {"file": "x"}}, 400, "INVALID_REQUEST"),
        ({"data": {"file": "x"}}, 400, "INVALID_REQUEST"),
        ({"json": {"image_base64": "eA==", "name": ""}}, 400, "INVALID_REQUEST"),
        ({"json": {"image_base64": "eA==", "name": "a\u0000"}}, 400, "INVALID_REQUEST"),
        ({"json": {"image_base64": "eA==", "name": 5}}, 400, "INVALID_REQUEST"),
        ({"files": [("file", ("x", b"x")), ("file", ("y", b"y"))]}, 400, "INVALID_REQUEST"),
        ({"files": [("file", ("x", b"x"))] * 3}, 400, "INVALID_REQUEST"),
        ({"data": {"image_base64": ["eA==", "eQ=="]}}, 400, "INVALID_REQUEST"),
        ({"files": {"file": ("x", b"x" * 10_000_001)}}, 413, "IMAGE_TOO_LARGE"),
        ({"json": {"image_base64": "A" * 13_400_000}}, 413, "IMAGE_TOO_LARGE"),
        ({"content": b"--x", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400, "IMAGE_REQUIRED"),
        ({"content": b"junk", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400, "INVALID_REQUEST"),
        ({"content": b"junk", "headers": {"content-type": "multipart/form-data"}}, 400, "INVALID_REQUEST"),
        ({"content": b"photo", "headers": {"content-type": "image/jpeg"}}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_bad_upload_is_refused_and_leaves_nothing(
    service: Service, request_body: dict[str, Any], status: int, code: str
) -> None:
    answer = await service.client.post("/v1/avatars/upload-face", **request_body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert len(await own(service)) == 1


async def test_public_avatars_and_the_flat_view(stocked: Service) -> None:
    service = stocked
    _, other = await service.services.accounts.create(name="other")
    public = (await service.client.get("/v1/avatars/public", headers={"x-api-key": other})).json()["avatars"]
    # in the library's order: the one to be seen first is the newest
    assert [avatar["name"] for avatar in public] == CHARACTERS
    looks = Counter(portrait.name for portrait in PORTRAITS)
    for avatar in public:
        assert list(avatar) == LIST_KEYS
        assert (avatar["is_public"], avatar["looks_count"]) == (1, looks[avatar["name"]])
        shown_looks = (await service.client.get(f"/v1/avatars?parent_id={avatar['avatar_id']}")).json()["avatars"]
        assert [look["name"] for look in shown_looks] == [
            f"{p.name} ({p.look})" for p in PORTRAITS if p.name == avatar["name"]
        ]
        # a character is shown by the look that is listed first
        assert avatar["preview_img_url"] == shown_looks[0]["preview_img_url"]
    assert await listed(service, **{"x-api-key": other}) == public
    flat = (await service.client.get("/v1/avatars?view=flat")).json()
    assert list(flat) == ["success", "public_avatars", "my_avatars"]
    assert len(flat["public_avatars"]) == len(PORTRAITS)
    shown = flat["public_avatars"][0]
    assert list(shown) == ["avatar_id", "tags", "preview_url", "image_url"]
    assert [avatar["avatar_id"] for avatar in flat["my_avatars"]] == [service.look_id]
    assert (
        await service.client.post("/v1/sessions", json={"avatar_id": shown["avatar_id"]}, headers={"x-api-key": other})
    ).status_code == 201
    for query in ("?characters_only=odd", "?view=odd"):
        assert (await service.client.get(f"/v1/avatars{query}")).status_code == 400


async def test_looks_of_an_unknown_character_are_404(stocked: Service) -> None:
    await stocked.client.post("/v1/avatars/upload-face", files={"file": ("me.jpg", b"photo", "image/jpeg")})
    mine, public = (await own(stocked))[0]["avatar_id"], (await listed(stocked, "/public"))[0]["avatar_id"]
    stranger = await other_account(stocked)
    for parent_id, headers, status in (
        (mine, {}, 200),
        (public, stranger, 200),
        (mine, stranger, 404),
        ("avat_01J8Z3N5K7Q9R2T4V6X8Y0A1B3", {}, 404),
        ("no id at all", {}, 404),
        ("", {}, 404),
    ):
        answer = await stocked.client.get("/v1/avatars", params={"parent_id": parent_id}, headers=headers)
        flat = await stocked.client.get("/v1/avatars", params={"parent_id": parent_id, "view": "flat"}, headers=headers)
        assert answer.status_code == flat.status_code == status, parent_id
        if status == 404:
            assert answer.json()["error"]["code"] == flat.json()["error"]["code"] == "AVATAR_NOT_FOUND"
        else:
            assert [look["parent_id"] for look in answer.json()["avatars"]] == [parent_id] * len(
                answer.json()["avatars"]
            )
    (look,) = await listed(stocked, f"?parent_id={mine}")
    assert await listed(stocked, f"?parent_id={look['avatar_id']}") == [], "a look is known, and has no looks"
    for parent_id, kind in ((mine, "my_avatars"), (public, "public_avatars")):
        flat = (await stocked.client.get(f"/v1/avatars?view=flat&parent_id={parent_id}")).json()
        shown = {one["avatar_id"] for one in flat["my_avatars"] + flat["public_avatars"]}
        assert shown == {one["avatar_id"] for one in flat[kind]}
        assert shown == {one["avatar_id"] for one in await listed(stocked, f"?parent_id={parent_id}")} != set()


def look_folder(service: Service) -> Path:
    return service.services.settings.avatars_dir / service.look_id


async def test_only_own_avatars_can_be_deleted(stocked: Service) -> None:
    service = stocked
    _, other = await service.services.accounts.create(name="other")
    public = (await service.client.get("/v1/avatars/public")).json()["avatars"][0]["avatar_id"]
    assert (await service.client.delete(f"/v1/avatars/{public}")).status_code == 403
    assert (
        await service.client.delete(f"/v1/avatars/{service.look_id}", headers={"x-api-key": other})
    ).status_code == 404
    for odd in ("avat_00000000000000000000000000", "odd", "%00"):
        assert (await service.client.delete(f"/v1/avatars/{odd}")).status_code == 404
    answer = await service.client.delete(f"/v1/avatars/{service.look_id}")
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert await own(service, "?characters_only=false") == []
    assert not look_folder(service).exists()
    assert (await service.client.delete(f"/v1/avatars/{service.look_id}")).status_code == 404
    assert (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).status_code == 404


async def test_a_deleted_avatars_files_stay_until_its_live_session_ends(service: Service) -> None:
    waiting, live = [
        (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json()["session"]["session_id"]
        for _ in range(2)
    ]
    await service.client.put(f"/v1/sessions/{live}/start")
    character = (await own(service))[0]["avatar_id"]
    assert (await service.client.delete(f"/v1/avatars/{character}")).status_code == 200
    assert look_folder(service).exists()
    assert (await service.client.get(f"/v1/sessions/{live}")).json()["session"]["status"] == "started"
    gone = await service.client.put(f"/v1/sessions/{waiting}/start")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "AVATAR_NOT_FOUND")
    await service.client.put(f"/v1/sessions/{live}/end")
    await service.services.avatars.purge(spared=set())
    assert not look_folder(service).exists()
    assert (await service.client.get(f"/v1/sessions/{live}")).json()["session"]["avatar"][
        "name"
    ] == "Professional Avatar (Look)"


async def test_preparations_are_bounded(tmp_path: Path) -> None:
    running = most = 0
    both_running, all_asked = asyncio.Event(), asyncio.Event()

    async def slow(image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            both_running.set()
        await all_asked.wait()
        await fake_prepare(image, out_dir)
        running -= 1

    for name in ("0", "1", "waiting", "refused"):
        (tmp_path / name).mkdir()
    preparation = Preparation(slow, at_once=2, waiting=1)
    async with anyio.create_task_group() as tasks:

        def start(name: str, holder: str) -> None:
            tasks.start_soon(partial(preparation.run, b"x", tmp_path / name, holder=holder))

        start("0", "one key")
        start("1", "another")
        await both_running.wait()
        start("waiting", "one key")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(NoCapacity):
            await preparation.run(b"x", tmp_path / "refused", holder="another")
        all_asked.set()
    assert most == 2
    assert [os.listdir(tmp_path / name) != [] for name in ("0", "1", "waiting", "refused")] == [True, True, True, False]


async def refuse(image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
    """A preparation that the library must do without."""
    raise AssertionError("a portrait was prepared")


async def test_the_first_answer_of_a_new_server_lists_the_whole_library(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path), FakeFleet(), refuse)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://visavis.test") as client,
    ):
        _, key = await app.state.services.accounts.create(name="tests")
        answer = await client.get("/v1/avatars?characters_only=false", headers={"x-api-key": key})
        names = [avatar["name"] for avatar in answer.json()["avatars"]]
        assert sorted(names) == sorted([*CHARACTERS, *(f"{p.name} ({p.look})" for p in PORTRAITS)])
        for avatar in answer.json()["avatars"]:
            assert (await client.get(avatar["preview_img_url"])).content[:2] == b"\xff\xd8"  # a JPEG


async def test_the_library_is_copied_once_and_again_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(tmp_path, portraits=PORTRAITS) as first:
        look = await install_library(first.services.avatars)
        assert look is not None
        marker = first.services.avatars.pack_folder(await first.services.avatars.pack_ref(look.id)) / "marker"
        marker.touch()
    async with open_service(tmp_path, portraits=PORTRAITS) as second:
        again = await install_library(second.services.avatars)
        assert again is not None and (again.id, marker.exists()) == (look.id, True)
        monkeypatch.setattr(prepared, "FOLDER", tmp_path / "without packs")
        await install_library(second.services.avatars)
        pack = second.services.avatars.pack_folder(await second.services.avatars.pack_ref(look.id))
        assert (pack / "pack.npz").read_bytes() == DEFAULT_PORTRAIT.path.read_bytes(), "made by fake_prepare"
        assert len((await second.client.get("/v1/avatars/public")).json()["avatars"]) == len(CHARACTERS)


async def test_a_portrait_whose_prepared_files_are_damaged_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = PreparedLook.read

    def read_damaged(look: PreparedLook) -> dict[str, bytes]:
        if look.folder.name == DEFAULT_PORTRAIT.slug:
            raise ValueError("The files are damaged")
        return read(look)

    monkeypatch.setattr(PreparedLook, "read", read_damaged)
    with structlog.testing.capture_logs() as logs:
        async with open_service(tmp_path, portraits=PORTRAITS) as service:
            assert len(await service.services.avatars.public(characters_only=True)) == len(CHARACTERS)
    assert {log["slug"] for log in logs if log["event"] == "library_avatar_failed"} == {DEFAULT_PORTRAIT.slug}
