"""The clock of a machine, compared with that of the PostgreSQL which machines share.

Leases need no clock but the database's (leases.py). But certificates and the tokens of rooms, relays and TURN hold for
a time, and what a server writes down has its time: a machine whose clock is far off is named.
"""

from __future__ import annotations

import time

from sqlalchemy import Float, cast, extract, func, select

from visavis.store.database import Database

CLOCKS_DIFFER_AT_MOST_S = 30.0

_NOW_S = select(cast(extract("epoch", func.clock_timestamp()), Float))


async def clock_ahead_s(database: Database) -> float:
    """Return by how much this machine's clock is ahead of the database's, within half of the time that the answer
    takes; negative: behind. Raises `StorageUnusable`.
    """
    async with database.at_once() as connection:
        before_s = time.time()
        theirs_s: float = (await connection.execute(_NOW_S)).scalar_one()
        return (before_s + time.time()) / 2 - theirs_s
