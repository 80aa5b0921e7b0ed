"""Who waits for a lock of the PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import text

from visavis.store.database import Database


async def until_waiting(database: Database, task: asyncio.Task[Any], *, others: int = 0) -> None:
    """Return when this task waits for a lock, beside so many others, or is done."""
    locks = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    waiting = 0
    async with database.read() as connection:
        while not task.done() and waiting <= others:  # no event tells of it
            waiting = (await connection.execute(text(locks))).scalar_one()
            await asyncio.sleep(0.01)
