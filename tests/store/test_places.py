"""The places of an account: claimed before a start, by several servers at once, and given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import pytest
from sqlalchemy import text

from tests.store.records import make_session
from tests.store.test_store import ACCOUNT, KEY
from tests.store.waiting import until_waiting
from visavis.store.database import Database
from visavis.store.keys import KeyStore
from visavis.store.locks import lock_account
from visavis.store.places import Places, PlaceStore
from visavis.store.sessions import SessionStore

pytestmark = pytest.mark.anyio

NOW_MS = 1_000_000


class Full(Exception):
    pass


def at_most(maximum: int) -> object:
    def check(places: Places) -> None:
        if len(places.holders) >= maximum:
            raise Full

    return check


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url)
    await KeyStore(opened).add(KEY, account=ACCOUNT)
    yield opened
    await opened.aclose()


async def claim(store: PlaceStore, session_id: str, *, most: int = 100, at_ms: int = NOW_MS, **changes: object) -> bool:
    values = {"at_ms": at_ms, "until_ms": at_ms + 1_000, "ended": [], "check": at_most(most)} | changes
    return await store.claim(session_id, "acct_1", **values)  # type: ignore[arg-type]


async def test_of_a_hundred_claims_at_once_as_many_succeed_as_there_are_places(
    database: Database, database_url: str
) -> None:
    other = await Database.open(database_url)
    servers = [PlaceStore(one, server_id=name) for one, name in ((database, "one"), (other, "other"))]
    sessions = SessionStore(database)
    for number in range(100):
        await sessions.add(make_session(f"sess_{number}"))
    outcomes: list[bool | None] = []

    async def try_one(number: int) -> None:
        try:
            outcomes.append(await claim(servers[number % 2], f"sess_{number}", most=7))
        except Full:
            outcomes.append(None)

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(try_one, number)
    assert (outcomes.count(True), outcomes.count(None)) == (7, 93)
    assert len((await servers[0].of_account("acct_1", at_ms=NOW_MS)).holders) == 7
    await other.aclose()


async def test_of_two_servers_one_starts_a_session(database: Database) -> None:
    one, other = (PlaceStore(database, server_id=name) for name in ("one", "other"))
    sessions = SessionStore(database)
    await sessions.add(record := make_session("sess_1"))
    assert await claim(one, "sess_1")
    assert not await claim(other, "sess_1"), "the first one starts it"
    assert await claim(one, "sess_1", most=1), "its own place is not counted against it"
    assert await claim(other, "sess_1", at_ms=NOW_MS + 2_000), "the first one has died"
    assert await sessions.move(record, to="started", started_at_ms=1) is None
    late = make_session("sess_1", server_id="one")
    assert await sessions.move(late, to="started", started_at_ms=1) is None, "the first one comes too late"
    started = await sessions.move(make_session("sess_1", server_id="other"), to="started", started_at_ms=1)
    assert started is not None
    assert not await claim(other, "sess_1", at_ms=NOW_MS + 9_000), "it has started"


async def test_a_place_is_held_until_the_end_is_known_and_a_claim_until_it_is_given_back(database: Database) -> None:
    store, sessions = PlaceStore(database, server_id="one"), SessionStore(database, server_id="one")

    async def held(**named: object) -> list[str]:
        found = await store.of_account("acct_1", **{"at_ms": NOW_MS} | named)  # type: ignore[arg-type]
        return [holder.session_id for holder in found.holders]

    for session_id in ("sess_1", "sess_2"):
        await sessions.add(make_session(session_id))
        assert await claim(store, session_id)
    started = await sessions.move(
        make_session("sess_2", server_id="one"), to="started", started_at_ms=5, starting_until_ms=None
    )
    assert started is not None
    assert await held() == ["sess_2", "sess_1"], "those that run come first"
    assert await held(ended=["sess_2"]) == ["sess_1"], "its row does not say so yet"
    assert await held(at_ms=NOW_MS + 1_000) == ["sess_2"], "the claim has run out"
    uncharged = [
        (await store.of_account("acct_1", at_ms=at_ms)).balance.uncharged for at_ms in (NOW_MS, NOW_MS + 1_000)
    ]
    assert uncharged == [1, 0]
    await store.release("sess_1")
    assert await held() == ["sess_2"]
    assert await claim(store, "sess_1")
    await PlaceStore(database, server_id="other").release_all()
    assert len(await held()) == 2
    await store.release_all()
    assert await held() == ["sess_2"]
    assert [one.id for one in await sessions.started_here()] == ["sess_2"]
    others = await SessionStore(database, server_id="other").started_here()
    assert [one.id for one in others] == ([] if database.is_shared else ["sess_2"])


async def test_a_session_is_claimed_again_while_its_start_is_being_written(postgresql_url: str) -> None:
    database = await Database.open(postgresql_url)
    await KeyStore(database).add(KEY, account=ACCOUNT)
    store, sessions = PlaceStore(database, server_id="one"), SessionStore(database)
    await sessions.add(make_session("sess_1"))
    assert await claim(store, "sess_1")
    async with database.write() as starting:
        # as `SessionStore.move` does it: the session, then the account, which is charged
        await starting.execute(text("UPDATE sessions SET status = 'started'"))
        again = asyncio.create_task(claim(store, "sess_1"))
        await until_waiting(database, again)
        await lock_account(starting, "acct_1")
    assert not await again
    await database.aclose()
