"""A statement in SQLite is one step of its connection's thread, and does what SQLAlchemy's own cursor does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosqlite
import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from visavis.errors import StorageUnusable
from visavis.store import database as databases
from visavis.store.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/visavis.db")
    async with opened.write() as connection:
        await connection.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY, name TEXT)"))
    yield opened
    await opened.aclose()


@pytest.fixture
async def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What connections of this event loop have run in their threads. A server of other tests may have a loop beside."""
    found: list[str] = []
    ours = asyncio.get_running_loop()
    execute = aiosqlite.Connection._execute

    async def noted(self: Any, function: Any, *arguments: Any, **named: Any) -> Any:
        if asyncio.get_running_loop() is ours:
            found.append(getattr(function, "__name__", str(function)))
        return await execute(self, function, *arguments, **named)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(aiosqlite.Connection, "_execute", noted)
    return found


async def names(database: Database) -> list[tuple[int, str]]:
    async with database.read() as connection:
        return [tuple(row) for row in await connection.execute(text("SELECT n, name FROM numbers ORDER BY n"))]


async def test_a_read_takes_one_step_and_a_write_one_for_each_statement(database: Database, steps: list[str]) -> None:
    assert await names(database) == []
    assert len(steps) == 1
    steps.clear()
    async with database.write() as connection:
        inserted = await connection.execute(text("INSERT INTO numbers VALUES (1, 'one')"))
        assert inserted.rowcount == 1
    assert len(steps) == 3, "BEGIN, INSERT and COMMIT"
    assert await names(database) == [(1, "one")]


async def test_many_rows_are_written_in_one_step(database: Database, steps: list[str]) -> None:
    rows = [{"n": number, "name": str(number)} for number in range(100)]
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO numbers VALUES (:n, :name)"), rows)
    assert len(steps) == 3
    assert len(await names(database)) == 100


async def test_what_fails_is_rolled_back_and_the_connection_goes_on(database: Database) -> None:
    for statement, error in (
        ("INSERT INTO numbers VALUES (1, 'again')", IntegrityError),
        ("SELECT * FROM nothing", OperationalError),
    ):
        with pytest.raises(error):
            async with database.write() as connection:
                await connection.execute(text("INSERT OR IGNORE INTO numbers VALUES (1, 'one')"))
                await connection.execute(text(statement))
        assert await names(database) == []


async def test_rows_that_a_write_returns_are_there(database: Database) -> None:
    async with database.write() as connection:
        found = await connection.execute(text("INSERT INTO numbers VALUES (7, 'seven') RETURNING n, name"))
        assert [tuple(row) for row in found] == [(7, "seven")]


async def test_writers_take_turns_and_none_waits_for_ever(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[int] = []

    async def write(number: int) -> None:
        async with database.write() as connection:
            order.append(number)
            await connection.execute(text(f"INSERT INTO numbers VALUES ({number}, 'x')"))

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(write, number)
    assert order == list(range(50)), "in the order in which they came"
    monkeypatch.setattr(databases, "TURN_WITHIN_S", 0.01)

    async def give_up() -> None:
        with pytest.raises(StorageUnusable, match="others wait for it, too"):
            async with database.write():
                pass

    async with database.write(), anyio.create_task_group() as tasks:
        tasks.start_soon(give_up)
    assert len(await names(database)) == 50
