"""The usage ledger in a real database: entries, charges, and what never changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, func, select

from tests.store.records import make_session
from tests.store.test_store import ACCOUNT, KEY
from visavis.store.accounts import AccountStore
from visavis.store.database import Database
from visavis.store.keys import KeyStore
from visavis.store.minutes import Balance, MinuteStore
from visavis.store.models import included_usage, usage_entries
from visavis.store.records import PurchaseRecord, SessionRecord, UsageEntryRecord
from visavis.store.sessions import SessionStore
from visavis.store.usage import Place, Reading, UsageStore

pytestmark = pytest.mark.anyio

NOON_MS = 1_699_963_200_000  # 2023-11-14T12:00:00Z
NEW_YEAR_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
ENTRY = usage_entries.c


class Ledger:
    """A database with one account, whose sessions start, go on and end at given instants."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sessions, self.usage, self.minutes = SessionStore(database), UsageStore(database), MinuteStore(database)
        self.places: dict[str, Place] = {}

    async def start(self, session_id: str, *, at_ms: int, test: bool = False) -> SessionRecord:
        record = make_session(session_id, test=test)
        await self.sessions.add(record)
        started = await self.sessions.move(record, to="started", started_at_ms=at_ms, seen_at_ms=at_ms)
        assert started is not None
        return started

    async def go_on(self, record: SessionRecord, *, until_ms: int, frames: tuple[int, int] | None = None) -> None:
        first, last = frames or (None, None)
        reading = Reading(session=record, until_ms=until_ms, first_frame_at_ms=first, last_frame_at_ms=last)
        self.places |= await self.usage.save([reading], self.places)

    async def end(self, record: SessionRecord, *, at_ms: int, **metering: Any) -> None:
        assert await self.sessions.move(record, to="ended", ended_at_ms=at_ms, end_reason="expired", **metering)

    async def entries(self, session_id: str) -> list[UsageEntryRecord]:
        query = select(usage_entries).where(ENTRY.session_id == session_id).order_by(ENTRY.number)
        async with self.database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [UsageEntryRecord(**row) for row in rows]

    async def balance(self, *, at_ms: int = NOON_MS) -> Balance:
        return await self.minutes.balance("acct_1", at_ms=at_ms)

    async def included(self, minutes: int | None) -> None:
        await AccountStore(self.database).set_plan("unlimited", {"included_minutes": minutes})

    async def purchase(self, purchase_id: str, minutes: int, *, at_ms: int) -> None:
        await self.minutes.add_purchase(
            PurchaseRecord(id=purchase_id, account_id="acct_1", minutes=minutes, used_minutes=0, created_at_ms=at_ms)
        )


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    database = await Database.open(database_url)
    await KeyStore(database).add(KEY, account=ACCOUNT)
    yield Ledger(database)
    await database.aclose()


async def test_a_start_opens_the_ledger_and_charges_a_minute(ledger: Ledger) -> None:
    await ledger.start("sess_1", at_ms=NOON_MS + 30_000)
    (entry,) = await ledger.entries("sess_1")
    assert (entry.began_at_ms, entry.until_ms, entry.closed) == (NOON_MS + 30_000, NOON_MS + 30_000, False)
    assert (entry.minutes, entry.source, entry.account_id) == (1, "included", "acct_1")
    assert (await ledger.balance()).included_used == 1


async def test_the_open_entry_goes_on_and_closed_ones_never_change(ledger: Ledger) -> None:
    record = await ledger.start("sess_1", at_ms=NOON_MS + 30_250)
    closed: dict[int, UsageEntryRecord] = {}
    for after_ms in range(1_000, 200_000, 1_000):
        await ledger.go_on(record, until_ms=NOON_MS + 30_250 + after_ms)
        entries = await ledger.entries("sess_1")
        assert entries[-1].until_ms == NOON_MS + 30_250 + after_ms
        assert [entry.closed for entry in entries] == [True] * (len(entries) - 1) + [False]
        for number, entry in closed.items():
            assert entries[number] == entry
        closed = {entry.number: entry for entry in entries[:-1]}
        assert sum(entry.minutes for entry in entries) == -(-after_ms // 60_000)
    await ledger.end(record, at_ms=NOON_MS + 30_250 + 199_500)
    await ledger.go_on(record, until_ms=NOON_MS + 900_000)  # too late: it has ended
    entries = await ledger.entries("sess_1")
    assert all(entry.closed for entry in entries)
    assert [entry.until_ms - entry.began_at_ms for entry in entries] == [29_750, 60_000, 60_000, 49_750]
    assert [entry.minutes for entry in entries] == [1, 1, 1, 1]
    usage = (await ledger.usage.of_sessions(["sess_1"]))["sess_1"]
    assert (usage.included_minutes, usage.purchased_minutes) == (4, 0)
    assert usage.seconds == (NOON_MS + 30_250 + 199_500) // 1000 - (NOON_MS + 30_250) // 1000


async def test_a_ledger_that_could_not_be_written_is_whole_after_the_end(ledger: Ledger) -> None:
    record = await ledger.start("sess_1", at_ms=NOON_MS + 59_000)
    await ledger.end(record, at_ms=NOON_MS + 59_000 + 150_000)
    entries = await ledger.entries("sess_1")
    assert [entry.until_ms - entry.began_at_ms for entry in entries] == [1_000, 60_000, 60_000, 29_000]
    assert [entry.minutes for entry in entries] == [1, 1, 1, 0]
    assert all(entry.closed for entry in entries)
    assert (await ledger.balance()).included_used == 3


async def test_a_session_that_ends_at_once_is_billed_a_minute(ledger: Ledger) -> None:
    record = await ledger.start("sess_1", at_ms=NOON_MS)
    await ledger.end(record, at_ms=NOON_MS)
    (entry,) = await ledger.entries("sess_1")
    assert (entry.minutes, entry.until_ms - entry.began_at_ms, entry.closed) == (1, 0, True)


async def test_a_session_that_is_never_started_has_no_ledger(ledger: Ledger) -> None:
    record = make_session("sess_1")
    await ledger.sessions.add(record)
    assert await ledger.sessions.move(record, to="ended", ended_at_ms=NOON_MS, end_reason="never_started")
    assert await ledger.entries("sess_1") == []


async def test_seconds_from_the_first_frame_to_the_last_are_spread_over_the_entries(ledger: Ledger) -> None:
    record = await ledger.start("sess_1", at_ms=NOON_MS)
    await ledger.go_on(record, until_ms=NOON_MS + 5_000)
    frames = NOON_MS + 10_500, NOON_MS + 59_200
    await ledger.go_on(record, until_ms=NOON_MS + 59_900, frames=frames)
    await ledger.go_on(record, until_ms=NOON_MS + 130_000, frames=frames)  # nobody watches for two minutes
    await ledger.go_on(record, until_ms=NOON_MS + 150_000, frames=(frames[0], NOON_MS + 150_000))
    assert [entry.seen_s for entry in await ledger.entries("sess_1")] == [49, 0, 91]
    (seen,) = await ledger.sessions.started_here()  # what a server that starts after a kill finds
    assert (seen.first_frame_at_ms, seen.last_frame_at_ms) == (frames[0], NOON_MS + 150_000)
    assert seen.seen_at_ms == NOON_MS + 150_000
    await ledger.end(record, at_ms=NOON_MS + 160_000, first_frame_at_ms=frames[0], last_frame_at_ms=NOON_MS + 155_000)
    usage = (await ledger.usage.of_sessions(["sess_1"]))["sess_1"]
    assert usage.seen_s == (NOON_MS + 155_000) // 1000 - frames[0] // 1000 == 145
    assert usage.seconds == 160


async def test_included_minutes_go_first_then_the_oldest_purchase(ledger: Ledger) -> None:
    await ledger.included(2)
    await ledger.purchase("purc_new", 9, at_ms=200)
    await ledger.purchase("purc_old", 1, at_ms=100)
    record = await ledger.start("sess_1", at_ms=NOON_MS)
    for minute in range(5):
        await ledger.go_on(record, until_ms=NOON_MS + minute * 60_000 + 1_000)
    entries = await ledger.entries("sess_1")
    assert [(entry.source, entry.purchase_id) for entry in entries] == [
        ("included", None),
        ("included", None),
        ("purchased", "purc_old"),
        ("purchased", "purc_new"),
        ("purchased", "purc_new"),
    ]
    assert [one.used_minutes for one in await ledger.minutes.purchases_of("acct_1")] == [1, 2]
    balance = await ledger.balance()
    assert (balance.included_left, balance.purchased_total, balance.purchased_left, balance.left) == (0, 10, 7, 7)
    usage = (await ledger.usage.of_sessions(["sess_1"]))["sess_1"]
    assert (usage.included_minutes, usage.purchased_minutes) == (2, 3)


async def test_minutes_beyond_all_that_are_left_are_included_ones(ledger: Ledger) -> None:
    """Sessions are not ended for want of minutes; the next one is not started."""
    await ledger.included(0)
    await ledger.purchase("purc_1", 1, at_ms=100)
    record = await ledger.start("sess_1", at_ms=NOON_MS)
    await ledger.end(record, at_ms=NOON_MS + 180_000)
    assert [entry.source for entry in await ledger.entries("sess_1")] == ["purchased", "included", "included"]
    balance = await ledger.balance()
    assert (balance.included_used, balance.included_left, balance.purchased_left, balance.left) == (2, 0, 0, 0)


async def test_included_minutes_are_those_of_the_month_in_which_they_begin(ledger: Ledger) -> None:
    await ledger.included(2)
    record = await ledger.start("sess_1", at_ms=NEW_YEAR_MS - 90_000)
    await ledger.end(record, at_ms=NEW_YEAR_MS + 90_000)
    entries = await ledger.entries("sess_1")
    assert [entry.began_at_ms - NEW_YEAR_MS for entry in entries] == [-90_000, -60_000, 0, 60_000]
    assert [entry.minutes for entry in entries] == [1, 1, 1, 0]
    before, after = await ledger.balance(at_ms=NEW_YEAR_MS - 1), await ledger.balance(at_ms=NEW_YEAR_MS)
    assert (before.included_used, after.included_used) == (2, 1)


async def test_sessions_of_a_test_key_are_free(ledger: Ledger) -> None:
    await ledger.included(1)
    record = await ledger.start("sess_1", at_ms=NOON_MS, test=True)
    await ledger.end(record, at_ms=NOON_MS + 60_000)
    (entry,) = await ledger.entries("sess_1")
    assert (entry.source, entry.minutes) == ("free", 1)
    assert (await ledger.balance()).left == 1
    assert (await ledger.usage.of_sessions(["sess_1"]))["sess_1"].included_minutes == 0


async def test_the_count_of_used_minutes_is_the_sum_of_the_ledger(ledger: Ledger) -> None:
    await ledger.included(7)
    await ledger.purchase("purc_1", 5, at_ms=100)
    for number, length_ms in enumerate((0, 59_999, 60_000, 60_001, 330_000, 600_000)):
        record = await ledger.start(f"sess_{number}", at_ms=NEW_YEAR_MS - 200_000 + number * 7_001)
        await ledger.end(record, at_ms=NEW_YEAR_MS - 200_000 + number * 7_001 + length_ms)
    async with ledger.database.read() as connection:
        by_source: dict[str, Any] = {}
        for source in ("included", "purchased"):
            query = select(func.sum(ENTRY.minutes)).where(ENTRY.source == source)
            by_source[source] = (await connection.execute(query)).scalar_one()
        counted = (await connection.execute(select(func.sum(included_usage.c.minutes)))).scalar_one()
    assert by_source == {"included": counted, "purchased": 5}
    assert counted + 5 == 1 + 1 + 1 + 2 + 6 + 10


async def test_a_hundred_sessions_that_go_on_are_one_statement(ledger: Ledger) -> None:
    records = [await ledger.start(f"sess_{number}", at_ms=NOON_MS) for number in range(100)]

    def readings(after_ms: int) -> list[Reading]:
        return [
            Reading(session=one, until_ms=NOON_MS + after_ms, first_frame_at_ms=None, last_frame_at_ms=None)
            for one in records
        ]

    places = await ledger.usage.save(readings(1_000), {})
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("BEGIN"):  # of SQLite
            statements.append(statement)

    event.listen(ledger.database._engine.sync_engine, "before_cursor_execute", note)
    event.listen(ledger.database._engine.sync_engine, "begin", lambda _connection: statements.append("BEGIN"))
    assert await ledger.usage.save(readings(2_000), places) == places
    assert [statement.split()[0] for statement in statements] == ["BEGIN", "UPDATE"]
    async with ledger.database.read() as connection:
        untils = set(await connection.scalars(select(ENTRY.until_ms)))
    assert untils == {NOON_MS + 2_000}


async def test_sessions_that_come_to_a_new_minute_are_written_together_and_charged_in_parts(ledger: Ledger) -> None:
    """At each full minute every session has a new entry; their billed minutes begin at instants of their own."""
    records = [await ledger.start(f"sess_{number:02}", at_ms=NOON_MS + 30_000) for number in range(20)]
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("BEGIN"):  # of SQLite
            statements.append(statement.split()[0])

    async def save(after_ms: int, *, seen_ms: int) -> list[str]:
        frames = NOON_MS + 31_000, NOON_MS + 31_000 + seen_ms
        readings = [
            Reading(session=one, until_ms=NOON_MS + after_ms, first_frame_at_ms=frames[0], last_frame_at_ms=frames[1])
            for one in records
        ]
        statements.clear()
        ledger.places = await ledger.usage.save(readings, ledger.places)
        return list(statements)

    await save(50_000, seen_ms=10_000)
    await ledger.end(records[-1], at_ms=NOON_MS + 55_000)
    event.listen(ledger.database._engine.sync_engine, "before_cursor_execute", note)
    event.listen(ledger.database._engine.sync_engine, "begin", lambda _connection: statements.append("BEGIN"))
    assert await save(61_000, seen_ms=29_000) == ["BEGIN", "SELECT", "UPDATE", "INSERT"]
    ended = records.pop()
    entries = await ledger.entries("sess_00")
    assert [(entry.until_ms - entry.began_at_ms, entry.seen_s, entry.closed) for entry in entries] == [
        (30_000, 10, True),
        (1_000, 19, False),
    ]
    assert ledger.places.keys() == {one.id for one in records}
    assert await save(62_000, seen_ms=30_000) == ["BEGIN", "UPDATE"]
    assert (await save(91_000, seen_ms=59_000)).count("BEGIN") == 3  # 19 sessions, 8 in a transaction
    entries = await ledger.entries("sess_18")
    assert [(entry.minutes, entry.seen_s) for entry in entries] == [(1, 10), (1, 49)]
    (entry,) = await ledger.entries(ended.id)
    assert (entry.until_ms, entry.closed) == (NOON_MS + 55_000, True)


async def test_another_server_goes_on_with_the_ledger_of_a_session(ledger: Ledger) -> None:
    """It knows no places, and may know of fewer frames."""
    record = await ledger.start("sess_1", at_ms=NOON_MS)
    await ledger.go_on(record, until_ms=NOON_MS + 70_000, frames=(NOON_MS + 1_000, NOON_MS + 70_000))
    before = await ledger.entries("sess_1")
    other = Ledger(ledger.database)
    await other.go_on(record, until_ms=NOON_MS + 80_000)
    after = await ledger.entries("sess_1")
    assert after[:-1] == before[:-1]
    assert after[-1] == replace(before[-1], until_ms=NOON_MS + 80_000, seen_s=after[-1].seen_s)


async def test_an_end_before_the_last_second_that_was_written_closes_the_ledger(ledger: Ledger) -> None:
    record = await ledger.start("sess_1", at_ms=NOON_MS)
    await ledger.go_on(record, until_ms=NOON_MS + 61_000)
    await ledger.end(record, at_ms=NOON_MS + 59_000)
    entries = await ledger.entries("sess_1")
    assert all(entry.closed for entry in entries)
    assert entries[-1].until_ms == entries[-1].began_at_ms


async def test_the_minutes_of_a_session_that_nobody_watched_go_back_to_where_they_came_from(ledger: Ledger) -> None:
    await AccountStore(ledger.database).set_plan("unlimited", {"included_minutes": 2, "waives_unwatched": True})
    await ledger.purchase("purc_1", 2, at_ms=100)
    record = await ledger.start("sess_1", at_ms=NEW_YEAR_MS - 180_000)
    await ledger.end(record, at_ms=NEW_YEAR_MS + 90_000)  # two included ones, a purchased one, and two of January
    charged = [entry.source for entry in await ledger.entries("sess_1") if entry.minutes > 0]
    assert charged == ["included", "included", "purchased", "included", "included"]
    back = [entry for entry in await ledger.entries("sess_1") if entry.minutes < 0]
    assert [(entry.source, entry.purchase_id, entry.minutes) for entry in back] == [
        ("included", None, -2),
        ("purchased", "purc_1", -1),
        ("included", None, -2),
    ]
    assert all(entry.began_at_ms == entry.until_ms and entry.closed for entry in back)
    balances = [await ledger.balance(at_ms=NEW_YEAR_MS + after_ms) for after_ms in (-1, 0)]
    assert [(balance.included_used, balance.purchased_left) for balance in balances] == [(0, 2), (0, 2)]
    usage = (await ledger.usage.of_sessions(["sess_1"]))["sess_1"]
    assert (usage.included_minutes, usage.purchased_minutes, usage.seconds, usage.closed) == (0, 0, 270, True)


@pytest.mark.parametrize("kind", ["watched", "test"])
async def test_watched_and_free_sessions_are_not_waived(ledger: Ledger, kind: str) -> None:
    await AccountStore(ledger.database).set_plan("unlimited", {"included_minutes": 5, "waives_unwatched": True})
    record = await ledger.start("sess_1", at_ms=NOON_MS, test=kind == "test")
    frames = {"first_frame_at_ms": NOON_MS, "last_frame_at_ms": NOON_MS} if kind == "watched" else {}
    await ledger.end(record, at_ms=NOON_MS + 1_000, **frames)
    assert [entry.minutes for entry in await ledger.entries("sess_1")] == [1]
