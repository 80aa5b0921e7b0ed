"""A database from before accounts, with data: each key becomes an account, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from visavis.accounts.keys import hash_key, new_key
from visavis.accounts.service import Accounts
from visavis.store import migrations, models
from visavis.store.avatars import AvatarStore
from visavis.store.database import Database
from visavis.store.idempotency import IdempotencyStore
from visavis.store.minutes import MinuteStore
from visavis.store.sessions import SessionStore
from visavis.store.usage import UsageStore

pytestmark = pytest.mark.anyio

ULIDS = {"live": "01J8Z3N5K7Q9R2T4V6X8Y0A1B1", "test": "01J8Z3N5K7Q9R2T4V6X8Y0A1B2"}
PLAN = {"key": "small", "name": "Small", "included_minutes": 60, "max_concurrency": 2, "max_session_minutes": 5}


def add(connection: Connection, table: str, **values: Any) -> None:
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)


def fill(connection: Connection, keys: dict[str, str]) -> None:
    """Bring the schema to 0004 and add two keys, each with an avatar, two sessions and an answer."""
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "0004")
    add(connection, "plans", **PLAN)
    for number, (kind, key) in enumerate(keys.items()):
        key_id, plan = f"key_{ULIDS[kind]}", "small" if kind == "live" else "unlimited"
        values = {"name": kind, "hash": hash_key(key), "start": key[:12], "test": kind == "test", "plan_key": plan}
        add(connection, "keys", id=key_id, created_at_ms=10 + number, last_used_at_ms=20 + number, **values)
        shown: dict[str, Any] = {"is_public": False, "tags": "[]", "created_at_ms": 1, "updated_at_ms": 2}
        add(connection, "avatars", id=f"avat_{kind}", name="A", owner_key_id=key_id, **shown)
        add(connection, "avatars", id=f"look_{kind}", name="L", owner_key_id=key_id, parent_id=f"avat_{kind}", **shown)
        for status, ended_at_ms in (("created", None), ("ended", 61_000)):
            session_id = f"sess_{kind}_{status}"
            add(
                connection,
                "sessions",
                id=session_id,
                key_id=key_id,
                dialect="hosted",
                status=status,
                avatar_id=f"look_{kind}",
                avatar_name="L",
                token_hash="t",
                room_name=f"room-{session_id}",
                metadata=json.dumps({"kind": kind}),
                created_at_ms=5,
                started_at_ms=None if ended_at_ms is None else 1_000,
                ended_at_ms=ended_at_ms,
                output=json.dumps({"mood": {}}),
            )
        answer = {"fingerprint": "f", "status_code": 201, "content_type": "application/json", "body": "sealed"}
        add(connection, "idempotency", key_id=key_id, idempotency_key="one", created_at_ms=7, **answer)
    add(connection, "avatars", id="avat_library", name="Iris", **shown | {"is_public": True})


def referred_tables(connection: Connection, table: str) -> list[str]:
    return [key["referred_table"] for key in inspect(connection).get_foreign_keys(table)]


@pytest.fixture
async def keys(new_url: str) -> dict[str, str]:
    made = {kind: new_key(test=kind == "test") for kind in ULIDS}
    engine = create_async_engine(new_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(fill, made)
    await engine.dispose()
    return made


async def test_every_key_becomes_an_account_that_has_what_the_key_had(new_url: str, keys: dict[str, str]) -> None:
    database = await Database.open(new_url)
    accounts, sessions, avatars = Accounts(database), SessionStore(database), AvatarStore(database)
    listed = [(one.id, one.name, one.plan_key, one.created_at_ms) for one in await accounts.accounts()]
    assert listed == [
        (f"acct_{ULIDS['live']}", "live", "small", 10),
        (f"acct_{ULIDS['test']}", "test", "unlimited", 11),
    ]
    for number, (kind, key) in enumerate(keys.items()):
        record = await accounts.authenticate(key)
        account_id = f"acct_{ULIDS[kind]}"
        assert (record.id, record.account_id, record.test) == (f"key_{ULIDS[kind]}", account_id, kind == "test")
        assert record.last_used_at_ms == 20 + number
        plan = (await accounts.balance(account_id)).plan
        assert plan.max_concurrency == (2 if kind == "live" else None)
        found = await sessions.lists.newest(account_id, statuses=("created", "ended"), limit=9)
        assert [one.id for one in found] == [f"sess_{kind}_ended", f"sess_{kind}_created"]
        for one in found:
            assert (one.key_id, one.test, one.metadata) == (record.id, kind == "test", {"kind": kind})
            assert one.output == {"mood": {}}
        own = await avatars.visible(account_id, public=False)
        assert [one.id for one in own] == [f"look_{kind}", f"avat_{kind}"]
        answer = await IdempotencyStore(database).get(account_id=account_id, idempotency_key="one")
        assert answer is not None and (answer.status_code, answer.body) == (201, "sealed")
    library = await avatars.get("avat_library")
    assert library is not None and library.owner_account_id is None
    await database.aclose()


async def test_the_migrated_schema_is_that_of_a_new_database_and_holds_its_references(
    new_url: str, keys: dict[str, str]
) -> None:
    database = await Database.open(new_url)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, models.metadata))

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []
        for table in ("sessions", "keys", "avatars"):
            assert "accounts" in await connection.run_sync(referred_tables, table)
        if not database.is_shared:
            assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar() == 1
            assert (await connection.execute(text("PRAGMA foreign_key_check"))).all() == []
    await database.aclose()


async def test_sessions_that_have_ended_get_their_ledger(new_url: str, keys: dict[str, str]) -> None:
    """A session from 1 s to 61 s has one billed minute, and two entries: it has seen a minute of the clock end."""
    database = await Database.open(new_url)
    usage = await UsageStore(database).of_sessions(["sess_live_ended", "sess_test_ended", "sess_live_created"])
    assert {one: (found.included_minutes, found.seconds) for one, found in usage.items()} == {
        "sess_live_ended": (1, 60),
        "sess_test_ended": (0, 60),
    }
    async with database.read() as connection:
        entries = (await connection.execute(select(models.usage_entries))).mappings().all()
    assert all(entry["closed"] for entry in entries)
    assert sorted(
        (entry["number"], entry["began_at_ms"], entry["until_ms"], entry["minutes"]) for entry in entries
    ) == [
        *[(0, 1_000, 60_000, 1)] * 2,
        *[(1, 60_000, 61_000, 0)] * 2,
    ]
    balances = [await MinuteStore(database).balance(f"acct_{ULIDS[kind]}", at_ms=5) for kind in ULIDS]
    assert [balance.included_used for balance in balances] == [1, 0]
    await database.aclose()
