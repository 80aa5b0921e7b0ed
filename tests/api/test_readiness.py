"""A server that is not ready yet, or that breaks while it warms up or tidies: it answers, says what is missing, and
tries again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
import structlog.testing

from tests.conftest import Service, open_service
from tests.fakes import FakeFleet, fake_prepare
from visavis.api import sweeping
from visavis.engine.portrait.points import SevenPoints
from visavis.errors import PackUnreadable, PerformerLost, PreparationFailed
from visavis.library import DEFAULT_PORTRAIT

pytestmark = pytest.mark.anyio

PHOTO = b"a photo of which no pack comes with Visavis"
SOON = 10.0  # a bound on waiting for what must happen, never asserted about
AGAIN_S = 0.02


class LateFleet(FakeFleet):
    """Does not start until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.starts, self.broken = 0, True

    async def start(self) -> None:
        self.starts += 1
        if self.broken:
            raise PerformerLost("A stage process did not start")


class Preparation:
    """Cannot prepare the library's portrait until it is told to; any other face it can."""

    def __init__(self) -> None:
        self.failed, self.broken = 0, True

    async def __call__(self, image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
        if self.broken and image == PHOTO:
            self.failed += 1
            raise PreparationFailed("The image worker failed")
        await fake_prepare(image, out_dir, points=points)


async def state(service: Service) -> dict[str, object]:
    answer = await service.client.get("/readyz")
    assert (answer.status_code == 200) == (answer.json()["status"] == "ready")
    return {name: answer.json()[name] for name in ("stage", "default_avatar")}


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(SOON):
        while not await happened():  # noqa: ASYNC110 (a server tells nobody)
            await anyio.sleep(AGAIN_S / 2)


async def test_a_stage_that_does_not_start_is_tried_again(tmp_path: Path) -> None:
    fleet = LateFleet()

    async def tried_twice() -> bool:
        return fleet.starts >= 2

    async def stage_there() -> bool:
        return bool((await state(service))["stage"])

    with structlog.testing.capture_logs() as logs:
        async with open_service(tmp_path, fleet=fleet, sweep_interval_s=AGAIN_S) as service:
            await until(tried_twice)
            assert not await stage_there()
            assert (await service.client.get("/v1/sessions")).status_code == 200, "all else works"
            fleet.broken = False
            await until(stage_there)
    assert {log["event"] for log in logs if log["log_level"] == "error"} == {"stage_not_started"}


async def test_a_default_avatar_that_cannot_be_prepared_is_tried_again(tmp_path: Path) -> None:
    prepare = Preparation()
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(PHOTO)
    portrait = replace(DEFAULT_PORTRAIT, path=photo)

    async def tried_twice() -> bool:
        return prepare.failed >= 2

    async def ready() -> bool:
        return await state(service) == {"stage": True, "default_avatar": True}

    with structlog.testing.capture_logs() as logs:
        async with open_service(
            tmp_path / "data", portraits=[portrait], prepare=prepare, sweep_interval_s=AGAIN_S
        ) as service:
            await until(tried_twice)
            assert await state(service) == {"stage": True, "default_avatar": False}
            prepare.broken = False
            await until(ready)
            assert (await service.client.get("/v1/avatars/public")).json()["avatars"]
    assert {log["event"] for log in logs if log["log_level"] == "error"} == {"library_avatar_failed"}


async def test_a_default_avatar_that_cannot_perform_is_rehearsed_again(tmp_path: Path) -> None:
    fleet = FakeFleet()
    fleet.failure = PackUnreadable("The pack is damaged")

    async def tried_twice() -> bool:
        return fleet.allocations >= 2

    async def ready() -> bool:
        return await state(service) == {"stage": True, "default_avatar": True}

    with structlog.testing.capture_logs() as logs:
        async with open_service(
            tmp_path, fleet=fleet, portraits=[DEFAULT_PORTRAIT], sweep_interval_s=AGAIN_S
        ) as service:
            await until(tried_twice)
            assert await state(service) == {"stage": True, "default_avatar": False}
            fleet.failure = None
            await until(ready)
    assert {log["event"] for log in logs if log["log_level"] == "error"} == {"default_avatar_cannot_perform"}


async def test_a_sweep_that_breaks_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps = 0

    async def sweep(*_: object, **__: object) -> None:
        nonlocal sweeps
        sweeps += 1
        raise ZeroDivisionError("a fault of ours")

    async def swept_twice() -> bool:
        return sweeps >= 2

    monkeypatch.setattr(sweeping, "sweep_sessions", sweep)
    with structlog.testing.capture_logs() as logs:
        async with open_service(tmp_path, sweep_interval_s=AGAIN_S) as service:
            await until(swept_twice)
            assert (await service.client.get("/v1/sessions")).status_code == 200
    assert {log["event"] for log in logs if log["log_level"] == "error"} == {"sweep_failed"}
