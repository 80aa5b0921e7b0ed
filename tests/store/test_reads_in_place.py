"""Reads of SQLite in the event loop's thread: when they are made there, and that they are as true as any other."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog.testing
from sqlalchemy import text

from visavis.store import reads_in_place
from visavis.store.database import Database
from visavis.store.models import plans, sign_ins
from visavis.store.reads_in_place import ReadsInPlace

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'visavis.db'}")
    yield opened
    await opened.aclose()


async def is_read_in_place(database: Database, key: str = "unlimited") -> bool:
    """Read a plan; return whether nothing had to be waited for."""
    reading = asyncio.create_task(database.rows_by(plans.c.key, [key]))
    await asyncio.sleep(0)
    done = reading.done()
    await reading
    return done


async def become_known(database: Database) -> None:
    assert not await is_read_in_place(database), "its pages may be on the disk"
    await database.rows_by(plans.c.key, ["unlimited"])  # opens the connection
    assert await is_read_in_place(database)


async def minutes(database: Database) -> object:
    (row,) = await database.rows_by(plans.c.key, ["unlimited"])
    return row["included_minutes"]


async def test_what_was_read_lately_is_read_without_a_thread(database: Database) -> None:
    await become_known(database)
    assert not await is_read_in_place(database, "other")
    assert await is_read_in_place(database, "other"), "what is not there is known as well"
    several = asyncio.create_task(database.rows_by(plans.c.key, ["unlimited", "other"]))
    await asyncio.sleep(0)
    assert not several.done()
    assert len(await several) == 1


async def test_so_many_values_are_known_and_no_more(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await become_known(database)
    monkeypatch.setattr(reads_in_place, "MOST_KNOWN", 2)
    assert [await is_read_in_place(database, key) for key in ("unlimited", "1", "2", "2", "unlimited")] == [
        True,
        False,
        False,
        True,
        False,
    ]


async def test_a_read_sees_what_was_committed_before_by_any_process(database: Database, tmp_path: Path) -> None:
    await become_known(database)
    update = "UPDATE plans SET included_minutes = {}"
    for number in range(20):
        async with database.write() as connection:
            await connection.execute(text(update.format(number)))
            assert await minutes(database) != number, "it is not committed"
        assert await minutes(database) == number
    with closing(sqlite3.connect(tmp_path / "visavis.db", isolation_level=None)) as other:
        for number in range(100, 120):
            other.execute("BEGIN IMMEDIATE")
            other.execute(update.format(number))
            assert await minutes(database) == (19 if number == 100 else number - 1), "a writer holds nobody up"
            other.execute("COMMIT")
            assert await minutes(database) == number
        other.execute("ALTER TABLE plans RENAME COLUMN included_minutes TO included")
        other.execute("ALTER TABLE plans RENAME COLUMN included TO included_minutes")
    program = f"import sqlite3; c = sqlite3.connect({str(tmp_path / 'visavis.db')!r}); "
    program += f"c.execute({update.format(500)!r}); c.commit(); c.execute('PRAGMA wal_checkpoint(TRUNCATE)')"
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: ASYNC221 (nothing else runs here)
    assert await minutes(database) == 500
    assert await is_read_in_place(database)


async def test_an_error_is_that_of_the_thread_and_the_next_reads_are_as_before(database: Database) -> None:
    for _ in range(3):
        assert await database.rows_by(sign_ins.c.id, ["none"]) == []
    async with database.write() as connection:
        await connection.execute(text("ALTER TABLE sign_ins RENAME TO away"))
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await database.rows_by(sign_ins.c.id, ["none"])
    async with database.write() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO sign_ins"))
    for _ in range(3):
        assert await database.rows_by(sign_ins.c.id, ["none"]) == []
    await become_known(database)


class Clock:
    """A clock that stands still. `reads_in_place` asks it before and after each read."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of names whose readers do not hold up writers."""
    path = tmp_path / "names.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE names (name TEXT)")
        connection.execute("INSERT INTO names VALUES ('a')")
        connection.commit()
    return path


QUERY = "SELECT * FROM names WHERE name = ?"


async def test_two_slow_reads_send_all_reads_through_threads_for_a_while(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    reads = ReadsInPlace(path, clock_s=clock)

    async def read(*, slowly: bool = False, after_s: float = 0.0) -> bool:
        clock.now_s += after_s
        monkeypatch.setattr(reads_in_place, "SLOW_S", -1.0 if slowly else 1.0)
        found = await reads.fetch(QUERY, "a")
        reads.has_read(QUERY, ["a"])
        assert found in (None, [("a",)])
        return found is not None

    assert not await read()
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):  # each alone may be another process's doing
            assert await read(slowly=True, after_s=11.0)
        assert logs == []
        assert await read(slowly=True, after_s=9.0)
    assert [(log["event"], log["log_level"]) for log in logs] == [("database_read_through_threads", "warning")]
    assert not await read()
    assert not await read(after_s=59.0)
    assert await read(after_s=2.0)
    reads.close()


async def test_a_read_of_a_minute_ago_goes_through_a_thread(path: Path) -> None:
    clock = Clock()
    reads = ReadsInPlace(path, clock_s=clock)
    reads.has_read(QUERY, ["a"])
    for _ in range(3):  # each read is one, too
        clock.now_s += 59
        assert await reads.fetch(QUERY, "a") == [("a",)]
    clock.now_s += 61
    assert await reads.fetch(QUERY, "a") is None
    reads.close()


async def test_the_last_connection_empties_the_log(tmp_path: Path) -> None:
    """One that only reads could not: it is closed before the others, also while it is being opened."""
    for reads in (1, 2, 3):
        database = await Database.open(f"sqlite+aiosqlite:///{tmp_path / f'{reads}.db'}")
        for _ in range(reads - 1):
            await database.rows_by(plans.c.key, ["unlimited"])
        reading = asyncio.create_task(database.rows_by(plans.c.key, ["unlimited"]))
        await asyncio.sleep(0)
        await database.aclose()
        assert len(await reading) == 1
        assert sorted(name for name in os.listdir(tmp_path) if name.startswith(str(reads))) == [f"{reads}.db"]
        assert not await is_read_in_place(database)
        await database.aclose()


async def test_a_database_whose_readers_hold_up_writers_is_not_read_here(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    clock = Clock()
    reads = ReadsInPlace(path, clock_s=clock)
    reads.has_read(QUERY, ["a"])
    with structlog.testing.capture_logs() as logs:
        assert [await reads.fetch(QUERY, "a") for _ in range(3)] == [None] * 3
    assert [log["problem"] for log in logs] == ["its journal mode is delete"]
    reads.close()
