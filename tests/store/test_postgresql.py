"""A PostgreSQL that fails, is away, or is used by too many: errors of ours in one line, and it is used again when it is
back.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from tests import postgresql as clusters
from tests.store.records import make_webhook
from visavis.accounts.service import Accounts
from visavis.errors import DatabaseUnusable, SettingInvalid, StorageUnusable
from visavis.store import postgresql
from visavis.store.database import Database
from visavis.store.deliveries import DeliveryStore
from visavis.store.records import WebhookEventRecord
from visavis.store.webhooks import WebhookStore

pytestmark = pytest.mark.anyio


class Gate:
    """A port through which a test reaches its PostgreSQL, and which it can shut: all connections break, and no new one
    comes through. `hold` keeps back what the PostgreSQL says until it is told something.
    """

    def __init__(self, url: str) -> None:
        self._behind = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._answers = asyncio.Event()
        self._answers.set()
        self.port = 0

    @property
    def url(self) -> str:
        return self._behind._replace(netloc=f"visavis:hush@127.0.0.1:{self.port}").geturl()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    def hold(self) -> None:
        self._answers.clear()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._behind.hostname, self._behind.port)
        self._open |= {writer, far_writer}
        await asyncio.gather(self._ask(reader, far_writer), self._answer(far_reader, writer))
        self._open -= {writer, far_writer}

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                self._answers.set()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._answers.wait()
                writer.write(data)
                await writer.drain()
            await self._answers.wait()
        writer.close()


@pytest.fixture
async def gate(postgresql_url: str) -> AsyncIterator[Gate]:
    gate = Gate(postgresql_url)
    await gate.open()
    yield gate
    gate.shut()


@pytest.fixture
async def database(gate: Gate) -> AsyncIterator[Database]:
    opened = await Database.open(gate.url, connections=2)
    yield opened
    await opened.aclose()


async def count_plans(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM plans"))).scalar_one())


async def test_a_server_that_goes_away_is_an_error_of_the_storage_until_it_is_back(
    database: Database, gate: Gate
) -> None:
    assert await count_plans(database) == 1
    gate.shut()
    for _ in range(3):
        with pytest.raises(StorageUnusable) as raised:
            await count_plans(database)
        with pytest.raises(StorageUnusable):
            await database.check()
    error = raised.value
    assert (error.status, error.retryable, error.retry_after_s) == (503, True, 10)
    assert "127.0.0.1" not in error.message and str(gate.port) not in error.message, "clients read it"
    await gate.open()
    assert await count_plans(database) == 1
    await database.check()


async def test_a_connection_that_is_cut_in_a_write_leaves_nothing_and_the_next_one_works(
    database: Database, gate: Gate
) -> None:
    with pytest.raises(StorageUnusable):
        async with database.write() as connection:
            await connection.execute(text("DELETE FROM plans"))
            gate.shut()
            await connection.execute(text("DELETE FROM plans"))
    await gate.open()
    assert await count_plans(database) == 1


async def test_idle_connections_that_an_operator_ends_are_replaced_without_an_error(database: Database) -> None:
    assert await count_plans(database) == 1
    await end_connections(database.url)
    assert await count_plans(database) == 1


async def end_connections(url: str) -> None:
    """End all connections of a database, and wait until the processes behind them are gone."""
    other = await Database.open(url)
    async with other.read() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        await connection.execute(text(f"{ended} AND pid <> pg_backend_pid()"))
        while (await connection.execute(text(COUNT_OTHERS))).scalar_one():  # noqa: ASYNC110 (of another process)
            await asyncio.sleep(0.01)
    await other.aclose()


COUNT_OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


async def rename_plan(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("UPDATE plans SET name = name || 'x'"))


async def plan_name(database: Database) -> str:
    async with database.read() as connection:
        return str(await connection.scalar(text("SELECT name FROM plans")))


async def test_a_connection_that_is_ended_before_the_first_answer_is_replaced_without_an_error(
    database: Database, gate: Gate, postgresql_url: str
) -> None:
    """The server's last word is on its way when the first statement leaves."""
    name = await plan_name(database)
    for use in (count_plans, rename_plan, Database.check):
        gate.hold()
        await end_connections(postgresql_url)
        await use(database)
    assert await plan_name(database) == name + "x", "it was written once"


FATAL = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
LAST_WORD = b"E" + struct.pack("!I", 4 + len(FATAL)) + FATAL


async def test_a_connection_whose_end_is_half_read_is_replaced_without_an_error(database: Database) -> None:
    """asyncpg has read that the server ends it, and not yet that it is closed: it would say "another operation is in
    progress".
    """
    name = await plan_name(database)
    for use in (count_plans, rename_plan, Database.check):
        async with database.read() as connection:
            raw = await connection.get_raw_connection()
            assert raw.driver_connection is not None
            raw.driver_connection._protocol.data_received(LAST_WORD)
        await use(database)
    assert await plan_name(database) == name + "x", "it was written once"


async def test_a_read_only_database_is_an_error_of_the_storage(database: Database) -> None:
    with pytest.raises(StorageUnusable, match="cannot execute DELETE in a read-only transaction"):
        async with database.write() as connection:
            await connection.execute(text("SET TRANSACTION READ ONLY"))
            await connection.execute(text("DELETE FROM plans"))
    async with database.write() as connection:
        name = urlsplit(database.url).path[1:]
        await connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    fresh = await Database.open(database.url)
    with pytest.raises(StorageUnusable, match="it is read-only"):
        await fresh.check()
    assert await count_plans(fresh) == 1
    await fresh.aclose()


async def test_a_statement_or_a_lock_that_takes_too_long_is_an_error_of_the_storage(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = {"statement_timeout": "200ms", "lock_timeout": "50ms"}
    monkeypatch.setattr(postgresql, "_SETTINGS", quick)
    database = await Database.open(gate.url)
    with pytest.raises(StorageUnusable, match="canceling statement due to statement timeout"):
        async with database.read() as connection:
            await connection.execute(text("SELECT pg_sleep(30)"))
    async with database.write() as holder:
        await holder.execute(text("UPDATE plans SET name = 'a'"))
        with pytest.raises(StorageUnusable, match="canceling statement due to lock timeout"):
            async with database.write() as connection:
                await connection.execute(text("UPDATE plans SET name = 'b'"))
    await database.aclose()


async def test_a_server_that_is_silent_is_an_error_of_the_storage(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "COMMAND_TIMEOUT_S", 0.2)
    database = await Database.open(gate.url)
    with pytest.raises(StorageUnusable, match="it does not answer"):
        async with database.read() as connection:
            await connection.execute(text("SELECT pg_sleep(1)"))
    await database.aclose()


async def test_more_readers_than_connections_wait_and_then_are_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [await count for count in [count_plans(database) for _ in range(20)]] == [1] * 20
    monkeypatch.setattr(database._engine.pool, "_timeout", 0.05)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(database.read())
        with pytest.raises(StorageUnusable, match="all its connections are in use"):
            await count_plans(database)
    assert await count_plans(database) == 1


async def test_a_wrong_statement_stays_what_it_is(database: Database) -> None:
    with pytest.raises(ProgrammingError):
        async with database.read() as connection:
            await connection.execute(text("SELECT * FROM absent"))
    with pytest.raises(IntegrityError):
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO plans SELECT * FROM plans"))


async def test_a_start_waits_for_a_server_that_is_not_there_yet(gate: Gate) -> None:
    gate.shut()
    with pytest.raises(DatabaseUnusable, match=r"visavis:\*\*\*@127\.0\.0\.1.* cannot be used: Connection refused"):
        await Database.open(gate.url)
    opening = asyncio.ensure_future(Database.open(gate.url, wait_s=30))
    await asyncio.sleep(0)
    await gate.open()
    database = await opening
    assert await count_plans(database) == 1
    await database.aclose()


async def test_what_will_not_get_better_is_told_at_once(postgresql_cluster: clusters.Cluster) -> None:
    with pytest.raises(DatabaseUnusable, match='database "absent" does not exist'):
        await Database.open(postgresql_cluster.url("absent"), wait_s=30)
    stranger = postgresql_cluster.url("postgres").replace("visavis@", "stranger:hush@")
    with pytest.raises(DatabaseUnusable, match='role "stranger" does not exist') as raised:
        await Database.open(stranger, wait_s=30)
    assert "hush" not in str(raised.value)
    with pytest.raises(SettingInvalid, match="is not the address of a database"):
        await Database.open("mysql://visavis@127.0.0.1/visavis")


async def test_without_its_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(DatabaseUnusable, match="asyncpg is not installed") as raised:
        await Database.open("postgresql://visavis:hush@127.0.0.1:1/visavis")
    assert raised.value.suggestion == "Install it with pip install 'visavis[postgresql]'"
    assert "hush" not in str(raised.value)


async def test_what_one_server_does_alone_the_others_wait_for(database: Database, gate: Gate) -> None:
    other, steps = await Database.open(gate.url), []

    async def install() -> None:
        async with other.alone("library"):
            steps.append("other")

    async with database.alone("library"):
        waiting = asyncio.ensure_future(install())
        async with other.alone("another thing"), database.read() as connection:
            locks = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
            )
            while not (await connection.execute(text(locks))).scalar_one():  # noqa: ASYNC110 (of another process)
                await asyncio.sleep(0.01)
        steps.append("one")
    await waiting
    assert steps == ["one", "other"]
    await other.aclose()


async def test_a_webhook_is_removed_though_an_attempt_of_its_is_being_noted(database: Database, gate: Gate) -> None:
    key, _ = await Accounts(database).create(name="customer")
    hook = make_webhook("hook_1", account_id=key.account_id)
    ping = WebhookEventRecord(
        id="evnt_1",
        account_id=hook.account_id,
        subject_id=hook.id,
        number=None,
        type="ping",
        key=None,
        data={},
        at_ms=1,
    )
    store = WebhookStore(database)
    await store.add(hook, check=lambda _: None)
    sent = await DeliveryStore(database).add_ping(hook, ping)
    assert sent is not None
    other = await Database.open(gate.url)
    async with other.write() as noting:
        # as `DeliveryStore.note` does it
        await noting.execute(text("UPDATE webhook_deliveries SET attempts = 1"))
        attempt = "INSERT INTO webhook_attempts (delivery_id, number, at_ms, duration_ms) VALUES (:id, 1, 1, 1)"
        await noting.execute(text(attempt), {"id": sent.delivery.id})
        removing = asyncio.ensure_future(store.remove(hook.id))
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with other.read() as connection:
            while not (await connection.execute(text(waiting))).scalar_one():  # noqa: ASYNC110 (of another process)
                await asyncio.sleep(0.01)
    await removing
    await other.aclose()
    async with database.read() as connection:
        for table in ("webhooks", "webhook_deliveries", "webhook_attempts"):
            assert (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0


async def test_a_database_of_a_newer_version_is_refused_and_stays_as_it_is(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999', oldest_reader = '9999'"))
    with pytest.raises(
        DatabaseUnusable, match="has the schema 9999, which this version of Visavis does not know"
    ) as it:
        await Database.open(database.url)
    assert "A newer version has used it" in (it.value.suggestion or "")
    assert await count_plans(database) == 1


async def test_the_address_is_read_as_libpq_reads_it(gate: Gate) -> None:
    database = await Database.open(f"{gate.url}?application_name=mine&sslmode=prefer&statement_timeout=3s")
    async with database.read() as connection:
        shown = [(await connection.execute(text(f"SHOW {name}"))).scalar() for name in SHOWN]
    assert shown == ["mine", "3s", "10s"]
    await database.aclose()


SHOWN = ("application_name", "statement_timeout", "lock_timeout")
