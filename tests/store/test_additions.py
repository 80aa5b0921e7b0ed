"""Sessions that are created at the same time: few transactions, and each is checked against those before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import anyio
import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.store.records import make_session
from tests.store.test_store import ACCOUNT, KEY
from visavis.errors import SessionLimitReached
from visavis.store.additions import Check, CreatedSessions
from visavis.store.database import Database
from visavis.store.keys import KeyStore
from visavis.store.records import SessionRecord
from visavis.store.sessions import SessionStore

pytestmark = pytest.mark.anyio

WITH_PICTURE = {"backdrop": {"picture_id": "p"}}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url)
    await KeyStore(opened).add(KEY, account=ACCOUNT)
    yield opened
    await opened.aclose()


def at_most(total: int, *, with_picture: int = 100) -> Check:
    def check(created: CreatedSessions) -> None:
        if created.total >= total or created.with_picture >= with_picture:
            raise SessionLimitReached(current=created.total, maximum=total)

    return check


async def add_at_once(
    store: SessionStore, records: list[SessionRecord], check: Check
) -> dict[str, type[Exception] | None]:
    """Return by session what adding it has raised."""
    outcomes: dict[str, type[Exception] | None] = {}

    async def add(record: SessionRecord) -> None:
        outcomes[record.id] = None
        try:
            await store.add(record, check=check)
        except Exception as error:  # noqa: BLE001 (the outcome)
            outcomes[record.id] = type(error)

    async with anyio.create_task_group() as tasks:
        for record in records:
            tasks.start_soon(add, record)
    return outcomes


async def test_of_fifty_at_once_as_many_are_added_as_the_limit_allows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, write = 0, database.write

    def count(**named: str | None) -> AbstractAsyncContextManager[AsyncConnection]:
        nonlocal writes
        writes += 1
        return write(**named)

    monkeypatch.setattr(database, "write", count)
    store = SessionStore(database)
    await store.add(make_session("sess_before"))
    outcomes = await add_at_once(store, [make_session(f"sess_{number}") for number in range(50)], at_most(8))
    assert [*outcomes.values()].count(None) == 7
    assert {outcome for outcome in outcomes.values() if outcome} == {SessionLimitReached}
    assert (await store.count_created("acct_1")).total == 8
    assert writes <= 4, "the one before, the first of the fifty, and those who waited for it"


async def test_pictures_of_those_before_count(database: Database) -> None:
    store = SessionStore(database)
    records = [make_session(f"sess_{number}", output=WITH_PICTURE if number % 2 else None) for number in range(9)]
    outcomes = await add_at_once(store, records, at_most(100, with_picture=2))
    found = await store.count_created("acct_1")
    assert found.with_picture == 2 and found.total == [*outcomes.values()].count(None)


async def test_one_that_cannot_be_added_takes_no_others_with_it(database: Database) -> None:
    store = SessionStore(database)
    records = [make_session(f"sess_{number}") for number in range(5)]
    records[3] = make_session("sess_3", room_name=records[2].room_name)
    outcomes = await add_at_once(store, records, at_most(100))
    assert sorted(map(str, outcomes.values())) == sorted([str(None)] * 4 + [str(IntegrityError)])
    assert (await store.count_created("acct_1")).total == 4


async def test_who_leaves_before_it_is_added_is_not_added_and_stops_no_others(database: Database) -> None:
    store, release = SessionStore(database), anyio.Event()

    async def use_database() -> None:
        async with database.write(turn="acct_1"):
            await release.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use_database)
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(store.add, make_session("sess_leads"))
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(store.add, make_session("sess_stays"))
            leaving.start_soon(store.add, make_session("sess_leaves"))
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
            release.set()
    assert await store.get("sess_stays") is not None and await store.get("sess_leaves") is None
