"""What is special about PostgreSQL: its address, its pool of connections, and how long a statement may take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from visavis.store.json_column import dump_json

STATEMENT_TIMEOUT_S = 10  # also for a lock; SQLite waits as long for its own
COMMAND_TIMEOUT_S = 15  # for a server that does not answer at all: its own time-out comes first
CONNECT_TIMEOUT_S = 10
POOL_TIMEOUT_S = 10
QUICK_TIMEOUT_S = 1.5  # of a statement that is worth nothing after a second, and of a connection for it
RECYCLE_S = 1_800  # firewalls forget connections

ONE_OF = "{column} = ANY($1::varchar[])"  # see direct_reads.Driver

_SETTINGS = {
    "application_name": "visavis",
    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "lock_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "idle_in_transaction_session_timeout": f"{COMMAND_TIMEOUT_S}s",
    "jit": "off",  # takes longer than our statements
}


class LastingConnection(AsyncConnection):
    """A connection whose first statement goes over another connection if its server has closed this one.

    A server that restarts, or an operator, ends connections of the pool. Whoever takes one just then finds that out
    with the first statement. That statement has changed nothing: its transaction was not committed.
    """

    __slots__ = ()

    async def execute(self, *args: Any, **options: Any) -> Any:
        is_first = not self.in_transaction()
        try:
            return await super().execute(*args, **options)
        except DBAPIError as error:
            if not (is_first and error.connection_invalidated):
                raise
            await self.rollback()  # else SQLAlchemy takes no other connection
            await self.get_raw_connection()
            return await super().execute(*args, **options)


async def fetch(connection: Any, statement: str, values: Sequence[str]) -> Iterable[Sequence[Any]]:
    """See `direct_reads.Driver`. asyncpg keeps the statement prepared."""
    rows: list[Sequence[Any]] = await connection.fetch(statement, values)
    return rows


def open_postgresql(url: str, *, connections: int) -> AsyncEngine:
    """Return an engine with so many connections at most. Connects to nothing yet."""
    connect = _connector(url, _SETTINGS, command_timeout_s=COMMAND_TIMEOUT_S)
    return _open(connect, connections=connections, pool_timeout_s=POOL_TIMEOUT_S)


def open_beside(url: str, *, connections: int) -> AsyncEngine:
    """Return an engine for statements that are worth nothing after a second (`Database.beside`)."""
    return _open(connector_beside(url), connections=connections, pool_timeout_s=QUICK_TIMEOUT_S)


def connector_beside(url: str) -> Callable[[], Awaitable[Any]]:
    """Return what opens a connection of the driver (asyncpg) for such statements."""
    quick = {"synchronous_commit": "off", "statement_timeout": "1s", "lock_timeout": "1s"}
    return _connector(url, _SETTINGS | quick, command_timeout_s=QUICK_TIMEOUT_S, connect_timeout_s=QUICK_TIMEOUT_S)


def _open(connect: Callable[[], Awaitable[Any]], *, connections: int, pool_timeout_s: float) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        json_serializer=dump_json,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=pool_timeout_s,
        pool_recycle=RECYCLE_S,
        pool_use_lifo=True,
    )
    event.listen(engine.sync_engine, "checkout", _check_connection)
    return engine


def open_for_migrations(url: str) -> AsyncEngine:
    """Return an engine whose statements may take as long as they need."""
    settings = {"application_name": "visavis migrations", "statement_timeout": "0", "lock_timeout": "0"}
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=_connector(url, settings, command_timeout_s=None),
        json_serializer=dump_json,
        poolclass=NullPool,
    )


def _connector(
    url: str,
    settings: dict[str, str],
    *,
    command_timeout_s: float | None,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
) -> Callable[[], Awaitable[Any]]:
    # asyncpg reads the address itself: it knows what libpq knows (sslmode, several hosts, a password file).
    address = "postgresql://" + url.partition("://")[2]
    chosen = {name for name, _ in parse_qsl(urlsplit(address).query)}

    async def connect() -> Any:
        import asyncpg  # here: a server with SQLite does not need it

        return await asyncpg.connect(
            address,
            timeout=connect_timeout_s,
            command_timeout=command_timeout_s,
            server_settings={name: value for name, value in settings.items() if name not in chosen},
        )

    return connect


def _check_connection(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool replace a connection that its server has closed."""
    if connection._connection.is_closed():  # noqa: SLF001 (SQLAlchemy's adapter has no public name for it)
        raise DisconnectionError
