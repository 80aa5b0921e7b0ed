"""Copies a database into an empty one of the other kind: every row of every table, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Table, delete, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.errors import DatabaseUnusable
from visavis.store.database import Database
from visavis.store.models import avatars, metadata, plans

AT_ONCE = 1_000  # rows


async def copy_database(
    source: Database, target: Database, *, tell: Callable[[str, int], None] = lambda _table, _rows: None
) -> dict[str, int]:
    """Copy all rows; return how many each table has. `tell` is called with each table and its rows. Nobody else may
    write to either database. Raises `DatabaseUnusable`, and copies nothing, if the target has rows that a migration did
    not make, or if the two do not have the same number of rows in the end.
    """
    counts: dict[str, int] = {}
    async with source.read() as reading, target.write() as writing:
        await _refuse_unless_empty(writing)
        await writing.execute(delete(plans))  # the source has them, too
        for table in metadata.sorted_tables:
            await _copy_table(table, reading, writing)
            read, written = await _count(table, reading), await _count(table, writing)
            if read != written:
                raise DatabaseUnusable(
                    f"The table {table.name} has {read} rows, and its copy {written}: nothing was copied",
                    suggestion="Stop every server that uses the two databases, and copy again",
                )
            counts[table.name] = written
            tell(table.name, written)
    return counts


async def _refuse_unless_empty(connection: AsyncConnection) -> None:
    """Raises `DatabaseUnusable`. A new database has one plan, which a migration has made."""
    for table in metadata.sorted_tables:
        rows = await _count(table, connection)
        if rows > (1 if table is plans else 0):
            raise DatabaseUnusable(
                f"The database to copy into is not empty: {table.name} has {rows} rows",
                suggestion="Create a new database, and set VISAVIS_DATABASE_URL to it",
            )


async def _copy_table(table: Table, reading: AsyncConnection, writing: AsyncConnection) -> None:
    """Copy the rows of a table in the order of its primary key; characters before the looks that refer to them."""
    conditions = [None]
    if table is avatars:
        conditions = [avatars.c.parent_id.is_(None), avatars.c.parent_id.is_not(None)]  # type: ignore[list-item]
    key = list(table.primary_key.columns)
    for condition in conditions:
        after: tuple[Any, ...] | None = None
        while True:
            query = select(table).order_by(*key).limit(AT_ONCE)
            if condition is not None:
                query = query.where(condition)
            if after is not None:
                query = query.where(tuple_(*key) > after)
            rows = [dict(row) for row in (await reading.execute(query)).mappings()]
            if not rows:
                break
            await writing.execute(insert(table), rows)
            after = tuple(rows[-1][column.name] for column in key)


async def _count(table: Table, connection: AsyncConnection) -> int:
    return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
