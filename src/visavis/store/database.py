"""The database: opened with its schema brought up to date. Queries live in the repositories."""

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


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _json(value: Any) -> str:
    """Letters as they are: SQLite finds no key that is written with escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite database; None for another database, one in memory, or a `file:` address."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database.startswith((":", "file:")):
        return None
    return Path(parsed.database)


def begin_writing(connection: Connection) -> None:
    """Wait for the right to write, so that nothing changes between what this transaction reads and what it writes."""
    if connection.dialect.name == "sqlite":  # which otherwise begins with the first statement that writes a row
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_private(path: Path) -> None:
    """Create the file for this user alone. From a file that an earlier version made, take what others may do with it.

    SQLite gives the files beside it the same mode. What fails here, SQLite reports when it opens the file.
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
    """An open database. `read` and `write` each give one connection; `write` is one transaction, committed when its
    block ends well.

    A write waits until nobody else writes, also in other processes. Both are short and run to their end when their task
    is cancelled: a connection dropped in the middle of a statement would be closed by nobody.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    async def open(cls, url: str) -> Database:
        """Connect, and run the migrations that this database has not seen."""
        if (path := sqlite_path(url)) is not None:
            _make_private(path)
        engine = create_async_engine(url, json_serializer=_json)
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

    async def aclose(self) -> None:
        await self._engine.dispose()
