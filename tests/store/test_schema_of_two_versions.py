"""A schema that two versions use: what a migration may change, and whom it may hold up; and a store that goes on, and
opens again, while a newer version has changed the schema.
"""

from __future__ import annotations

import asyncio

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from tests.postgresql import Cluster, drop_database, new_database
from tests.store.fleet_database import add_sessions, keep, open_fleet, owner_of, steady_server
from tests.store.test_stages import SMALL, room_for
from visavis.errors import DatabaseUnusable
from visavis.sessions.lifecycle import EndReason
from visavis.store import migrations
from visavis.store.database import Database
from visavis.store.leases import Lease, Leases
from visavis.store.models import metadata, stages
from visavis.store.postgresql import open_for_migrations
from visavis.store.sessions import SessionStore
from visavis.store.sqlite import open_sqlite
from visavis.store.stage_rows import Reached, StageRows
from visavis.store.stage_tokens import StageTokens
from visavis.store.stages import StageStore

pytestmark = pytest.mark.anyio
WITHIN_S = 60.0  # a bound for a busy machine

Schema = dict[str, str]
"""What programs rely on: columns, constraints, unique indexes and functions, each by a name of its own."""


def schema_of(connection: Connection) -> Schema:
    look, found = inspect(connection), Schema()
    for table in look.get_table_names():
        found[f"table {table}"] = "exists"
        for column in look.get_columns(table):
            kind = {"type": str(column["type"]), "nullable": column["nullable"], "default": column["default"]}
            found[f"column {table}.{column['name']}"] = str(kind)
            if not column["nullable"] and column["default"] is None:
                found[f"rule {table}: {column['name']} has to be given"] = "holds"
        rules: list[object] = [look.get_pk_constraint(table)["constrained_columns"]]
        rules += [(one["constrained_columns"], one["referred_table"]) for one in look.get_foreign_keys(table)]
        rules += [one["column_names"] for one in look.get_unique_constraints(table)]
        rules += [one["sqltext"] for one in look.get_check_constraints(table)]
        rules += [one["column_names"] for one in look.get_indexes(table) if one["unique"]]
        found |= {f"rule {table}: {rule}": "holds" for rule in rules if rule}
    if connection.dialect.name == "postgresql":
        query = "SELECT oid::regprocedure::text, prorettype::regtype::text FROM pg_proc WHERE proname LIKE 'visavis%'"
        found |= {f"function {name}": result for name, result in connection.execute(text(query))}
    return found


def breaks(before: Schema, after: Schema) -> list[str]:
    """Return in words what a program that knows the schema `before` cannot live with in `after`."""
    known = {name for name in before if name.startswith("table ")}
    problems = [f"{name} is gone" for name in before.keys() - after.keys() if not name.startswith("rule ")]
    problems += [f"{name} is another" for name in before.keys() & after.keys() if before[name] != after[name]]
    for name in after.keys() - before.keys():
        if name.startswith("rule ") and f"table {name.split()[1].rstrip(':')}" in known:
            problems.append(f"new {name}")
    return sorted(problems)


def migrate(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def new_engine(url: str) -> AsyncEngine:
    return open_for_migrations(url) if url.startswith("postgresql") else open_sqlite(url, None)


async def test_every_migration_since_the_oldest_reader_only_adds(new_url: str) -> None:
    engine, newer = new_engine(new_url), [one for one in migrations._revisions() if one > migrations.OLDEST_READER]
    assert newer and migrations.OLDEST_READER in migrations._revisions()
    async with engine.connect() as connection:
        await connection.run_sync(migrate, migrations.OLDEST_READER)
        before = await connection.run_sync(schema_of)
        assert "column sessions.epoch" in before
        for revision in newer:
            await connection.run_sync(migrate, revision)
            after = await connection.run_sync(schema_of)
            assert breaks(before, after) == [], f"servers of the version before {revision} run on beside it"
            before = after
    await engine.dispose()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("ALTER TABLE sessions ADD COLUMN more text", None),
        ("ALTER TABLE sessions ADD COLUMN more text NOT NULL DEFAULT ''", None),
        ("CREATE TABLE more (id text NOT NULL UNIQUE)", None),
        ("ALTER TABLE sessions ADD COLUMN more text NOT NULL", "new rule sessions: more has to be given"),
        ("ALTER TABLE sessions DROP COLUMN played", "column sessions.played is gone"),
        ("ALTER TABLE sessions RENAME COLUMN played TO heard", "column sessions.played is gone"),
        ("ALTER TABLE sessions ALTER COLUMN epoch TYPE integer", "column sessions.epoch is another"),
        ("ALTER TABLE stages RENAME TO machines", "table stages is gone"),
        ("CREATE UNIQUE INDEX one ON stages (address)", "new rule stages: ['address']"),
        ("ALTER TABLE stages ADD CHECK (room_mcores > 0)", "new rule stages: room_mcores > 0"),
        (
            "DROP FUNCTION visavis_renew_stage",
            "function visavis_renew_stage(text,text,bigint,integer,integer,integer,boolean,boolean) is gone",
        ),
    ],
)
async def test_what_a_server_of_the_version_before_cannot_live_with_is_named(
    postgresql_url: str, statement: str, problem: str | None
) -> None:
    engine = open_for_migrations(postgresql_url)
    async with engine.connect() as connection:
        before = await connection.run_sync(schema_of)
        await connection.execute(text(statement))
        found = breaks(before, await connection.run_sync(schema_of))
        assert found == [] if problem is None else problem in found
    await engine.dispose()


async def test_a_store_goes_on_and_opens_again_while_a_newer_version_changes_the_schema(postgresql_url: str) -> None:
    async with open_fleet(postgresql_url) as (database, beside):
        _, token = await StageTokens(database).create("all stages")
        rows, server = StageRows(beside, token=token), await steady_server(database, beside, "server")
        room = room_for(9)
        stage = await rows.enter("stage", Reached(address="wss://a.example:1", port_token="t"), labels={}, room=room)
        await keep(database, stages, "stage")
        first, second = await add_sessions(database, 2)

        async def live_through(session_id: str) -> None:
            """Start, place, renew, read and end: with the connections and the prepared statements of before."""
            store = SessionStore(database, server_id="server")
            assert await rows.renew(stage, room) and await Leases.of_servers(beside).renew(server)
            placed = await StageStore(database, beside=beside).place(session_id, SMALL, epoch=0, by=server)
            assert placed is not None and placed.stage_id == "stage"
            created = await store.get(session_id)
            assert created is not None
            started = await store.move(created, to="started", started_at_ms=1_000)
            assert started is not None
            ended = await store.move(
                started, to="ended", ended_at_ms=2_000, end_reason=EndReason.CLIENT, seen_at_ms=2_000
            )
            assert ended is not None and await owner_of(database, session_id) == ("server", 1, None)

        await live_through(first)
        await change_as_a_newer_version(database, oldest_reader=migrations.newest_revision())
        await live_through(second)
        assert await StageStore(database, beside=beside).sums_are_right()
        again = await Database.open(postgresql_url)
        assert isinstance(await Leases.of_servers(again).take("another server"), Lease)
        await again.aclose()
        async with database.write() as connection:
            await connection.execute(text("UPDATE alembic_version SET oldest_reader = '9999'"))
        with pytest.raises(DatabaseUnusable, match="has the schema 9999, which this version of Visavis does not know"):
            await Database.open(postgresql_url)


async def change_as_a_newer_version(database: Database, *, oldest_reader: str) -> None:
    """Add to every table what a migration may add."""
    async with database.write() as connection:
        for table in metadata.sorted_tables:
            await connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN of_the_future text"))
            await connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN to_come bigint NOT NULL DEFAULT 7"))
        await connection.execute(text("CREATE TABLE future (id text PRIMARY KEY)"))
        values = {"oldest": oldest_reader}
        await connection.execute(
            text("UPDATE alembic_version SET version_num = '9999', oldest_reader = :oldest"), values
        )


async def test_a_migration_that_waits_for_a_dump_holds_up_nobody_else(postgresql_cluster: Cluster) -> None:
    """A dump reads a table for an hour. Whoever wants to change it waits, and everybody else would wait behind that."""
    url = new_database(postgresql_cluster, migrated=False)
    engine = open_for_migrations(url)
    async with engine.connect() as connection:
        await connection.run_sync(migrate, "0021")
        await connection.commit()
    reads = "SELECT count(*) FROM servers"  # which 0022 changes
    async with engine.connect() as dump, engine.connect() as other:
        await dump.execute(text(reads))
        with capture_logs() as logs:
            opening = asyncio.create_task(Database.open(url))
            while "waiting_for_database" not in [log["event"] for log in logs]:
                async with asyncio.timeout(WITHIN_S):
                    await other.execute(text(reads))
                    await other.rollback()
                await asyncio.sleep(0.01)
        assert not opening.done() and "lock" in logs[0]["problem"]
        await dump.rollback()
        async with asyncio.timeout(WITHIN_S):
            await (await opening).aclose()
    await engine.dispose()
    drop_database(postgresql_cluster, url)
