"""A look is made anew from another photo under its id, and fields that nobody knows are refused on request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Service, open_service
from tests.fakes import fake_prepare
from visavis.avatars.look_files import PHOTO
from visavis.engine.portrait.points import SevenPoints
from visavis.errors import NoFace
from visavis.library import DEFAULT_PORTRAIT

pytestmark = pytest.mark.anyio

STRICT = {"Prefer": "handling=strict"}


async def replace(service: Service, avatar_id: str, photo: bytes, **headers: str) -> Any:
    files = {"file": ("ann.jpg", photo, "image/jpeg")}
    return await service.client.put(f"/v1/avatars/{avatar_id}/face", files=files, headers=headers)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with open_service(tmp_path, webhook_networks=("127.0.0.1/32",)) as opened:
        yield opened


async def test_a_photo_is_replaced_under_the_id_of_its_look(service: Service, tmp_path: Path) -> None:
    hook = {"url": "http://127.0.0.1:9/e", "events": ["avatar.ready"]}
    made = await service.client.post("/v1/webhooks", json=hook)
    before = (await service.client.get("/v1/avatars?characters_only=false")).json()["avatars"]
    running = (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json()["session"]
    await service.client.put(f"/v1/sessions/{running['session_id']}/start")
    first_pack = service.performer(running["session_id"]).spec.pack
    answer = await replace(service, service.look_id, b"another face")
    assert (answer.status_code, list(answer.json())) == (200, ["success", "preview_url", "image_url", "avatar_id"])
    assert answer.json()["avatar_id"] == service.look_id
    assert (await service.client.get(answer.json()["image_url"])).content == b"another face"
    after = (await service.client.get("/v1/avatars?characters_only=false")).json()["avatars"]
    assert [one["avatar_id"] for one in after] == [one["avatar_id"] for one in before]
    assert [one["created_at"] for one in after] == [one["created_at"] for one in before]
    next_one = (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json()["session"]
    await service.client.put(f"/v1/sessions/{next_one['session_id']}/start")
    second_pack = service.performer(next_one["session_id"]).spec.pack
    assert first_pack != second_pack, "what runs keeps its face, and the next session has the new one"
    events = await service.client.get(f"/v1/webhooks/{made.json()['webhook']['webhook_id']}/deliveries")
    assert [one["type"] for one in events.json()["deliveries"]] == ["avatar.ready"]
    photos = {path.read_bytes() for path in (tmp_path / "avatars" / service.look_id).rglob(PHOTO)}
    for _ in range(2):
        await service.services.avatars.purge(spared=set())
    left = {path.read_bytes() for path in (tmp_path / "avatars" / service.look_id).rglob(PHOTO)}
    assert (photos, left) == ({b"a face", b"another face"}, {b"another face"}), "the sweep removes the old one"


async def test_a_character_stands_for_its_first_look(service: Service) -> None:
    (character,) = (await service.client.get("/v1/avatars")).json()["avatars"]
    assert (await replace(service, character["avatar_id"], b"new")).json()["avatar_id"] == service.look_id


async def test_a_refused_photo_changes_nothing(tmp_path: Path) -> None:
    async def prepare(image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
        if image == b"nobody":
            raise NoFace("There is no face in the photo")
        await fake_prepare(image, out_dir, points=points)

    async with open_service(tmp_path, prepare=prepare) as service:
        refused = await replace(service, service.look_id, b"nobody")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "NO_FACE")
        flat = (await service.client.get("/v1/avatars?view=flat")).json()["my_avatars"][0]
        assert (await service.client.get(flat["image_url"])).content == b"a face"


async def test_only_own_looks_are_replaced(tmp_path: Path) -> None:
    async with open_service(tmp_path, portraits=(DEFAULT_PORTRAIT,)) as service:
        _, other = await service.services.accounts.create(name="other")
        public = (await service.client.get("/v1/avatars/public")).json()["avatars"][0]["avatar_id"]
        answers = [
            await replace(service, public, b"mine"),
            await replace(service, service.look_id, b"mine", **{"x-api-key": other}),
            await replace(service, "avat_00000000000000000000000000", b"mine"),
        ]
        codes = [(one.status_code, one.json()["error"]["code"]) for one in answers]
        assert codes == [(403, "ACCESS_DENIED"), (404, "AVATAR_NOT_FOUND"), (404, "AVATAR_NOT_FOUND")]
        assert (await service.client.delete(f"/v1/avatars/{service.look_id}")).status_code == 200
        assert (await replace(service, service.look_id, b"mine")).status_code == 404


async def test_a_photo_that_is_replaced_is_kept_for_its_time_again(service: Service) -> None:
    store = service.services.avatars._store
    await store.set_photo_removed(service.look_id, at_ms=1)
    await replace(service, service.look_id, b"another face")
    found = await store.get(service.look_id)
    assert found is not None and found.photo_removed_at_ms is None


@pytest.mark.parametrize("form", [True, False])
async def test_unknown_fields_are_refused_on_request(service: Service, form: bool) -> None:
    def upload(**fields: str) -> Any:
        body: dict[str, Any] = {"data": fields} if form else {"json": fields}
        return service.client.post("/v1/avatars/upload-face", headers=STRICT, **body)

    refused = await upload(image_base64="aGVsbG8=", nmae="Ann")
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        {"message": "Unknown field nmae", "suggestion": "Did you mean name?", "code": "INVALID_REQUEST"},
    )
    known = await upload(image_base64="aGVsbG8=", name="Ann")
    assert (known.status_code, known.headers["preference-applied"]) == (201, "handling=strict")
    lenient = await service.client.post("/v1/avatars/upload-face", json={"image_base64": "aGVsbG8=", "nmae": "Ann"})
    assert lenient.status_code == 201
