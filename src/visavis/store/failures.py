"""Errors of the disk and of the database, in one line each instead of a traceback."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from visavis.errors import StorageUnusable

# Result codes of SQLite that say something of the disk or of the file, not of the statement
# (https://sqlite.org/rescode.html).
_STORAGE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


@contextmanager
def translated_disk_errors(what: str) -> Iterator[None]:
    """Raise `StorageUnusable` in place of an OSError. `what`: what is being read or written, as in "The avatar"."""
    try:
        yield
    except OSError as error:
        raise StorageUnusable(f"{what} cannot be stored or read now: {error.strerror or error}") from error


@contextmanager
def translated_database_errors() -> Iterator[None]:
    """Raise `StorageUnusable` in place of an error of SQLite that comes from its disk or its file."""
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the primary code, which an extended one begins with
        if code not in _STORAGE_CODES:
            raise
        raise StorageUnusable(f"The database cannot be used now: {error.orig}") from error
