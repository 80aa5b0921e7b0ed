"""Calls of the database that are cancelled at each point at which they wait: the pool works as before, and a
transaction is written whole or not at all.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import text

from visavis.store.database import Database
from visavis.store.models import plans
from visavis.store.sqlite import open_sqlite

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    # asyncpg leaves an error behind that nobody takes when it is cancelled while it asks for TLS
    url = f"{database_url}?sslmode=disable" if database_url.startswith("postgresql") else database_url
    opened = await Database.open(url, connections=2)
    async with opened.write() as connection:
        await connection.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY)"))
        await connection.execute(text("CREATE TABLE doubles (n INTEGER PRIMARY KEY)"))
    yield opened
    await opened.aclose()


class Watched:
    """A call that has `cancel` called as soon as it waits for the time with this number, counted from 0."""

    def __init__(self, call: Coroutine[Any, Any, None], *, number: int, cancel: Callable[[], object]) -> None:
        self._call, self._number, self._cancel = call, number, cancel
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, None]:
        go_on = partial(self._call.send, None)
        while True:
            try:
                waits_for = go_on()
            except StopIteration:
                return
            if self.waits == self._number:
                asyncio.get_running_loop().call_soon(self._cancel)
            self.waits += 1
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 (the call gets it)
                go_on = partial(self._call.throw, error)
            else:
                go_on = partial(self._call.send, None)


async def cancel_in_scope(call: Coroutine[Any, Any, None], number: int) -> bool:
    """Cancel as a client does that leaves. Return whether the call has waited so often."""
    with anyio.CancelScope() as scope:
        watched = Watched(call, number=number, cancel=scope.cancel)
        await watched
    return watched.waits > number


async def cancel_task(call: Coroutine[Any, Any, None], number: int) -> bool:
    """Cancel as asyncio does it itself. No scope of anyio shields from that."""

    async def run() -> bool:
        task = asyncio.current_task()
        assert task is not None
        watched = Watched(call, number=number, cancel=task.cancel)
        with suppress(asyncio.CancelledError):
            await watched
        return watched.waits > number

    return await asyncio.create_task(run())


CANCELLATIONS = [cancel_in_scope, cancel_task]


async def rows(database: Database, table: str) -> set[int]:
    async with database.read() as connection:
        return set(await connection.scalars(text(f"SELECT n FROM {table}")))


async def assert_whole(database: Database) -> None:
    """Use more connections than the pool has, at once."""
    kept = 0 if database._direct._kept is None else 1
    assert database._engine.pool.checkedout() == kept  # type: ignore[attr-defined]
    async with asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(rows(database, table)) for table in ("numbers", "doubles") for _ in range(9)]
    numbers, doubles = found[0].result(), found[-1].result()
    assert {2 * number for number in numbers} == doubles
    await database.check()


@pytest.mark.parametrize("cancelled", CANCELLATIONS)
async def test_a_cancelled_write_is_whole_or_not_at_all(
    database: Database, cancelled: Callable[[Coroutine[Any, Any, None], int], Awaitable[bool]]
) -> None:
    async def write(number: int) -> None:
        async with database.write(turn="numbers") as connection:
            await connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": number})
            await connection.execute(text("INSERT INTO doubles VALUES (:n)"), {"n": 2 * number})

    for number in count():
        has_waited = await cancelled(write(number), number)
        await assert_whole(database)
        if not has_waited:
            break
    assert number > 5, "connect, begin, two statements and commit wait"
    assert number in await rows(database, "numbers"), "nobody has cancelled the last one"


@pytest.mark.parametrize("cancelled", CANCELLATIONS)
@pytest.mark.parametrize("call", ["read", "rows_by", "check", "forget", "alone"])
async def test_another_call_that_is_cancelled_leaves_the_pool_as_it_was(
    database: Database, call: str, cancelled: Callable[[Coroutine[Any, Any, None], int], Awaitable[bool]]
) -> None:
    async def make() -> None:
        match call:
            case "read":
                assert await rows(database, "numbers") == set()
            case "rows_by":
                assert await database.rows_by(plans.c.key, ["none"]) == []
            case "check":
                await database.check()
            case "forget":
                await database.forget()
            case "alone":
                async with database.alone("numbers"):
                    await anyio.lowlevel.checkpoint()

    number = 0
    while await cancelled(make(), number):
        await assert_whole(database)
        number += 1
    with anyio.fail_after(30):
        await make()


def test_a_cancelled_connection_to_sqlite_leaves_no_thread_to_a_loop_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a thread prints a traceback, which fails this test."""
    threads, entered, opens = list[threading.Thread](), threading.Event(), sqlite3.connect

    def open_slowly(*arguments: Any, **options: Any) -> sqlite3.Connection:
        threads.append(threading.current_thread())
        entered.set()
        time.sleep(0.05)  # as on a slow disk
        opened: sqlite3.Connection = opens(*arguments, **options)
        return opened

    async def connect_and_cancel() -> None:
        engine = open_sqlite(f"sqlite+aiosqlite:///{tmp_path / 'visavis.db'}", tmp_path / "visavis.db")
        monkeypatch.setattr(sqlite3, "connect", open_slowly)
        connecting = asyncio.create_task(engine.connect().start())
        assert await asyncio.to_thread(entered.wait, 5)
        connecting.cancel()
        with suppress(asyncio.CancelledError):
            await connecting

    asyncio.run(connect_and_cancel())
    for thread in threads:
        thread.join(5)
    assert len(threads) == 1 and not threads[0].is_alive()
