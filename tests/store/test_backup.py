"""Backups that are made while a server writes, and what a server finds that starts with one."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.to_thread import run_sync

from tests import postgresql
from tests.conftest import Service, open_service
from tests.store.test_copy import all_rows
from visavis import cli
from visavis.errors import FileUnusable
from visavis.store.backup import back_up
from visavis.store.database import Database

pytestmark = pytest.mark.anyio

SECRET: dict[str, Any] = {"secret": "s" * 32}


async def create(service: Service, number: int) -> str:
    body = {"avatar_id": service.look_id, "metadata": {"number": str(number)}}
    answer = await service.client.post("/v1/sessions", json=body)
    session_id: str = answer.json()["session"]["session_id"]
    return session_id


async def assert_restored(service: Service, key: str, look_id: str, session_ids: set[str]) -> list[dict[str, Any]]:
    """A key of the backup lists these sessions, perhaps with later ones, and starts one with the avatar's pack."""
    headers = {"x-api-key": key}
    listed = (await service.client.get("/v1/sessions", headers=headers)).json()["sessions"]
    assert session_ids <= {one["session_id"] for one in listed}
    made = await service.client.post("/v1/sessions", json={"avatar_id": look_id}, headers=headers)
    session_id = made.json()["session"]["session_id"]
    assert (await service.client.put(f"/v1/sessions/{session_id}/start", headers=headers)).status_code == 200
    found: list[dict[str, Any]] = listed
    return found


async def test_a_backup_under_load_is_of_one_moment_and_a_server_starts_with_it(tmp_path: Path) -> None:
    data, copied = tmp_path / "data", tmp_path / "backup"
    async with open_service(data) as service:
        before = {await create(service, number) for number in range(20)}
        while_copying: list[str] = []
        copying = True

        async def write() -> None:
            while copying:
                while_copying.append(await create(service, 20 + len(while_copying)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            while not while_copying:
                await anyio.lowlevel.checkpoint()
            count = await run_sync(partial(back_up, data, copied, database=data / "visavis.db"))
            copying = False
        key, look_id = service.key, service.look_id
    assert count >= 5 and sorted(os.listdir(tmp_path)) == ["backup", "data"]
    with closing(sqlite3.connect(copied / "visavis.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT id FROM sessions").fetchall()
    there = {row[0] for row in rows}
    cut = [session_id in there for session_id in while_copying]
    assert cut == sorted(cut, reverse=True), "what was created later is there, and what was created before is not"
    for path in copied.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO, path
    async with open_service(copied) as restored:
        await assert_restored(restored, key, look_id, before)
        assert (copied / "secret").read_bytes() == (data / "secret").read_bytes()


async def test_a_dump_of_postgresql_is_restored_with_the_files(
    tmp_path: Path, postgresql_cluster: postgresql.Cluster, postgresql_url: str
) -> None:
    data, copied, dump = tmp_path / "data", tmp_path / "backup", tmp_path / "visavis.dump"
    found = postgresql.programs()
    assert found is not None
    folder = (found / "postgres").resolve().parent  # which has its other programs, too
    target = postgresql.new_database(postgresql_cluster, migrated=False)
    try:
        async with open_service(data, database_url=postgresql_url, **SECRET) as service:
            before = {await create(service, number) for number in range(5)}
            dumping = [folder / "pg_dump", "--format=custom", f"--file={dump}", postgresql_url]
            await anyio.run_process([str(one) for one in dumping])
            await run_sync(partial(back_up, data, copied, database=None))
            key, look_id = service.key, service.look_id
        restoring = [folder / "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={target}", dump]
        await anyio.run_process([str(one) for one in restoring])
        source, restored_to = await Database.open(postgresql_url), await Database.open(target)
        rows = await all_rows(source)
        assert {row["id"] for row in rows["sessions"]} == before
        changing: dict[str, list[Any]] = {"keys": [], "servers": []}  # when they were last used and seen
        assert await all_rows(restored_to) | changing == rows | changing
        for database in (source, restored_to):
            await database.aclose()
        async with open_service(copied, database_url=target, **SECRET) as restored:
            await assert_restored(restored, key, look_id, before)
    finally:
        postgresql.drop_database(postgresql_cluster, target)


def test_the_command_tells_what_it_has_copied_and_never_replaces_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    monkeypatch.setenv("VISAVIS_DATA_DIR", str(data))

    def visavis(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["visavis", *arguments])
        with pytest.raises(SystemExit):
            cli.main()
        printed = capsys.readouterr()
        return printed.out + printed.err

    assert "There is no database at" in visavis("db", "backup", str(tmp_path / "one"))
    visavis("keys", "create", "--name", "one")
    assert visavis("db", "backup", str(tmp_path / "one")).endswith("one: 1 files\n")
    assert "exists already [FILE_UNUSABLE]" in visavis("db", "backup", str(tmp_path / "one"))
    monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path / "one"))
    assert "one" in visavis("keys", "list")


def test_a_damaged_database_is_told_and_no_folder_is_left(tmp_path: Path) -> None:
    damaged = tmp_path / "visavis.db"
    damaged.write_bytes(os.urandom(8192))
    with pytest.raises(FileUnusable, match="The backup could not be made: file is not a database"):
        back_up(tmp_path, tmp_path / "backup", database=damaged)
    assert [path.name for path in tmp_path.iterdir()] == ["visavis.db"]


async def test_of_two_servers_that_start_at_once_one_migrates(
    tmp_path: Path, postgresql_cluster: postgresql.Cluster
) -> None:
    url = postgresql.new_database(postgresql_cluster, migrated=False)
    script = (
        "import asyncio, sys\n"
        "from alembic import command\n"
        "from visavis.store.database import Database\n"
        "upgrade = command.upgrade\n"
        "command.upgrade = lambda *given: (print('migrates', flush=True), upgrade(*given))\n"
        "sys.stdin.read(1)\n"
        f"asyncio.run(Database.open({url!r}))\n"
        "print('open')\n"
    )
    command = [sys.executable, "-c", script]
    try:
        both = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
            for _ in range(2)
        ]
        for process in both:
            assert process.stdin is not None
            process.stdin.write("x")
            process.stdin.flush()
        told = [await run_sync(process.communicate) for process in both]
        assert sorted(out for out, _ in told) == ["migrates\nopen\n", "open\n"]
    finally:
        postgresql.drop_database(postgresql_cluster, url)
