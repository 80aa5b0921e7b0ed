"""One step of a connection's thread for each statement in SQLite.

aiosqlite runs everything in a thread of the connection. SQLAlchemy's own cursor goes there four times for a statement
(make a cursor, execute, fetch, close) and once more to roll back what no statement has begun. This cursor goes there
once.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from typing import Any

from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_cursor

from visavis.store.sqlite_thread import open_connection


class _Done:
    """What is left of a cursor of sqlite3 when all its rows were fetched."""

    __slots__ = ("arraysize", "description", "lastrowid", "rowcount")

    def __init__(self, cursor: sqlite3.Cursor | None = None) -> None:
        self.arraysize = 1
        self.description = None if cursor is None else cursor.description
        self.lastrowid = None if cursor is None else cursor.lastrowid
        self.rowcount = -1 if cursor is None else cursor.rowcount

    def close(self) -> None:
        """Nothing is left to close."""


def _execute(connection: sqlite3.Connection, operation: str, parameters: Any) -> tuple[_Done, deque[Any]]:
    """Run a statement and fetch all its rows, in the connection's thread."""
    cursor = connection.cursor()
    try:
        cursor.execute(operation, () if parameters is None else parameters)
        rows = deque(cursor.fetchall() if cursor.description else ())
        return _Done(cursor), rows
    finally:
        cursor.close()


def _execute_many(connection: sqlite3.Connection, operation: str, parameters: Any) -> _Done:
    cursor = connection.cursor()
    try:
        cursor.executemany(operation, parameters)
        return _Done(cursor)
    finally:
        cursor.close()


class OneStepCursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ()

    _awaitable_cursor_close = False

    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    def _make_new_cursor(self, connection: Any) -> Any:
        return _Done()

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        aiosqlite_connection: Any = self._connection
        async with self._adapt_connection._execute_mutex:
            self._cursor, self._rows = await aiosqlite_connection._execute(
                _execute, aiosqlite_connection._conn, operation, parameters
            )
        return self

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        aiosqlite_connection: Any = self._connection
        async with self._adapt_connection._execute_mutex:
            self._cursor = await aiosqlite_connection._execute(
                _execute_many, aiosqlite_connection._conn, operation, seq_of_parameters
            )
        return self


class OneStepConnection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()

    _cursor_cls = OneStepCursor

    def rollback(self) -> None:
        if self._has_begun():
            super().rollback()

    def commit(self) -> None:
        if self._has_begun():
            super().commit()

    def _has_begun(self) -> bool:
        """Whether a statement has begun a transaction. Nothing runs in the connection's thread meanwhile."""
        connection: Any = self._connection
        return connection._connection is not None and connection.in_transaction


def connect(dialect: Any, _record: object, arguments: Any, options: Any) -> OneStepConnection:
    """Connect as the dialect does (SQLAlchemy's event `do_connect`)."""
    plain: Any = dialect.connect(*arguments, async_creator_fn=open_connection, **options)
    return OneStepConnection(dialect.loaded_dbapi, plain.driver_connection)
