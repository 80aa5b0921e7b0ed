"""Reads of whole rows by one column, on the database's driver itself.

Nearly every request makes one or two. SQLAlchemy's part of such a read (a connection from the pool, a statement, a
result) takes five to ten times as long as the driver's and the database's together (decision 0074). Of SQLite, what was
read lately is read in the event loop's own thread (decision 0079).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
from sqlalchemy import Column, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from visavis.store import reads_in_place
from visavis.store.reads_in_place import ReadsInPlace

KEPT_FOR_S = 600.0  # then the pool looks after a connection again: firewalls forget those that are old


class Driver(Protocol):
    """What sqlite.py and postgresql.py say of their drivers. `ONE_OF`: the condition that `{column}` has one of the
    values that `fetch` is given. `fetch` takes a connection of the driver, and returns the rows; JSON and truth values
    may come as the database keeps them.
    """

    ONE_OF: str

    def fetch(self, connection: Any, statement: str, values: Sequence[str]) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    """`converted`: the columns whose values the driver gives as the database keeps them."""

    sql: str
    names: tuple[str, ...]
    converted: tuple[tuple[str, Callable[[Any], Any]], ...]

    @classmethod
    def of(cls, column: Column[str], condition: str, engine: AsyncEngine) -> _Statement:
        """`condition`: as `Driver.ONE_OF`."""
        columns, dialect = column.table.columns, engine.dialect
        query = select(*columns).where(literal_column(condition.format(column=f"{column.table.name}.{column.name}")))
        processors = ((one.name, one.type.dialect_impl(dialect).result_processor(dialect, None)) for one in columns)
        return cls(
            sql=str(query.compile(dialect=dialect)),
            names=tuple(columns.keys()),
            converted=tuple((name, convert) for name, convert in processors if convert is not None),
        )

    def rows(self, found: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        rows = [dict(zip(self.names, row, strict=True)) for row in found]
        for row in rows:
            for name, convert in self.converted:
                row[name] = convert(row[name])
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    connection: AsyncConnection
    raw: Any  # the driver's
    until_s: float


class DirectReads:
    """One connection of the pool stays taken for these reads. More of them at once take further connections.
    `in_place`: reads first what it can read at once.
    """

    def __init__(self, engine: AsyncEngine, driver: Driver, in_place: ReadsInPlace | None = None) -> None:
        self._engine, self._driver, self._in_place = engine, driver, in_place
        self._statements: dict[tuple[Column[str], str], _Statement] = {}  # by column and condition
        self._kept: _Kept | None = None  # None while it is in use
        self._closed = False  # set by `aclose`: a read that is under way then keeps nothing

    async def rows_by(self, column: Column[str], values: Collection[str]) -> list[dict[str, Any]]:
        """Return the whole rows of the column's table in which it has one of these values, by the names of the columns.
        Raises what the driver and the pool raise.
        """
        wanted = list(values)
        if self._in_place is None:
            return await self._through_pool(column, wanted)
        of_one = self._statement(column, reads_in_place.IS)
        found = await self._in_place.fetch(of_one.sql, wanted[0]) if len(wanted) == 1 else None
        if found is not None:
            return of_one.rows(found)
        rows = await self._through_pool(column, wanted)
        self._in_place.has_read(of_one.sql, wanted)
        return rows

    def _statement(self, column: Column[str], condition: str) -> _Statement:
        statement = self._statements.get((column, condition))
        if statement is None:
            statement = self._statements[column, condition] = _Statement.of(column, condition, self._engine)
        return statement

    async def _through_pool(self, column: Column[str], wanted: Sequence[str]) -> list[dict[str, Any]]:
        statement = self._statement(column, self._driver.ONE_OF)
        kept, self._kept = self._kept, None
        if kept is not None and time.monotonic() >= kept.until_s:
            with anyio.CancelScope(shield=True):
                await kept.connection.close()
            kept = None
        if kept is not None:
            try:
                return statement.rows(await self._fetch(kept, statement.sql, wanted))
            except TimeoutError:
                raise
            except Exception:  # noqa: BLE001 (a database that has restarted has closed it: over another one, then)
                pass
        return statement.rows(await self._fetch(await self._connect(), statement.sql, wanted))

    async def _connect(self) -> _Kept:
        with anyio.CancelScope(shield=True):  # nothing would close what is half open
            connection = await self._engine.connect()
            raw = (await connection.get_raw_connection()).driver_connection
        return _Kept(connection=connection, raw=raw, until_s=time.monotonic() + KEPT_FOR_S)

    async def _fetch(self, over: _Kept, sql: str, values: Sequence[str]) -> Iterable[Sequence[Any]]:
        """Read over a connection, and keep it afterwards if no other is kept."""
        try:
            found: Iterable[Sequence[Any]] = await self._driver.fetch(over.raw, sql, values)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                if not isinstance(error, Exception):  # cancelled in the middle of a statement
                    await over.connection.invalidate()
                await over.connection.close()
            raise
        if self._kept is None and not self._closed:
            self._kept = over
        else:
            with anyio.CancelScope(shield=True):
                if self._closed:  # its pool closes no connection any more
                    await over.connection.invalidate()
                await over.connection.close()
        return found

    async def aclose(self) -> None:
        self._closed = True
        if self._in_place is not None:
            self._in_place.close()
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.connection.close()
