"""Reads on the driver itself: the same rows as SQLAlchemy gives, over a connection that may be gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, replace

import anyio
import pytest
from sqlalchemy import Column, event, insert, select, text

from tests.store.test_postgresql import Gate, end_connections
from visavis.accounts.service import Accounts
from visavis.errors import StorageUnusable
from visavis.store import direct_reads
from visavis.store.database import Database
from visavis.store.models import accounts, avatars, keys, plans, sessions, sign_ins
from visavis.store.records import AvatarRecord, SessionRecord

pytestmark = pytest.mark.anyio

LOOK = AvatarRecord(
    id="avat_1",
    parent_id=None,
    owner_account_id=None,
    name="Zoë",
    is_public=True,
    tags=["a", "ü"],
    library_name=None,
    digest=None,
    created_at_ms=1,
    updated_at_ms=2,
    deleted_at_ms=None,
    purged_at_ms=None,
    photo_removed_at_ms=None,
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url, connections=3)
    yield opened
    await opened.aclose()


async def add_rows(database: Database) -> None:
    """Add an avatar that is public and one that is not, a key, and a session with all its columns and one with few."""
    key, _ = await Accounts(database).create(name="key", sources=("10.0.0.0/8",))
    few = SessionRecord(
        id="sess_few",
        account_id=key.account_id,
        key_id=key.id,
        test=False,
        dialect="hosted",
        status="created",
        avatar_id="avat_1",
        avatar_name="Zoë",
        token_hash="0",
        room_name="one",
        metadata={},
        aspect_ratio=None,
        created_at_ms=2**41,
        started_at_ms=None,
        ended_at_ms=None,
        expiration_ms=None,
        end_reason=None,
        first_frame_at_ms=None,
        last_frame_at_ms=None,
        seen_at_ms=None,
    )
    many = replace(
        few,
        id="sess_many",
        test=True,
        room_name="two",
        metadata={"z": 10**30, "a": ["é", "\x00", None, 1.5]},
        aspect_ratio="1:1",
        end_reason="requested",
        output={"width": 1},
        options={"a": None},
        played={"utterances": 3},
        daily_room={"url": "x"},
        epoch=7,
    )
    async with database.write() as connection:
        await connection.execute(insert(sessions), [asdict(few), asdict(many)])
        await connection.execute(insert(avatars), [asdict(LOOK), asdict(replace(LOOK, id="avat_2", is_public=False))])


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        pytest.param(sessions.c.id, ["sess_few"], id="a session"),
        pytest.param(sessions.c.id, ["sess_many", "none", "sess_few"], id="several sessions"),
        pytest.param(avatars.c.id, ["avat_1", "avat_2"], id="avatars"),
        pytest.param(keys.c.name, ["key", "' OR 1=1 --"], id="a key"),
        pytest.param(accounts.c.name, ['é\\"{}'], id="nobody"),
        pytest.param(plans.c.key, [], id="nothing asked"),
    ],
)
async def test_rows_are_those_that_sqlalchemy_gives(database: Database, column: Column[str], wanted: list[str]) -> None:
    await add_rows(database)
    async with database.read() as connection:
        found = (await connection.execute(select(column.table).where(column.in_(wanted)))).mappings().all()
    expected = sorted((dict(row) for row in found), key=repr)
    for _ in range(3):  # the second over the connection that is kept, the third in SQLite in the event loop's thread
        rows = sorted(await database.rows_by(column, wanted), key=repr)
        assert [list(row) for row in rows] == [list(row) for row in expected]
        assert [repr(row) for row in rows] == [repr(row) for row in expected], "types and the order of members, too"
    assert len(expected) == len([one for one in wanted if one == "key" or one.startswith(("sess_", "avat_"))])


async def test_a_row_is_seen_as_soon_as_it_is_written(database: Database) -> None:
    await add_rows(database)
    for epoch in range(20):
        async with database.write() as connection:
            await connection.execute(text(f"UPDATE sessions SET epoch = {epoch} WHERE id = 'sess_few'"))
        (row,) = await database.rows_by(sessions.c.id, ["sess_few"])
        assert row["epoch"] == epoch


async def test_more_at_once_than_there_are_connections_are_all_answered_and_one_stays(database: Database) -> None:
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(database.rows_by(plans.c.key, ["free", "none"])) for _ in range(20)]
        others = [tasks.create_task(count_plans(database)) for _ in range(20)]
    assert len({repr(one.result()) for one in asked}) == len({one.result() for one in others}) == 1
    assert checked_out(database) == 1
    await database.check()


async def count_plans(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM plans"))).scalar_one())


def checked_out(database: Database) -> int:
    count: int = database._engine.pool.checkedout()  # type: ignore[attr-defined]
    return count


async def test_the_kept_connection_goes_back_to_the_pool_after_a_while_and_at_the_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []
    event.listen(database._engine.sync_engine, "checkout", lambda connection, *_: taken.append(connection))
    for number, (kept_for_s, count) in enumerate(((0.0, 1), (600.0, 2), (0.0, 2), (0.0, 2))):
        monkeypatch.setattr(direct_reads, "KEPT_FOR_S", kept_for_s)
        await database.rows_by(plans.c.key, [f"none {number}"])
        assert (len(taken), checked_out(database)) == (count, 1)
    await database.aclose()
    assert checked_out(database) == 0


async def test_a_read_that_is_under_way_at_the_end_leaves_no_connection_open(database: Database) -> None:
    for number in range(2):
        await database.rows_by(plans.c.key, [f"none {number}"])
    assert database._direct._kept is not None
    raw = database._direct._kept.raw
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(database.rows_by(plans.c.key, ["none"]))
        await asyncio.sleep(0)  # it has taken the connection that is kept
        tasks.create_task(database.aclose())
    assert asked.result() == []
    assert raw.is_closed() if database.is_shared else raw._connection is None


async def test_a_kept_connection_that_an_operator_ends_is_replaced_without_an_error(postgresql_url: str) -> None:
    database = await Database.open(postgresql_url, connections=2)
    for _ in range(3):
        assert await database.rows_by(plans.c.key, ["none"]) == []
        await end_connections(postgresql_url)
    assert await database.rows_by(plans.c.key, ["none"]) == []
    assert checked_out(database) == 1
    await database.aclose()


async def test_a_connection_that_is_ended_before_the_answer_is_replaced_without_an_error(postgresql_url: str) -> None:
    """The server's last word is on its way when the statement leaves."""
    gate = Gate(postgresql_url)
    await gate.open()
    database = await Database.open(gate.url, connections=2)
    assert await database.rows_by(plans.c.key, ["none"]) == []
    gate.hold()
    await end_connections(postgresql_url)
    assert await database.rows_by(plans.c.key, ["none"]) == []
    await database.aclose()
    gate.shut()


async def test_a_server_that_goes_away_is_an_error_of_the_storage_until_it_is_back(postgresql_url: str) -> None:
    gate = Gate(postgresql_url)
    await gate.open()
    database = await Database.open(gate.url, connections=2)
    assert await database.rows_by(plans.c.key, ["none"]) == []
    gate.shut()
    for _ in range(3):
        with pytest.raises(StorageUnusable):
            await database.rows_by(plans.c.key, ["none"])
    await gate.open()
    with anyio.fail_after(10):
        assert await database.rows_by(plans.c.key, ["none"]) == []
    await database.aclose()
    gate.shut()


async def test_an_error_of_a_statement_is_no_error_of_the_storage_and_leaves_the_pool_whole(database: Database) -> None:
    assert await database.rows_by(plans.c.key, ["none"]) == []
    async with database.write() as connection:
        await connection.execute(text("DROP TABLE sign_ins"))
    with pytest.raises(Exception, match="sign_ins") as raised:
        await database.rows_by(sign_ins.c.id, ["none"])
    assert not isinstance(raised.value, StorageUnusable)
    assert checked_out(database) == 0
    assert await database.rows_by(plans.c.key, ["none"]) == []
