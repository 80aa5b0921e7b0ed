"""A key that only fills: sessions that nobody starts, with metadata and backgrounds of the largest size; photos; and
creates in an own room that are refused. What it leaves on the disk is bounded.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.api.test_output import picture
from tests.attacks.scale import SCALE
from tests.conftest import Service, open_service

pytestmark = pytest.mark.anyio

REQUESTS = 60 * SCALE
AT_ONCE = 12
LIMITS: dict[str, Any] = {
    "max_avatars_per_account": 10,
    "max_created_sessions_per_account": 12,
    "max_backgrounds_per_account": 4,
}
METADATA = {"text": "x" * 16_000}
PHOTO = base64.b64encode(b"a face of many letters" * 2000).decode()


def size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def flood(service: Service, address: str, body: dict[str, Any]) -> set[int]:
    """Send the same request again and again; return the statuses of its answers."""
    statuses: set[int] = set()
    limit = anyio.Semaphore(AT_ONCE)

    async def post() -> None:
        async with limit:
            statuses.add((await service.client.post(address, json=body)).status_code)

    async with anyio.create_task_group() as tasks:
        for _ in range(REQUESTS):
            tasks.start_soon(post)
    return statuses


async def test_what_a_key_leaves_on_the_disk_is_bounded(tmp_path: Path) -> None:
    async with open_service(tmp_path, preparations=4, **LIMITS) as service:
        look = {"avatar_id": service.look_id, "metadata": METADATA}
        statuses = await flood(service, "/v1/sessions", look | {"output": picture()})
        statuses |= await flood(service, "/v1/sessions", look)
        statuses |= await flood(service, "/v1/avatars/upload-face", {"image_base64": PHOTO})
        assert statuses <= {201, 429, 503} and 429 in statuses
        sessions = [path.name for path in (tmp_path / "sessions").iterdir()]
        assert len(sessions) <= LIMITS["max_backgrounds_per_account"]
        assert len((await service.client.get("/v1/sessions")).json()["sessions"]) == 12
        assert len(list((tmp_path / "avatars").iterdir())) <= LIMITS["max_avatars_per_account"]
        kept_bytes = size_bytes(tmp_path)
        for _ in range(2):
            await flood(service, "/v1/sessions", look | {"output": picture()})
            await flood(service, "/v1/avatars/upload-face", {"image_base64": PHOTO})
        assert size_bytes(tmp_path) < 1.5 * kept_bytes


async def test_creates_that_are_refused_leave_nothing(tmp_path: Path) -> None:
    async with open_service(tmp_path, preparations=4) as service:
        service.fleet.places = 0
        body = {"avatar": PHOTO, "metadata": METADATA, "output": {"background": {"type": "color", "color": "#102030"}}}
        assert await flood(service, "/v1/sessions", body) == {503}
        assert (await service.client.get("/v1/sessions")).json()["sessions"] == []
        assert [path.name for path in (tmp_path / "avatars").iterdir()] == [service.look_id]
        kept_bytes = size_bytes(tmp_path)
        await flood(service, "/v1/sessions", body)
        assert size_bytes(tmp_path) < 1.5 * kept_bytes
