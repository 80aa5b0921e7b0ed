"""The database: migrations, changes of status by compare-and-set, and the folder of blobs."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path

import anyio
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from tests.store.records import make_session
from visavis.errors import VisavisError
from visavis.settings import Settings, load_secret
from visavis.store import migrations, models, records
from visavis.store.blobs import FolderBlobs
from visavis.store.database import Database
from visavis.store.keys import KeyStore
from visavis.store.records import AccountRecord, KeyRecord, SessionRecord
from visavis.store.session_lists import Position
from visavis.store.sessions import SessionStore

pytestmark = pytest.mark.anyio

ACCOUNT = AccountRecord(id="acct_1", name="a", plan_key="unlimited", created_at_ms=1)
KEY = KeyRecord(
    id="key_1",
    account_id="acct_1",
    name="k",
    hash="h",
    start="ah_live_abcd",
    test=False,
    created_at_ms=1,
    last_used_at_ms=None,
    revoked_at_ms=None,
    scopes=[],
    sources=[],
    expires_at_ms=None,
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url)
    yield opened
    await opened.aclose()


async def test_migrations_create_exactly_the_models_and_may_run_twice(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(
            compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), models.metadata)
        )

    async with database.write() as connection:
        assert await connection.run_sync(differences) == []
        await connection.run_sync(migrations.upgrade)


async def test_a_new_database_can_be_opened_several_times_at_once(new_url: str) -> None:
    """For example by `visavis keys create` during the first `visavis serve`, or by several servers."""
    opened: list[Database] = []

    async def open_one() -> None:
        opened.append(await Database.open(new_url))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(open_one)
    for database in opened:
        await database.aclose()
    assert len(opened) == 4


async def test_a_killed_migration_leaves_no_changes(new_url: str) -> None:
    """The process dies in the middle of a migration. The next start runs the whole migration."""
    script = (
        "import asyncio, os, alembic.op\n"
        "from visavis.store.database import Database\n"
        "alembic.op.add_column = lambda *_: os._exit(9)\n"
        f"asyncio.run(Database.open({new_url!r}))\n"
    )
    killed = await anyio.run_process([sys.executable, "-c", script], check=False)
    assert killed.returncode == 9
    await (await Database.open(new_url)).aclose()


def open_to_others(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO]


async def test_other_users_cannot_read_the_database(tmp_path: Path) -> None:
    """Even with the widest umask, with which `visavis keys create` may run, and for a database that an earlier version
    has made.
    """
    earlier = tmp_path / "earlier.db"
    earlier.touch()
    earlier.chmod(0o644)
    before = os.umask(0)
    try:
        for name in ("earlier.db", "new.db"):
            database = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/{name}")
            await KeyStore(database).add(KEY, account=ACCOUNT)
            assert open_to_others(tmp_path) == []
            await database.aclose()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600


async def test_the_newest_revision_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.newest_revision()


@pytest.mark.parametrize(
    ("table", "record"),
    [
        (models.sessions, records.SessionRecord),
        (models.avatars, records.AvatarRecord),
        (models.accounts, records.AccountRecord),
        (models.keys, records.KeyRecord),
        (models.plans, records.PlanRecord),
        (models.purchases, records.PurchaseRecord),
        (models.usage_entries, records.UsageEntryRecord),
        (models.idempotency, records.IdempotencyRecord),
    ],
)
async def test_records_have_a_field_for_each_column(table: object, record: type) -> None:
    assert [column.name for column in table.columns] == [field.name for field in fields(record)]  # type: ignore[attr-defined]


async def test_sqlite_is_set_up_for_a_server(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'folder' / 'test.db'}")
    async with database.read() as connection:
        assert (await connection.execute(text("PRAGMA journal_mode"))).scalar() == "wal"
        assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar() == 1
    await database.aclose()


async def test_a_database_holds_its_references(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await SessionStore(database).add(make_session("sess_1", key_id="nobody"))


async def test_of_many_changes_of_status_at_once_one_succeeds(database: Database) -> None:
    await KeyStore(database).add(KEY, account=ACCOUNT)
    store = SessionStore(database)
    record = make_session("sess_1")
    await store.add(record)
    moved: list[SessionRecord | None] = []

    async def start(at_ms: int) -> None:
        moved.append(await store.move(record, to="started", started_at_ms=at_ms))

    async with anyio.create_task_group() as tasks:
        for at_ms in range(10):
            tasks.start_soon(start, at_ms)
    (winner,) = [one for one in moved if one is not None]
    assert await store.get("sess_1") == winner


async def test_sessions_of_one_millisecond_are_paged_without_gap_or_overlap(database: Database) -> None:
    await KeyStore(database).add(KEY, account=ACCOUNT)
    store = SessionStore(database)
    times_ms = {"sess_d": 5, "sess_a": 7, "sess_c": 7, "sess_b": 7, "sess_e": 2}
    for session_id, created_at_ms in times_ms.items():
        await store.add(make_session(session_id, created_at_ms=created_at_ms))
    seen: list[str] = []
    before = None
    while page := await store.lists.newest("acct_1", statuses=["created"], limit=2, before=before):
        seen += [session.id for session in page]
        before = Position(created_at_ms=page[-1].created_at_ms, id=page[-1].id)
        await store.remove_created(page[-1].id)  # a cursor holds its place without its session
        await store.add(make_session(f"sess_new_{len(seen)}", created_at_ms=9))
    assert seen == ["sess_c", "sess_b", "sess_a", "sess_d", "sess_e"]


async def test_metadata_is_filtered_by_its_strings_whatever_else_is_in_it(database: Database) -> None:
    await KeyStore(database).add(KEY, account=ACCOUNT)
    store = SessionStore(database)
    kept = {
        "sess_1": {"user": "é", "other": "\0", "list": [None, {"\0": 1.5}]},
        "sess_2": {"user": "1", "a b": "c"},
        "sess_3": {"user": 1},
        "sess_4": {"user": {"user": "é"}},
    }
    for session_id, metadata in kept.items():
        await store.add(make_session(session_id, metadata=metadata))

    async def found(**metadata: str) -> list[str]:
        return [one.id for one in await store.lists.newest("acct_1", statuses=["created"], limit=9, metadata=metadata)]

    assert await found(user="é") == ["sess_1"]
    assert await found(user="1") == ["sess_2"]
    assert await found(user="1", **{"a b": "c"}) == ["sess_2"]
    assert await found(user="\0") == []
    one = await store.get("sess_1")
    assert one is not None and one.metadata == kept["sess_1"]
    shown = await store.lists.listed("acct_1", statuses=["created"], limit=9)
    assert {one.id: json.loads(one.metadata_json) for one in shown} == kept
    assert [one.metadata_json for one in shown] == [
        record.metadata_json for record in await store.lists.newest("acct_1", statuses=["created"], limit=9)
    ]


async def test_the_newest_of_many_sessions_are_found_without_sorting(database: Database) -> None:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(database._reading.sync_engine, "before_cursor_execute", note)
    await SessionStore(database).lists.listed("acct_1", statuses=["created", "ended"], limit=2)
    query = statements[-1]
    async with database.read() as connection:
        if database.is_shared:  # it would sort a table of few rows
            await connection.exec_driver_sql("SET enable_sort = off")
            plan = await connection.exec_driver_sql(f"EXPLAIN {query}", ("acct_1", 2, "created", "ended"))
        else:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("acct_1", "created", "ended", 2, 0))
        steps = [row[-1] for row in plan]
    assert not [step for step in steps if "sort" in step.lower() or "b-tree" in step.lower()], steps
    assert [step for step in steps if "ix_sessions_account_id_created_at_ms_id" in step], steps


async def test_the_library_keeps_its_order_when_lists_are_sorted_by_time(new_url: str) -> None:
    """Before revision 0004 lists were sorted by id, and the default avatar, which is ready first, had the last id."""
    made = {"avat_1": 300, "avat_2": 200, "avat_3": 100}  # by id, with the time when each was ready

    def fill(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(migrations.FOLDER))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        for avatar_id, created_at_ms in made.items():
            values = {"name": "A", "is_public": True, "tags": [], "created_at_ms": created_at_ms, "updated_at_ms": 0}
            connection.execute(insert(models.avatars).values(id=avatar_id, **values))
        command.upgrade(config, "head")

    engine = create_async_engine(new_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(fill)
        newest_first = select(models.avatars.c.id).order_by(models.avatars.c.created_at_ms.desc())
        assert list(await connection.scalars(newest_first)) == ["avat_3", "avat_2", "avat_1"]
    await engine.dispose()


async def test_blobs_are_put_replaced_and_deleted(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    assert await blobs.get("avatars/a/image.jpg") is None
    await blobs.put("avatars/a/image.jpg", b"one")
    await blobs.put("avatars/a/image.jpg", b"two")
    assert await blobs.get("avatars/a/image.jpg") == b"two"
    assert await blobs.get("avatars/a") is None
    assert await blobs.get("avatars/a/image.jpg/x") is None
    await blobs.delete_all("avatars/a")
    await blobs.delete_all("avatars/a")
    assert await blobs.get("avatars/a/image.jpg") is None
    for name in ("../x", "a/../../x", "/etc/passwd", "a//b", "a\0b", ""):
        with pytest.raises(AssertionError):
            await blobs.put(name, b"")


async def test_the_secret_is_created_once_and_other_users_cannot_read_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    secret = load_secret(settings)
    assert len(secret) >= 32
    assert load_secret(settings) == secret
    assert stat.S_IMODE((tmp_path / "new" / "secret").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["secret"]
    (tmp_path / "file").touch()
    with pytest.raises(VisavisError):
        load_secret(Settings(data_dir=tmp_path / "file"))
    assert load_secret(Settings(data_dir=tmp_path, secret="s" * 32)) == b"s" * 32  # type: ignore[arg-type]
    with pytest.raises(VisavisError):
        load_secret(Settings(data_dir=tmp_path, secret="short"))  # type: ignore[arg-type]
