"""`visavis db copy`: an SQLite database with everything in it moves to PostgreSQL, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from tests.conftest import open_service
from tests.store.records import make_session
from tests.store.test_store import ACCOUNT, KEY
from visavis import cli
from visavis.errors import DatabaseUnusable
from visavis.store import copy as copying
from visavis.store.copy import copy_database
from visavis.store.database import Database
from visavis.store.keys import KeyStore
from visavis.store.models import metadata, sessions
from visavis.store.ownership import owned
from visavis.store.sessions import SessionStore

pytestmark = pytest.mark.anyio


async def all_rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    found = {}
    async with database.read() as connection:
        for table in metadata.sorted_tables:
            query = select(table).order_by(*table.primary_key.columns)
            found[table.name] = [dict(row) for row in (await connection.execute(query)).mappings()]
    return found


async def test_a_server_goes_on_with_the_copy_as_if_nothing_had_happened(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "AT_ONCE", 2)
    async with open_service(tmp_path) as service:
        headers = {"x-api-key": service.key}
        ids = []
        for number in range(5):
            body = {"avatar_id": service.look_id, "metadata": {"z": "é", "a": str(number)}}
            answer = await service.client.post(
                "/v1/sessions", json=body, headers=headers | {"Idempotency-Key": f"{number}"}
            )
            ids.append(answer.json()["session"]["session_id"])
        for session_id in ids[:3]:
            assert (await service.client.put(f"/v1/sessions/{session_id}/start")).status_code == 200
        assert (await service.client.put(f"/v1/sessions/{ids[0]}/end")).status_code == 200
        account = (await service.services.accounts.authenticate(service.key)).account_id
        await service.services.accounts.credit(account, 5)
    source, target = (
        await Database.open(f"sqlite+aiosqlite:///{tmp_path}/visavis.db"),
        await Database.open(postgresql_url),
    )
    told: list[tuple[str, int]] = []
    counts = await copy_database(source, target, tell=lambda table, rows: told.append((table, rows)))
    assert dict(told) == counts
    rows = await all_rows(source)
    assert await all_rows(target) == rows
    assert {name: len(found) for name, found in rows.items()} == counts
    assert (counts["sessions"], counts["avatars"], counts["idempotency"], counts["purchases"]) == (5, 2, 5, 1)
    assert list(rows["sessions"][0]["metadata"]) == ["z", "a"], "the keys keep their order"
    for database in (source, target):
        await database.aclose()
    async with open_service(tmp_path, database_url=postgresql_url) as service:
        client, sent = service.client, {"x-api-key": headers["x-api-key"]}
        listed = (await client.get("/v1/sessions", headers=sent)).json()["sessions"]
        assert {one["session_id"] for one in listed} == set(ids)
        again = await client.post("/v1/sessions", json=body, headers=sent | {"Idempotency-Key": "4"})
        assert again.json()["session"]["session_id"] == ids[4]
        one = await client.put(f"/v1/sessions/{ids[3]}/start", headers=sent)
        assert one.status_code == 200, "its pack is found by its reference"


async def test_a_database_that_is_not_empty_is_refused(tmp_path: Path, postgresql_url: str) -> None:
    source, target = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/a.db"), await Database.open(postgresql_url)
    await KeyStore(target).add(KEY, account=ACCOUNT)
    before = await all_rows(target)
    with pytest.raises(DatabaseUnusable, match=r"is not empty: [a-z_]+ has 1 rows"):
        await copy_database(source, target)
    assert await all_rows(target) == before
    for database in (source, target):
        await database.aclose()


async def test_a_source_that_changes_meanwhile_leaves_nothing_copied(tmp_path: Path, postgresql_url: str) -> None:
    source, target = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/a.db"), await Database.open(postgresql_url)
    await KeyStore(source).add(KEY, account=ACCOUNT)
    await SessionStore(source).add(make_session("sess_1"))
    before, original = await all_rows(target), copying._copy_table

    async def copy_then_lose(table: Any, reading: Any, writing: Any) -> None:
        await original(table, reading, writing)
        if table is sessions:
            await writing.execute(delete(sessions))

    copying._copy_table = copy_then_lose
    try:
        with pytest.raises(DatabaseUnusable, match="The table sessions has 1 rows, and its copy 0: nothing was copied"):
            await copy_database(source, target)
    finally:
        copying._copy_table = original
    assert await all_rows(target) == before
    for database in (source, target):
        await database.aclose()


@pytest.fixture
def visavis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path))
        monkeypatch.setattr("sys.argv", ["visavis", *arguments])
        with pytest.raises(SystemExit):
            cli.main()
        printed = capsys.readouterr()
        return printed.out + printed.err

    return run


def test_the_command_prints_its_counts_and_refuses_a_running_server(
    tmp_path: Path, postgresql_url: str, visavis: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Created" in visavis("keys", "create", "--name", "one") or (tmp_path / "visavis.db").exists()
    assert "There is no database to copy into [DATABASE_UNUSABLE]" in visavis("db", "copy")
    monkeypatch.setenv("VISAVIS_DATABASE_URL", postgresql_url)
    with owned(tmp_path, database=None):
        assert "is in use by another server" in visavis("db", "copy")
    told = visavis("db", "copy").splitlines()
    assert "keys: 1" in told and told[-1] == "All rows were copied."
    assert "is not empty" in visavis("db", "copy")
    assert "one" in visavis("keys", "list"), "it is the copy's"
    assert "There is no database at" in visavis("db", "copy", "--source", str(tmp_path / "absent.db"))
