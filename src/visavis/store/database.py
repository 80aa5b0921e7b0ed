"""Opens the database and brings its schema up to date. The queries are in the other modules of this package."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from visavis.errors import DatabaseUnusable, SettingInvalid
from visavis.store.failures import translated_database_errors
from visavis.store.file_system import check_place


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute("SELECT name FROM sqlite_master")
    tables = {name for (name,) in cursor.fetchall()}
    if not tables or "alembic_version" in tables:  # else it belongs to another program, and stays as it is
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()


def _hold_references(connection: Connection) -> None:
    """Let SQLite check references again, which a migration may have switched off."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _dump_json(value: Any) -> str:
    """Write JSON without escapes for letters: SQLite does not find a key that is written with escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite database; None for another database, a database in memory, or a `file:` address.
    Raises `SettingInvalid` for an address that is none.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingInvalid(
            "VISAVIS_DATABASE_URL is not the address of a database", suggestion="Write sqlite+aiosqlite:////PATH"
        ) from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database.startswith((":", "file:")):
        return None
    return Path(parsed.database)


def begin_writing(connection: Connection) -> None:
    """Wait for the write lock, so that no other transaction writes between the reads and the writes of this one."""
    if connection.dialect.name == "sqlite":  # otherwise it takes the lock with the first statement that writes a row
        connection.exec_driver_sql("BEGIN IMMEDIATE")


class ForeignSchema(Exception):
    """A database that is none of this version of Visavis. Its text continues "The database …"."""


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


@contextmanager
def _described_errors(url: str, path: Path | None) -> Iterator[None]:
    """Raise `DatabaseUnusable` in place of whatever keeps the database from being opened."""
    name = f"The database {path or make_url(url).render_as_string(hide_password=True)}"
    try:
        yield
    except DBAPIError as error:
        raise DatabaseUnusable(f"{name} cannot be used: {error.orig}") from error
    except sqlite3.Error as error:
        raise DatabaseUnusable(f"{name} cannot be used: {error}") from error
    except OSError as error:
        raise DatabaseUnusable(f"{name} cannot be used: {error.strerror or error}") from error
    except ModuleNotFoundError as error:
        raise DatabaseUnusable(f"{name} cannot be used: {error.name} is not installed") from error
    except SQLAlchemyError as error:
        raise DatabaseUnusable(f"{name} cannot be used: {error}") from error
    except ForeignSchema as error:
        raise DatabaseUnusable(f"{name} {error}", suggestion="Set VISAVIS_DATA_DIR or VISAVIS_DATABASE_URL") from error


class Database:
    """An open database. `read` and `write` each yield a connection. `write` is one transaction; it is committed if its
    block raises nothing. Both raise `StorageUnusable` if the disk or the file fails.

    A write waits until no other task or process writes. Both blocks must be short, because cancellation waits for their
    end: nothing would close a connection that is dropped in the middle of a statement.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    async def open(cls, url: str, *, create: bool = True) -> Database:
        """Connect, and run the migrations that this database does not have yet. `create`: make an SQLite database that
        does not exist. Raises `DatabaseUnusable`, and `SettingInvalid` for an address that is none.
        """
        path = sqlite_path(url)
        if path is not None:
            check_place(path)
            if not create and not path.exists():
                raise DatabaseUnusable(
                    f"There is no database at {path}", suggestion="Set VISAVIS_DATA_DIR to the server's data folder"
                )
        with _described_errors(url, path):
            if path is not None:
                _make_private(path)
                # aiosqlite leaves a thread behind when it cannot open a file, which may print a traceback.
                sqlite3.connect(path).close()
            engine = create_async_engine(url, json_serializer=_dump_json)
            if engine.dialect.name == "sqlite":
                event.listen(engine.sync_engine, "connect", _prepare_sqlite)
            try:
                from visavis.store.migrations import upgrade

                async with engine.connect() as connection:
                    await connection.run_sync(upgrade)
                    await connection.commit()
                    await connection.run_sync(_hold_references)
            except BaseException:
                await engine.dispose()
                raise
        return cls(engine)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        with anyio.CancelScope(shield=True), translated_database_errors():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        with anyio.CancelScope(shield=True), translated_database_errors():
            async with self._engine.begin() as connection:
                await connection.run_sync(begin_writing)
                yield connection

    async def check(self) -> None:
        """Raises what the database raises if it cannot be written now. Writes nothing."""
        async with self.write() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def aclose(self) -> None:
        await self._engine.dispose()
