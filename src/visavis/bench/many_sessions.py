"""Gives an account many sessions that have ended, as years of use would: written into the database at once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Insert, Text, cast, insert, literal, select, true

from visavis.store.database import Database
from visavis.store.models import sessions
from visavis.store.session_lists import Position

AT_ONCE = 20_000  # rows in a transaction, so that the server can write in between
APART_MS = 1_000  # from the creation of one session to that of the next
_FIRST_ID = 10**17  # 18 digits: with eight zeros before it, the 26 characters of a ULID


async def add_ended_sessions(database_url: str, template_id: str, *, count: int) -> list[Position]:
    """Copy a session so many times, each created a second before the last one and ended at once; return some of their
    places in the list. The database is one of a server that runs.
    """
    database = await Database.open(database_url, create=False)
    try:
        async with database.read() as connection:
            created = select(sessions.c.created_at_ms).where(sessions.c.id == template_id)
            newest_ms = int((await connection.execute(created)).scalar_one())
        for first in range(1, count + 1, AT_ONCE):
            async with database.write() as connection:
                await connection.execute(_copies(template_id, first=first, last=min(count, first + AT_ONCE - 1)))
        if database.is_shared:  # PostgreSQL does so by itself, but some time later
            async with database.write() as connection:
                await connection.exec_driver_sql("ANALYZE sessions")
    finally:
        await database.aclose()
    numbers = range(1, count + 1, max(1, count // 1000))
    return [
        Position(created_at_ms=newest_ms - number * APART_MS, id=f"sess_00000000{_FIRST_ID + number}")
        for number in numbers
    ]


def _copies(template_id: str, *, first: int, last: int) -> Insert:
    numbers = select(literal(first, BigInteger).label("i")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < last))
    created_at_ms = sessions.c.created_at_ms - numbers.c.i * APART_MS
    others: dict[str, ColumnElement[Any]] = {
        "id": literal("sess_00000000") + cast(literal(_FIRST_ID, BigInteger) + numbers.c.i, Text),
        "room_name": literal("vv-bench-") + cast(numbers.c.i, Text),
        "status": literal("ended"),
        "created_at_ms": created_at_ms,
        "ended_at_ms": created_at_ms,
    }
    columns = [others.get(column.name, column) for column in sessions.columns]
    source = sessions.join(numbers, true())
    copied = select(*columns).select_from(source).where(sessions.c.id == template_id)
    return insert(sessions).from_select([column.name for column in sessions.columns], copied)
