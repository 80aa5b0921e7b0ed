"""Reads of whole rows by one column, on the database's driver itself.

Nearly every request makes one or two. SQLAlchemy's part of such a read (a connection from the pool, a statement, a
result) takes five to ten times as long as the driver's and the database's together (decision 0074).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
from sqlalchemy import Column, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

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
    def of(cls, column: Column[str], engine: AsyncEngine, driver: Driver) -> _Statement:
        columns, dialect = column.table.columns, engine.dialect
        query = select(*columns).where(
            literal_column(driver.ONE_OF.format(column=f"{column.table.name}.{column.name}"))
        )
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
    """One connection of the pool stays taken for these reads. More of them at once take further connections."""

    def __init__(self, engine: AsyncEngine, driver: Driver) -> None:
        self._engine, self._driver = engine, driver
        self._statements: dict[Column[str], _Statement] = {}
        self._kept: _Kept | None = None  # None while it is in use
        self._closed = False  # set by `aclose`: a read that is under way then keeps nothing

    async def rows_by(self, column: Column[str], values: Collection[str]) -> list[dict[str, Any]]:
        """Return the whole rows of the column's table in which it has one of these values, by the names of the columns.
        Raises what the driver and the pool raise.
        """
        statement = self._statements.get(column)
        if statement is None:
            statement = self._statements[column] = _Statement.of(column, self._engine, self._driver)
        wanted = list(values)
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
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.connection.close()
