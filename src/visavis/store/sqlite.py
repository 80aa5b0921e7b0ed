"""What is special about SQLite: its file, who may read it, and how its connections are set up."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiosqlite
import msgspec
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from visavis.machine.file_modes import file_mode, folder_mode
from visavis.store import sqlite_cursor
from visavis.store.json_column import dump_json

CONNECTIONS = 8  # each has a thread; more of them would wait for the interpreter, not for the disk
BUSY_TIMEOUT_MS = 10_000  # how long a statement waits for a lock
EMPTY_WITHIN_MS = 50  # our own reads from the log are over then
# SQLite's log (the file beside the database whose name ends with -wal) has what the database itself has not yet. SQLite
# takes over its pages whenever it has 4 MB, but begins it anew only at a write that finds nobody reading from it. Under
# load somebody always is, so the server empties a large log (https://sqlite.org/wal.html, "Avoiding Excessively Large
# WAL Files").
LARGE_LOG_BYTES = 16 * 1024 * 1024
KEPT_LOG_BYTES = 8 * 1024 * 1024  # a log that begins anew shrinks to this; otherwise it keeps the size it ever had

ONE_OF = "{column} IN (SELECT value FROM json_each(?))"  # see direct_reads.Driver


def open_sqlite(url: str, path: Path | None) -> AsyncEngine:
    """Return the engine of an SQLite database. `path`: its file, if it has one. Raises `sqlite3.Error`, OSError."""
    if path is not None:
        _make_private(path)
        # aiosqlite leaves a thread behind when it cannot open a file, which may print a traceback.
        sqlite3.connect(path).close()
    pool: dict[str, Any] = {} if path is None else {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_use_lifo": True}
    engine = create_async_engine(url, json_serializer=dump_json, **pool)
    event.listen(engine.sync_engine, "do_connect", sqlite_cursor.connect)
    event.listen(engine.sync_engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # secure_delete: pages of deleted rows are overwritten, so that the file keeps no trace.
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "secure_delete=ON",
        f"journal_size_limit={KEPT_LOG_BYTES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute("SELECT name FROM sqlite_master")
    tables = {name for (name,) in cursor.fetchall()}
    if not tables or "alembic_version" in tables:  # else it belongs to another program, and stays as it is
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()


async def fetch(connection: aiosqlite.Connection, statement: str, values: Sequence[str]) -> Iterable[Sequence[Any]]:
    """See `direct_reads.Driver`."""
    return await connection.execute_fetchall(statement, (msgspec.json.encode(values).decode(),))


def log_bytes(path: Path) -> int:
    """Return the size of the log of the database `path`."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0


async def empty_log(connection: AsyncConnection) -> bool:
    """Empty the log; return False if it stays because somebody reads from it. All writers wait for this statement, so
    it waits for no reader that takes long.
    """
    await connection.exec_driver_sql(f"PRAGMA busy_timeout={EMPTY_WITHIN_MS}")
    try:
        is_busy = (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]
        await connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    except BaseException:
        await connection.invalidate()  # nobody else gets it with this timeout
        raise
    return not is_busy


def _make_private(path: Path) -> None:
    """Create the file so that only this user can read it, or its group (`file_modes`). Remove the permissions of all
    others from an existing file, which an earlier version has made.

    SQLite gives its other files the same mode. If something fails here, SQLite reports it when it opens the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode())
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, file_mode())
        try:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if mode & stat.S_IRWXO:
                os.fchmod(descriptor, mode & ~stat.S_IRWXO)
        finally:
            os.close(descriptor)
