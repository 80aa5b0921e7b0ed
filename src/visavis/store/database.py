"""Opens the database and brings its schema up to date. The queries are in the other modules of this package."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from visavis.store.file_system import check_place


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _dump_json(value: Any) -> str:
    """Write JSON without escapes for letters: SQLite does not find a key that is written with escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite database; None for another database, a database in memory, or a `file:` address."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database.startswith((":", "file:")):
        return None
    return Path(parsed.database)


def begin_writing(connection: Connection) -> None:
    """Wait for the write lock, so that no other transaction writes between the reads and the writes of this one."""
    if connection.dialect.name == "sqlite":  # otherwise it takes the lock with the first statement that writes a row
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_private(path: Path) -> None:
    """Create the file so that only this user can read it. Remove other users' permissions from an existing file, which
    an earlier version has made.

    SQLite gives its other files the same mode. If something fails here, SQLite reports it when it opens the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
        try:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if mode & stat.S_IRWXO:
                os.fchmod(descriptor, mode & ~stat.S_IRWXO)
        finally:
            os.close(descriptor)


class Database:
    """An open database. `read` and `write` each yield a connection. `write` is one transaction; it is committed if its
    block raises nothing.

    A write waits until no other task or process writes. Both blocks must be short, because cancellation waits for their
    end: nothing would close a connection that is dropped in the middle of a statement.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    async def open(cls, url: str) -> Database:
        """Connect, and run the migrations that this database does not have yet. Raises `DatabaseUnusable`."""
        if (path := sqlite_path(url)) is not None:
            check_place(path)
            _make_private(path)
        engine = create_async_engine(url, json_serializer=_dump_json)
        if engine.dialect.name == "sqlite":
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        try:
            from visavis.store.migrations import upgrade

            async with engine.begin() as connection:
                await connection.run_sync(upgrade)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        with anyio.CancelScope(shield=True):
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        with anyio.CancelScope(shield=True):
            async with self._engine.begin() as connection:
                await connection.run_sync(begin_writing)
                yield connection

    async def check(self) -> None:
        """Raises what the database raises if it cannot be written now. Writes nothing."""
        async with self.write() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def aclose(self) -> None:
        await self._engine.dispose()
