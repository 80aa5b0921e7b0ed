"""SQLite's log stays small, whoever reads: the server empties it as soon as it can."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from visavis.store.database import Database
from visavis.store.sqlite import LARGE_LOG_BYTES

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
MOST_BYTES = 64 * MIB


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/visavis.db")
    async with opened.write() as connection:
        await connection.execute(text("CREATE TABLE pictures (picture BLOB)"))
        await connection.execute(text("INSERT INTO pictures VALUES ('')"))
    yield opened
    await opened.aclose()


async def write(database: Database) -> None:
    """Write a megabyte in place of the last one."""
    async with database.write() as connection:
        await connection.execute(text("UPDATE pictures SET picture = randomblob(1048576)"))


def log_bytes(folder: Path) -> int:
    return (folder / "visavis.db-wal").stat().st_size


def begin_to_read(reader: sqlite3.Connection, query: str = "SELECT length(picture) FROM pictures") -> None:
    reader.execute("BEGIN")
    reader.execute(query).fetchone()


@contextmanager
def readers_without_a_pause(path: Path, query: str = "SELECT length(picture) FROM pictures") -> Iterator[None]:
    """Four readers, of which one at least reads at any time, each for a few milliseconds."""
    over = threading.Event()

    def read() -> None:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as reader:
            while not over.is_set():
                begin_to_read(reader, query)
                time.sleep(0.004)
                reader.execute("COMMIT")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


async def test_it_stays_small_under_load(database: Database, tmp_path: Path) -> None:
    largest = 0
    with readers_without_a_pause(tmp_path / "visavis.db"):
        for number in range(80):
            await write(database)
            largest = max(largest, log_bytes(tmp_path))
            if number % 5 == 4:
                await database.check()  # as the server does all the time
    assert largest < MOST_BYTES, largest


async def test_what_a_long_reader_has_held_goes_when_it_is_done(database: Database, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "visavis.db", isolation_level=None)) as reader:
        begin_to_read(reader)
        while log_bytes(tmp_path) <= MOST_BYTES:
            await write(database)
        await database.check()
        assert log_bytes(tmp_path) > MOST_BYTES, "what it reads cannot go"
        reader.execute("COMMIT")
        await database.check()
        assert log_bytes(tmp_path) == 0


async def test_it_shrinks_where_nobody_checks(database: Database, tmp_path: Path) -> None:
    """As in commands beside the server: SQLite begins the log anew itself, and then it is no larger than it needs."""
    with closing(sqlite3.connect(tmp_path / "visavis.db", isolation_level=None)) as reader:
        begin_to_read(reader)
        while log_bytes(tmp_path) <= LARGE_LOG_BYTES:
            await write(database)
        reader.execute("COMMIT")
    for _ in range(2):  # the first one takes over the pages, the next one begins the log anew
        await write(database)
    assert 0 < log_bytes(tmp_path) < LARGE_LOG_BYTES


async def test_a_small_one_is_left_alone(database: Database, tmp_path: Path) -> None:
    await write(database)
    before = log_bytes(tmp_path)
    await database.check()
    assert log_bytes(tmp_path) == before > MIB
