"""What was kept long enough is gone from every table and file, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from tests.conftest import Service, open_service
from visavis.avatars.look_files import IMAGE, PHOTO
from visavis.sessions.retention import DAY_MS
from visavis.settings import Settings
from visavis.store import models
from visavis.store.database import Database
from visavis.timestamps import now_ms

pytestmark = pytest.mark.anyio

SECRET = "Rumpelstiltskin"
KEPT: dict[str, Any] = {
    "sessions_kept_days": 30,
    "usage_kept_days": 90,
    "photos_kept_days": 30,
    "webhook_networks": ("127.0.0.1/32",),
}


@pytest.fixture
async def service(tmp_path: Path, database_url: str) -> AsyncIterator[Service]:
    async with open_service(tmp_path / "data", database_url=database_url, **KEPT) as opened:
        yield opened


async def ended_session(service: Service, number: int) -> str:
    body = {"avatar_id": service.look_id, "metadata": {"name": f"{SECRET} {number}"}}
    headers = {"Idempotency-Key": f"create {number}"}
    answer = await service.client.post("/v1/sessions", json=body, headers=headers)
    session_id: str = answer.json()["session"]["session_id"]
    for call in (
        service.client.post(f"/v1/sessions/{session_id}/tokens", json={"purpose": "watch"}),
        service.client.put(f"/v1/sessions/{session_id}/start"),
        service.client.put(f"/v1/sessions/{session_id}/end"),
    ):
        assert (await call).status_code < 300
    return session_id


async def set_back(database: Database, session_id: str, *, days: float) -> None:
    """Let a session and its usage have ended so long ago."""
    at_ms = now_ms() - int(days * DAY_MS)
    session, entry = models.sessions.c, models.usage_entries.c
    async with database.write() as connection:
        await connection.execute(update(models.sessions).where(session.id == session_id).values(ended_at_ms=at_ms))
        began = update(models.usage_entries).where(entry.session_id == session_id)
        await connection.execute(began.values(began_at_ms=at_ms, until_ms=at_ms + 1))


async def everything(database: Database) -> str:
    """Return all rows of all tables, as text."""
    rows = []
    async with database.read() as connection:
        for table in models.metadata.sorted_tables:
            rows += [f"{table.name} {tuple(row)}" for row in await connection.execute(text(f"SELECT * FROM {table}"))]
    return "\n".join(rows)


async def test_old_sessions_leave_no_trace_and_others_stay(service: Service, tmp_path: Path) -> None:
    made = await service.client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/events"})
    assert made.status_code == 201, made.text
    database = service.services.accounts.database
    old, young = [await ended_session(service, number) for number in (1, 2)]
    created = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    await set_back(database, old, days=31)
    await set_back(database, young, days=29)
    before = await everything(database)
    assert before.count(old) >= 8, "its row, its ledger, its events, its token, its kept answers"
    await service.services.retention.sweep()
    after = await everything(database)
    traces = [line for line in after.splitlines() if old in line]
    assert [line.split()[0] for line in traces] == ["usage_entries"], traces
    assert f"{SECRET} 1" not in after and f"{SECRET} 2" in after
    for path in (file for file in tmp_path.rglob("*") if file.is_file()):  # noqa: ASYNC240
        assert f"{SECRET} 1".encode() not in path.read_bytes(), path
    assert (await service.client.get(f"/v1/sessions/{old}")).status_code == 404
    for session_id in (young, created.json()["session"]["session_id"]):
        assert (await service.client.get(f"/v1/sessions/{session_id}")).status_code == 200
    again = await service.client.post(
        "/v1/sessions",
        json={"avatar_id": service.look_id, "metadata": {"name": f"{SECRET} 1"}},
        headers={"Idempotency-Key": "create 1"},
    )
    assert "idempotency-replayed" not in again.headers, "the kept answer is still there"


async def test_the_ledger_is_kept_for_its_time_and_what_runs_keeps_it(service: Service) -> None:
    database = service.services.accounts.database
    old, young = [await ended_session(service, number) for number in (1, 2)]
    running = (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json()["session"]
    await service.client.put(f"/v1/sessions/{running['session_id']}/start")
    for session_id, days in ((old, 91), (young, 89), (running["session_id"], 91)):
        await set_back(database, session_id, days=days)
    await service.services.retention.sweep()
    left = {line.split("'")[1] for line in (await everything(database)).splitlines() if line.startswith("usage_e")}
    assert left == {young, running["session_id"]}


async def test_years_of_sessions_go_in_parts(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.store.retention.AT_ONCE", 2)
    for number in range(5):
        await set_back(service.services.accounts.database, await ended_session(service, number), days=400)
    await service.services.retention.sweep()
    assert (await service.client.get("/v1/sessions")).json()["sessions"] == []


async def test_a_photo_goes_after_its_time_and_the_avatar_stays(service: Service, tmp_path: Path) -> None:
    database, files = service.services.accounts.database, tmp_path / "data" / "avatars"
    young = await service.client.post("/v1/avatars/upload-face", files={"file": ("a.jpg", b"a face", "image/jpeg")})
    made_at_ms = now_ms() - 31 * DAY_MS
    async with database.write() as connection:
        row = models.avatars.c
        of_old = update(models.avatars).where(row.id == service.look_id)
        await connection.execute(of_old.values(created_at_ms=made_at_ms, updated_at_ms=made_at_ms))
    await service.services.retention.sweep()
    looks = {service.look_id: False, young.json()["avatar_id"]: True}
    assert {look: bool(list((files / look).rglob(PHOTO))) for look in looks} == looks
    assert list((files / service.look_id).rglob(IMAGE)), "what was made of it stays"
    (pack,) = (files / service.look_id / "packs").glob("*/pack.npz")
    pack.unlink()
    await service.services.avatars.rebuild(service.look_id)
    session = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    started = await service.client.put(f"/v1/sessions/{session.json()['session']['session_id']}/start")
    assert started.status_code == 200


async def test_without_settings_nothing_goes(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        session_id = await ended_session(service, 1)
        await set_back(service.services.accounts.database, session_id, days=10_000)
        before = await everything(service.services.accounts.database)
        await service.services.retention.sweep()
        assert await everything(service.services.accounts.database) == before


@pytest.mark.parametrize("wrong", [{"usage_kept_days": 61}, {"sessions_kept_days": 0}, {"photos_kept_days": -1}])
def test_times_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)
