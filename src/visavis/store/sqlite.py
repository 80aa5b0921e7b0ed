"""What is special about SQLite: its file, who may read it, and how its connections are set up."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from visavis.store.json_column import dump_json


def open_sqlite(url: str, path: Path | None) -> AsyncEngine:
    """Return the engine of an SQLite database. `path`: its file, if it has one. Raises `sqlite3.Error`, OSError."""
    if path is not None:
        _make_private(path)
        # aiosqlite leaves a thread behind when it cannot open a file, which may print a traceback.
        sqlite3.connect(path).close()
    engine = create_async_engine(url, json_serializer=dump_json)
    event.listen(engine.sync_engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute("SELECT name FROM sqlite_master")
    tables = {name for (name,) in cursor.fetchall()}
    if not tables or "alembic_version" in tables:  # else it belongs to another program, and stays as it is
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()


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
