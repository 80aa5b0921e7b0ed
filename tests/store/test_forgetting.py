"""SQLite's log has copies of what was deleted: it is emptied, and nobody waits for a program that reads from it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from sqlalchemy import text

from visavis.store.database import Database

pytestmark = pytest.mark.anyio

WORD = b"a word to be forgotten"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/visavis.db")
    async with opened.write() as connection:
        await connection.execute(text("CREATE TABLE words (word TEXT)"))
        await connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": WORD.decode()})
    yield opened
    await opened.aclose()


async def forget_all(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("DELETE FROM words"))
    await database.forget()


def has_word(folder: Path) -> bool:
    return any(WORD in file.read_bytes() for file in folder.iterdir())


async def test_nothing_is_left_of_what_was_deleted(database: Database, tmp_path: Path) -> None:
    assert has_word(tmp_path)
    await forget_all(database)
    assert not has_word(tmp_path)


async def test_a_program_that_reads_holds_up_nobody_and_the_log_is_emptied_when_it_is_done(
    database: Database, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "visavis.db", isolation_level=None)) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT word FROM words").fetchone() == (WORD.decode(),)
        with anyio.fail_after(8):  # a statement waits for a lock for 10 s
            await forget_all(database)
            await database.check()
        assert has_word(tmp_path)
        other.execute("COMMIT")
    await database.check()
    assert not has_word(tmp_path)
