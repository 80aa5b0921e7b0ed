"""What a stage on another machine fetches from the service: packs and background pictures, by their names and with a
token.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.test_output import picture, started
from tests.conftest import Service
from visavis.engine.pack_ref import digest_of, picture_id_of
from visavis.sessions.stage_sources import NamedStageSources
from visavis.stage.port.archive import unpack_archive

pytestmark = pytest.mark.anyio

NO_DIGEST = "0" * 64


def token_of(service: Service) -> str:
    sources = service.services.stage_sources
    assert isinstance(sources, NamedStageSources)
    return sources.token


def stage(service: Service) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(service)}"}


async def test_a_stage_gets_the_pack_and_the_picture_of_a_session(service: Service, tmp_path: Path) -> None:
    session = await started(service, picture())
    spec = service.performer(session["session_id"]).spec
    ref = spec.pack
    pack = await service.client.get(
        f"/internal/packs/{ref.avatar_id}/{ref.version}/{ref.digest}", headers=stage(service)
    )
    assert pack.status_code == 200 and pack.headers["cache-control"] == "no-store"
    (tmp_path / "fetched").mkdir()
    unpack_archive(pack.content, tmp_path / "fetched")
    assert digest_of(tmp_path / "fetched") == ref.digest
    picture_id = spec.output.backdrop.picture_id
    jpeg = await service.client.get(f"/internal/pictures/{session['session_id']}/{picture_id}", headers=stage(service))
    assert jpeg.headers["content-type"] == "image/jpeg" and picture_id_of(jpeg.content) == picture_id


OTHERS = [None, "", "Bearer ", "Bearer another", "Basic {token}", "{token}"]


async def test_nobody_else_gets_them(service: Service) -> None:
    session = await started(service, picture())
    spec = service.performer(session["session_id"]).spec
    for authorization in OTHERS:
        headers = {}
        if authorization is not None:
            headers["Authorization"] = authorization.format(token=token_of(service))
        for path in (
            f"/internal/packs/{spec.pack.avatar_id}/{spec.pack.version}/{spec.pack.digest}",
            f"/internal/pictures/{session['session_id']}/{spec.output.backdrop.picture_id}",
        ):
            answer = await service.client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED"), authorization


async def test_what_is_not_there_or_has_an_impossible_name_is_not_found(service: Service) -> None:
    session = await started(service, picture())
    spec = service.performer(session["session_id"]).spec
    other = await started(service, {"framing": {"zoom": 1.0}})
    for path in (
        f"/internal/packs/{spec.pack.avatar_id}/{spec.pack.version}/{NO_DIGEST}",
        f"/internal/packs/{spec.pack.avatar_id}/{spec.pack.version}/{NO_DIGEST[:-1]}",
        f"/internal/packs/{spec.pack.avatar_id}/latest/{spec.pack.digest}",
        f"/internal/packs/..%2F..%2Fsecret/{spec.pack.version}/{spec.pack.digest}",
        f"/internal/pictures/{session['session_id']}/pict_{NO_DIGEST}",
        f"/internal/pictures/{session['session_id']}/..%2F..%2Fvisavis.db",
        f"/internal/pictures/{other['session_id']}/{spec.output.backdrop.picture_id}",
        f"/internal/pictures/nobody/{spec.output.backdrop.picture_id}",
    ):
        answer = await service.client.get(path, headers=stage(service))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND"), path
