"""Errors of the disk and of the database, in one line each instead of a traceback."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

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
# The same of PostgreSQL (https://www.postgresql.org/docs/current/errcodes-appendix.html). Classes: connections,
# resources (a full disk, too many connections), an operator's doing (a server that stops, a statement's time-out), and
# the system below. Codes: read-only, idle for too long, a deadlock, a lock not to be had, damaged data; and for a new
# connection: no entry, no such database.
_STORAGE_CLASSES = ("08", "53", "57", "58")
_STORAGE_STATES = frozenset(
    {"25006", "25P03", "25P04", "40001", "40P01", "55P03", "XX001", "XX002", "28000", "28P01", "3D000"}
)
_NO_ENTRY_STATES = frozenset({"28000", "28P01", "3D000"})
_NO_LOCK_STATE = "55P03"


@contextmanager
def translated_disk_errors(what: str) -> Iterator[None]:
    """Raise `StorageUnusable` in place of an OSError. `what`: what is being read or written, as in "The avatar"."""
    try:
        yield
    except OSError as error:
        raise StorageUnusable(f"{what} cannot be stored or read now: {error.strerror or error}") from error


@contextmanager
def translated_database_errors() -> Iterator[None]:
    """Raise `StorageUnusable` in place of an error that comes from the database, its disk or the way to it."""
    try:
        yield
    except Exception as error:
        if (problem := storage_problem(error)) is None:
            raise
        raise StorageUnusable(f"The database cannot be used now: {problem}") from error


def storage_problem(error: Exception) -> str | None:
    """Return in words why the database cannot be used; None for an error that says so much of the statement alone."""
    if isinstance(error, PoolTimeout):
        return "all its connections are in use"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, OSError):  # its own text may name addresses, and clients read this
        return os.strerror(error.errno) if error.errno and error.errno > 0 else "it cannot be reached"
    found = error.orig if isinstance(error, DBAPIError) else error
    if (sqlite_code := getattr(found, "sqlite_errorcode", None)) is not None:
        # the primary code, which an extended one begins with
        return str(found) if sqlite_code & 0xFF in _STORAGE_CODES else None
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return "the connection to it was closed"
    state = getattr(found, "sqlstate", None)
    if isinstance(state, str) and (state.startswith(_STORAGE_CLASSES) or state in _STORAGE_STATES):
        return str(getattr(found, "__cause__", None) or found)
    return None


def is_locked(error: Exception) -> bool:
    """Whether a statement has waited for a lock for as long as it may."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == _NO_LOCK_STATE


def is_unreachable(error: Exception) -> bool:
    """Whether a new connection has failed because the server is not there, or does not take any yet."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith(_STORAGE_CLASSES) and state not in _NO_ENTRY_STATES
    return isinstance(error, OSError)
