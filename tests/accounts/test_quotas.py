"""What a key may keep at once: avatars, sessions that wait to be started, and their background pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.api.test_output import picture, pictures
from tests.conftest import Service, open_service
from visavis.sessions.sweep import sweep_sessions

pytestmark = pytest.mark.anyio

FACE = {"image_base64": "YSBmYWNl"}


def code_of(answer: httpx.Response) -> str:
    body = answer.json()
    return "made" if answer.status_code == 201 else f"{answer.status_code} {body['error']['code']}"


async def post_at_once(service: Service, address: str, body: dict[str, Any], count: int) -> Counter[str]:
    outcomes: Counter[str] = Counter()

    async def post() -> None:
        outcomes[code_of(await service.client.post(address, json=body))] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(post)
    return outcomes


async def test_the_avatars_of_a_key_are_limited_for_simultaneous_photos(tmp_path: Path) -> None:
    async with open_service(tmp_path, max_avatars_per_account=3, preparations=4) as service:
        outcomes = await post_at_once(service, "/v1/avatars/upload-face", FACE, 6)
        assert outcomes == {"made": 2, "429 AVATAR_LIMIT_REACHED": 4}
        looks = [path.name for path in (tmp_path / "avatars").iterdir()]
        assert len(looks) == 3  # nothing is left of those that were prepared and then refused
        await service.client.delete(f"/v1/avatars/{service.look_id}")
        assert code_of(await service.client.post("/v1/avatars/upload-face", json=FACE)) == "made"
        _, other = await service.services.accounts.create(name="other")
        answer = await service.client.post("/v1/avatars/upload-face", json=FACE, headers={"x-api-key": other})
        assert code_of(answer) == "made"


async def test_the_created_sessions_of_a_key_are_limited(tmp_path: Path) -> None:
    async with open_service(tmp_path, max_created_sessions_per_account=3) as service:
        body = {"avatar_id": service.look_id}
        assert await post_at_once(service, "/v1/sessions", body, 7) == {"made": 3, "429 SESSION_LIMIT_REACHED": 4}
        assert code_of(await service.client.post("/v1/sessions", json={"avatar": service.look_id})) == (
            "429 SESSION_LIMIT_REACHED"
        )
        waiting = (await service.client.get("/v1/sessions?status=created")).json()["sessions"]
        assert len(waiting) == 3
        assert (await service.client.put(f"/v1/sessions/{waiting[0]['session_id']}/start")).status_code == 200
        assert await post_at_once(service, "/v1/sessions", body, 2) == {"made": 1, "429 SESSION_LIMIT_REACHED": 1}
        await sweep_sessions(service.services.sessions._store, service.services.live, created_ttl_s=-1)
        assert await post_at_once(service, "/v1/sessions", body, 4) == {"made": 3, "429 SESSION_LIMIT_REACHED": 1}


async def test_the_created_sessions_with_a_background_picture_are_limited(tmp_path: Path) -> None:
    async with open_service(tmp_path, max_backgrounds_per_account=2) as service:
        body = {"avatar_id": service.look_id, "output": picture()}
        assert await post_at_once(service, "/v1/sessions", body, 4) == {"made": 2, "429 BACKGROUND_LIMIT_REACHED": 2}
        assert len(pictures(service)) == 2
        plain = {"avatar_id": service.look_id, "output": {"background": {"type": "color", "color": "#102030"}}}
        assert code_of(await service.client.post("/v1/sessions", json=plain)) == "made"
        waiting = (await service.client.get("/v1/sessions?status=created")).json()["sessions"]
        assert (await service.client.put(f"/v1/sessions/{waiting[-1]['session_id']}/start")).status_code == 200
        assert code_of(await service.client.post("/v1/sessions", json=body)) == "made"
