"""Errors of the disk and of the database are ours, in one line; errors of our statements stay what they are."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from visavis.errors import DatabaseUnusable, StorageUnusable
from visavis.store.blobs import FolderBlobs
from visavis.store.database import Database
from visavis.store.failures import translated_disk_errors

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'visavis.db'}")
    yield opened
    await opened.aclose()


async def test_a_full_disk_is_an_error_of_the_storage(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("CREATE TABLE heavy (data BLOB)"))
        (pages,) = (await connection.execute(text("PRAGMA page_count"))).one()
    with pytest.raises(StorageUnusable, match="database or disk is full") as raised:
        async with database.write() as connection:
            await connection.execute(text(f"PRAGMA max_page_count={pages + 1}"))
            await connection.execute(text("INSERT INTO heavy VALUES (zeroblob(100000))"))
    assert (raised.value.code, raised.value.status, raised.value.retryable) == ("STORAGE_UNUSABLE", 503, True)
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM heavy"))).scalar() == 0


async def test_a_read_only_disk_is_an_error_of_the_storage(database: Database) -> None:
    with pytest.raises(StorageUnusable, match="attempt to write a readonly database"):
        async with database.write() as connection:
            await connection.execute(text("PRAGMA query_only=1"))
            await connection.execute(text("CREATE TABLE other (a)"))


async def test_a_file_that_was_damaged_while_it_was_open_is_an_error_of_the_storage(
    database: Database, tmp_path: Path
) -> None:
    async with database.read() as connection:
        await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    await database.aclose()
    path = tmp_path / "visavis.db"
    path.write_bytes(path.read_bytes()[:8192] + b"damaged" * 10_000)
    with pytest.raises((StorageUnusable, DatabaseUnusable), match=r"malformed|not a database"):
        opened = await Database.open(f"sqlite+aiosqlite:///{path}")
        try:
            async with opened.read() as connection:
                await connection.execute(text("SELECT * FROM keys, sessions, avatars, plans"))
        finally:
            await opened.aclose()


async def test_a_wrong_statement_stays_what_it_is(database: Database) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        async with database.read() as connection:
            await connection.execute(text("SELECT * FROM absent"))
    with pytest.raises(IntegrityError):
        async with database.write() as connection:
            await connection.execute(text("CREATE TABLE one (a INTEGER PRIMARY KEY)"))
            await connection.execute(text("INSERT INTO one VALUES (1), (1)"))


async def test_an_image_that_cannot_be_stored_leaves_no_part(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "image.jpg").mkdir()
    with pytest.raises(StorageUnusable, match="The image cannot be stored or read now: Is a directory"):
        await blobs.put("sessions/image.jpg", b"data")
    assert [path.name for path in (tmp_path / "sessions").iterdir()] == ["image.jpg"]


def test_an_error_of_the_disk_tells_what_and_why() -> None:
    with (
        pytest.raises(StorageUnusable, match=r"^The photo cannot be stored or read now: No space left on device$"),
        translated_disk_errors("The photo"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device", "/data/secret/path")
