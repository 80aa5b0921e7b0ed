"""The renewals of a simulated fleet's machines. A real machine sends two a second, from a process of its own; here one
process sends those of a thousand. So they go straight through the driver: what they take of this process is not what is
measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.sql.compiler import SQLCompiler

from visavis.errors import StorageUnusable
from visavis.store.leases import Lease
from visavis.store.postgresql import connector_beside
from visavis.store.stage_rows import RENEW, Room, renewal


class Machines:
    """Renews leases over a few connections, whichever is free."""

    def __init__(self, url: str) -> None:
        self._connect = connector_beside(url)
        self._free: asyncio.LifoQueue[Any] = asyncio.LifoQueue()
        compiled = RENEW.compile(dialect=dialect())  # type: ignore[no-untyped-call]
        assert isinstance(compiled, SQLCompiler)
        assert compiled.positiontup is not None
        self._statement, self._names = str(compiled), compiled.positiontup

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str, *, connections: int) -> AsyncIterator[Machines]:
        machines = cls(url)
        opened = [await machines._connect() for _ in range(connections)]
        for connection in opened:
            machines._free.put_nowait(connection)
        try:
            yield machines
        finally:
            for connection in opened:
                connection.terminate()

    async def renew(self, token: str, lease: Lease, room: Room) -> bool:
        """See `StageRows.renew`. Raises `StorageUnusable`."""
        import asyncpg  # here: a server with SQLite does not need it

        values = renewal(token, lease, room)
        connection = await self._free.get()
        try:
            return bool(await connection.fetchval(self._statement, *(values[name] for name in self._names)))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StorageUnusable(f"A lease could not be renewed: {error}") from error
        finally:
            self._free.put_nowait(connection)
