"""Packs that are damaged, gone or of another version are made again from the photo that was kept; and what was found in
that photo is told.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import numpy as np
import pytest

import visavis.library
from tests.conftest import Service, open_service
from tests.fakes import FakeFleet, FakePerformer, fake_prepare
from visavis.avatars.preparation import prepare_with_engine
from visavis.engine import errors as engine_errors
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.pack.version import FORMAT_VERSION
from visavis.engine.portrait.points import NAMES, SevenPoints
from visavis.engine.portrait.report import PreparationReport, Remark, write_report
from visavis.errors import PackUnreadable
from visavis.refusals import translated_engine_errors
from visavis.stage.port.values import PerformanceSpec

pytestmark = pytest.mark.anyio

HANDS = {name: [0.3 + 0.05 * i, 0.2 + 0.1 * i] for i, name in enumerate(NAMES)}
REPORT = PreparationReport(
    photo_width_px=256,
    photo_height_px=256,
    photo_eye_distance_px=21.4,
    width_px=600,
    height_px=600,
    eye_distance_px=92.0,
    roll_deg=3.0,
    yaw_deg=-1.0,
    pitch_deg=8.0,
    remarks=(
        Remark.guessed("TEETH_DRAWN", "Teeth are drawn"),
        Remark.warned("FACE_SMALL", "The face is small", "Send a larger photo"),
    ),
    steps_ms={"decode": 1.0},
)


class ReadingFleet(FakeFleet):
    """A fleet that looks into the pack as a stage does: anything but the photo it was made of is damaged."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__()
        self._avatars_dir = data_dir / "avatars"

    async def allocate(self, spec: PerformanceSpec) -> FakePerformer:
        file = spec.pack.folder_in(self._avatars_dir) / "pack.npz"
        if not file.exists() or file.read_bytes() != b"a face":
            raise PackUnreadable("The avatar pack cannot be read")
        return await super().allocate(spec)


async def pack_of(service: Service) -> Path:
    avatars = service.services.avatars
    return avatars.pack_folder(await avatars.pack_ref(service.look_id))


def portrait_file(data_dir: Path, look_id: str, name: str) -> Path:
    (found,) = (data_dir / "avatars" / look_id / "portraits").glob(f"*/{name}")
    return found


async def start(service: Service) -> httpx.Response:
    made = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    return await service.client.put(f"/v1/sessions/{made.json()['session']['session_id']}/start")


@pytest.mark.parametrize("damage", ["truncated", "gone"])
async def test_a_damaged_pack_is_made_again_when_it_is_needed(tmp_path: Path, damage: str) -> None:
    async with open_service(tmp_path, fleet=ReadingFleet(tmp_path)) as service:
        file = await pack_of(service) / "pack.npz"
        file.write_bytes(b"a f") if damage == "truncated" else file.unlink()
        answer = await start(service)
        assert answer.status_code == 200 and answer.json()["ws_uri"].startswith("ws"), answer.text
        assert file.read_bytes() == b"a face"


async def test_an_avatar_of_before_photos_were_kept_is_made_again_from_its_picture(tmp_path: Path) -> None:
    async with open_service(tmp_path, fleet=ReadingFleet(tmp_path)) as service:
        (await pack_of(service) / "pack.npz").write_bytes(b"")
        portrait_file(tmp_path, service.look_id, "photo").unlink()
        assert (await start(service)).status_code == 200


async def test_without_any_photo_the_answer_says_what_is_wrong(tmp_path: Path) -> None:
    async with open_service(tmp_path, fleet=ReadingFleet(tmp_path)) as service:
        (await pack_of(service) / "pack.npz").unlink()
        for name in ("photo", "image.jpg"):
            portrait_file(tmp_path, service.look_id, name).unlink()
        answer = await start(service)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["suggestion"]) == (
            500,
            "PACK_UNREADABLE",
            "Upload the photo again",
        )


async def test_a_pack_that_stays_unreadable_is_made_again_once_for_a_start(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        service.fleet.failure = PackUnreadable("The avatar pack cannot be read")
        before = service.fleet.allocations
        answer = await start(service)
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "PACK_UNREADABLE")
        assert service.fleet.allocations == before + 2


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[SevenPoints | None]:
    """A preparation that writes a report; the list fills with the points it was given."""
    seen: list[SevenPoints | None] = []

    async def prepare(image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
        seen.append(points)
        await fake_prepare(image, out_dir)
        (out_dir / "report.json").write_text(write_report(REPORT))

    monkeypatch.setattr("tests.conftest.fake_prepare", prepare)
    return seen


async def test_a_report_is_told_with_the_upload_and_later_on(tmp_path: Path, told: list[SevenPoints | None]) -> None:
    async with open_service(tmp_path) as service:
        plain = await service.client.post("/v1/avatars/upload-face", files={"file": b"photo"})
        assert list(plain.json()) == ["success", "preview_url", "image_url", "avatar_id"]
        full = await service.client.post("/v1/avatars/upload-face?report=true", files={"file": b"photo"})
        assert list(full.json()) == ["success", "preview_url", "image_url", "avatar_id", "report"]
        report = full.json()["report"]
        assert (report["verdict"], report["photo_width_px"], report["eye_distance_px"]) == ("fair", 256, 21.4)
        assert [remark["code"] for remark in report["remarks"]] == ["FACE_SMALL", "TEETH_DRAWN"]  # warnings first
        assert report["remarks"][0] == asdict(REPORT.remarks[1])
        again = await service.client.get(f"/v1/avatars/{full.json()['avatar_id']}/report")
        assert again.json() == {"success": True, "report": report}


async def test_a_report_is_its_owners_and_may_be_missing(service: Service, tmp_path: Path) -> None:
    missing = await service.client.get(f"/v1/avatars/{service.look_id}/report")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "REPORT_NOT_FOUND")
    assert (await service.client.get("/v1/avatars/avat_0/report")).json()["error"]["code"] == "AVATAR_NOT_FOUND"
    _, other = await service.services.accounts.create(name="another")
    refused = await service.client.get(f"/v1/avatars/{service.look_id}/report", headers={"x-api-key": other})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "ACCESS_DENIED")
    assert (
        await service.client.post("/v1/avatars/upload-face?report=maybe", files={"file": b"photo"})
    ).status_code == 400


async def test_points_reach_the_preparation_from_forms_and_json_and_again_when_it_is_repeated(
    tmp_path: Path, told: list[SevenPoints | None]
) -> None:
    async with open_service(tmp_path) as service:
        form = await service.client.post(
            "/v1/avatars/upload-face", files={"file": b"photo"}, data={"points": json.dumps(HANDS)}
        )
        sent = await service.client.post("/v1/avatars/upload-face", json={"image_base64": "cGhvdG8=", "points": HANDS})
        assert (form.status_code, sent.status_code) == (201, 201), form.text + sent.text
        await service.services.avatars.rebuild(form.json()["avatar_id"])
        assert told[0] is None and told[1] is not None and told[1] == told[2] == told[3]
        assert told[1].chin == tuple(HANDS["chin"])


@pytest.mark.parametrize(
    "points",
    [
        "{",
        "[]",
        {},
        HANDS | {"nose": [0.5, 0.5]},
        HANDS | {"chin": [0.5]},
        HANDS | {"chin": [0.5, 1.5]},
        HANDS | {"chin": ["0.5", 0.5]},
        HANDS | {"chin": None},
    ],
    ids=lambda points: str(points)[-40:],
)
async def test_points_that_are_none_are_refused(service: Service, points: Any) -> None:
    answer = await service.client.post("/v1/avatars/upload-face", json={"image_base64": "cGhvdG8=", "points": points})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_POINTS"), answer.text


class EngineFleet(FakeFleet):
    """A fleet whose performers perform nothing, but which reads the pack as every stage does."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__()
        self._avatars_dir = data_dir / "avatars"

    async def allocate(self, spec: PerformanceSpec) -> FakePerformer:
        folder = spec.pack.folder_in(self._avatars_dir)
        if not (folder / "pack.npz").read_bytes().startswith(b"a face"):
            with translated_engine_errors():
                await anyio.to_thread.run_sync(AvatarPack.load, folder)
        return await super().allocate(spec)


async def test_a_server_that_starts_anew_mends_packs_that_time_or_a_disk_has_spoilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def prepare(image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> object:
        return await (fake_prepare if image == b"a face" else prepare_with_engine)(image, out_dir, points=points)

    monkeypatch.setattr("tests.conftest.fake_prepare", prepare)
    photo = visavis.library.DEFAULT_PORTRAIT.path.read_bytes()
    async with open_service(tmp_path, fleet=EngineFleet(tmp_path)) as first:
        made = await first.client.post("/v1/avatars/upload-face?report=true", files={"file": photo})
        assert made.status_code == 201 and made.json()["report"]["verdict"] == "good", made.text
        look, key = made.json()["avatar_id"], first.key
    (pack,) = (tmp_path / "avatars" / look / "packs").iterdir()

    def grow_old() -> None:
        with np.load(pack / "pack.npz") as stored:
            older = dict(stored) | {"format_version": np.int64(FORMAT_VERSION - 1)}
        np.savez_compressed(pack / "pack.npz", **older)

    def cut_short() -> None:
        (pack / "picture.jpg").write_bytes((pack / "picture.jpg").read_bytes()[:2000])

    for spoil in (grow_old, cut_short):
        spoil()
        with pytest.raises(engine_errors.PackUnreadable):
            AvatarPack.load(pack)
        async with open_service(tmp_path, fleet=EngineFleet(tmp_path)) as again:
            again.client.headers["x-api-key"] = key
            again.look_id = look
            started = await start(again)
            while started.status_code == 200 and started.json()["ws_uri"] == "try_again":
                session_id = started.request.url.path.split("/")[3]
                started = await again.client.put(f"/v1/sessions/{session_id}/start")
            assert started.status_code == 200, started.text
        assert AvatarPack.load(pack).landmarks.shape == (478, 3)
