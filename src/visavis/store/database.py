"""Opens the database and brings its schema up to date. The queries are in the other modules of this package.

sqlite.py and postgresql.py have what is special about each of the two databases.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import structlog
from anyio.to_thread import run_sync
from sqlalchemy import URL, Column, Connection, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from visavis.errors import DatabaseUnusable, SettingInvalid, StorageUnusable
from visavis.store import postgresql, sqlite
from visavis.store.direct_reads import DirectReads
from visavis.store.failures import is_locked, is_unreachable, storage_problem, translated_database_errors
from visavis.store.file_system import check_place
from visavis.store.kept_copy import forget_old_copies, keep_before_migration
from visavis.store.postgresql import LastingConnection, open_beside, open_for_migrations, open_postgresql
from visavis.store.reads_in_place import ReadsInPlace
from visavis.store.sqlite import LARGE_LOG_BYTES, empty_log, log_bytes, open_sqlite

CONNECTIONS = 10  # at most, to a PostgreSQL
_THE_DATABASE = "the database"  # the turn of whoever writes to SQLite
TURN_WITHIN_S = 20.0  # twice as long as a statement waits for a lock
TRY_AGAIN_S = 0.5  # while a PostgreSQL cannot be reached at the start

log = structlog.get_logger()


def _parse(url: str) -> URL:
    """Raises `SettingInvalid` for an address that is none, and for another database than our two."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("sqlite", "postgresql", "postgres"):
        raise SettingInvalid(
            "VISAVIS_DATABASE_URL is not the address of a database",
            suggestion="Write postgresql://USER:PASSWORD@HOST/DATABASE or sqlite+aiosqlite:////PATH",
        )
    return parsed


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite database; None for another database, a database in memory, or a `file:` address.
    Raises `SettingInvalid` for an address that is none.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database.startswith((":", "file:")):
        return None
    return Path(parsed.database)


def begin_writing(connection: Connection) -> None:
    """Let no other transaction write between the reads and the writes of this one: wait for the write lock of SQLite.
    PostgreSQL has none: there a transaction locks the rows that its writes depend on (locks.py).
    """
    if connection.dialect.name == "sqlite":  # otherwise it takes the lock with the first statement that writes a row
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _hold_references(connection: Connection) -> None:
    """Let SQLite check references again, which a migration may have switched off."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")


class ForeignSchema(Exception):
    """A database that is none of this version of Visavis. Its text continues "The database …"."""

    def __init__(self, text: str, *, suggestion: str = "Set VISAVIS_DATA_DIR or VISAVIS_DATABASE_URL") -> None:
        super().__init__(text)
        self.suggestion = suggestion


@contextmanager
def described_errors(name: str) -> Iterator[None]:
    """Raise `DatabaseUnusable` in place of whatever keeps the database from being opened."""
    try:
        yield
    except ForeignSchema as error:
        raise DatabaseUnusable(f"{name} {error}", suggestion=error.suggestion) from error
    except ModuleNotFoundError as error:
        suggestion = "Install it with pip install 'visavis[postgresql]'" if error.name == "asyncpg" else None
        raise DatabaseUnusable(
            f"{name} cannot be used: {error.name} is not installed", suggestion=suggestion
        ) from error
    except Exception as error:
        if (problem := _problem(error)) is None:
            raise
        raise DatabaseUnusable(f"{name} cannot be used: {problem}") from error


def _problem(error: Exception) -> str | None:
    """Return in words why the database cannot be opened, None if that is not the database's doing."""
    if (problem := storage_problem(error)) is not None:
        return problem
    if isinstance(error, DBAPIError):
        return str(error.orig)
    if isinstance(error, (sqlite3.Error, SQLAlchemyError)) or type(error).__module__.startswith("asyncpg"):
        return str(error)
    return None


class Database:
    """An open database. `read` and `write` each yield a connection. `write` is one transaction; it is committed if its
    block raises nothing. Both raise `StorageUnusable` if the database, its disk or its file fails.

    In SQLite a write waits until no other task or process writes. Both blocks must be short, because cancellation waits
    for their end: nothing would close a connection that is dropped in the middle of a statement.
    """

    def __init__(self, engine: AsyncEngine, url: str) -> None:
        self._engine, self.url = engine, url
        self._path = sqlite_path(url)
        self._turns: dict[str, anyio.Lock] = {}  # while someone writes or waits
        self._log_stays = False  # True while SQLite's log may have copies of what was deleted
        # A read is one statement; in PostgreSQL it needs no transaction, which would be two more messages.
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT") if self.is_shared else engine
        in_place = None if self._path is None else ReadsInPlace(self._path)
        self._direct = DirectReads(engine, postgresql if self.is_shared else sqlite, in_place)

    @property
    def is_shared(self) -> bool:
        """Whether other servers may use this database at the same time. An SQLite database has one server."""
        return self._engine.dialect.name == "postgresql"

    @classmethod
    async def open(
        cls, url: str, *, create: bool = True, connections: int = CONNECTIONS, wait_s: float = 0.0
    ) -> Database:
        """Connect, and run the migrations that this database does not have yet. `create`: make an SQLite database that
        does not exist. `connections`: to a PostgreSQL, at most. `wait_s`: for a PostgreSQL that cannot be reached yet.
        Raises `DatabaseUnusable`, and `SettingInvalid` for an address that is none.
        """
        parsed, path = _parse(url), sqlite_path(url)
        if path is not None:
            check_place(path)
            if not create and not path.exists():
                raise DatabaseUnusable(
                    f"There is no database at {path}", suggestion="Set VISAVIS_DATA_DIR to the server's data folder"
                )
        with described_errors(f"The database {path or parsed.render_as_string(hide_password=True)}"):
            if parsed.get_backend_name() == "sqlite":
                if path is not None:
                    await run_sync(keep_before_migration, path, _newest_revision())
                engine = open_sqlite(url, path)
                try:
                    await _migrate(engine)
                except BaseException:
                    with anyio.CancelScope(shield=True):
                        await engine.dispose()
                    raise
                return cls(engine, url)
            await _migrate_postgresql(url, wait_s=wait_s)
            return cls(open_postgresql(url, connections=connections), url)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        with anyio.CancelScope(shield=True), translated_database_errors():
            async with self._connect(self._reading) as connection:
                yield connection

    async def rows_by(self, column: Column[str], values: Collection[str]) -> list[dict[str, Any]]:
        """Return the whole rows of the column's table in which it has one of these values. For what most requests ask:
        it costs a fraction of `read`. Raises `StorageUnusable` as `read` does.
        """
        with translated_database_errors():
            return await self._direct.rows_by(column, values)

    @asynccontextmanager
    async def write(self, *, turn: str | None = None) -> AsyncIterator[AsyncConnection]:
        """`turn`: what this transaction will lock, such as an account. Those of this process that name the same wait
        for each other without a connection, so that many requests of one account leave connections to the others. In
        SQLite all of them lock the same; whoever waits for that lock in SQLite itself sleeps up to a tenth of a second.
        """
        async with self._turn_of(turn if self.is_shared else _THE_DATABASE):
            with anyio.CancelScope(shield=True), translated_database_errors():
                async with self._connect(self._engine) as connection:
                    if not self.is_shared:
                        await connection.run_sync(begin_writing)
                    yield connection
                    await connection.commit()

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[AsyncConnection]:
        """A connection for one statement that is a transaction of its own: in PostgreSQL one message instead of three.
        If the connection to a PostgreSQL breaks, it may be carried out twice.
        """
        if not self.is_shared:
            async with self.write() as connection:
                yield connection
            return
        async with self.read() as connection:
            yield connection

    def beside(self, *, connections: int = 1) -> Database:
        """Return another pool of connections to the same PostgreSQL, for statements that must not wait behind requests,
        that are worth nothing after a second, and whose loss in a crash of the PostgreSQL does no harm: a commit does
        not wait for its disk.
        """
        assert self.is_shared
        return Database(open_beside(self.url, connections=connections), self.url)

    def _connect(self, engine: AsyncEngine) -> AsyncConnection:
        return LastingConnection(engine) if self.is_shared else engine.connect()

    @asynccontextmanager
    async def _turn_of(self, name: str | None) -> AsyncIterator[None]:
        if name is None:
            yield
            return
        lock = self._turns.setdefault(name, anyio.Lock())
        try:
            await self._wait_for(lock)
            try:
                yield
            finally:
                lock.release()
        finally:
            if not lock.locked() and not lock.statistics().tasks_waiting:
                self._turns.pop(name, None)

    async def _wait_for(self, lock: anyio.Lock) -> None:
        """Raises `StorageUnusable` if those before do not come to an end: another process holds the database."""
        try:
            with anyio.fail_after(TURN_WITHIN_S):
                await lock.acquire()
        except TimeoutError:
            raise StorageUnusable("The database cannot be used now: others wait for it, too") from None

    async def forget(self) -> None:
        """Empty SQLite's log, which has copies of what was deleted. If somebody reads it, `check` does so later."""
        if self.is_shared:
            return
        self._log_stays = True
        with suppress(StorageUnusable):
            async with self._turn_of(_THE_DATABASE):
                with anyio.CancelScope(shield=True), translated_database_errors():
                    async with self._engine.connect() as connection:
                        self._log_stays = not await empty_log(connection)

    @asynccontextmanager
    async def alone(self, what: str) -> AsyncIterator[None]:
        """Wait until no other server that shares the database is inside this context for the same `what`."""
        if not self.is_shared:
            yield
            return
        engine = open_for_migrations(self.url).execution_options(isolation_level="AUTOCOMMIT")
        async with AsyncExitStack() as stack:
            with translated_database_errors():
                connection = await stack.enter_async_context(engine.connect())
                await connection.execute(select(func.pg_advisory_lock(zlib.crc32(what.encode()))))
            yield  # the lock ends with the connection

    async def check(self) -> None:
        """Raises what the database raises if it cannot be written now. Writes no row. Empties SQLite's log if it has
        become large. The server asks all the time.
        """
        if self._log_stays or (self._path and await run_sync(log_bytes, self._path) > LARGE_LOG_BYTES):
            await self.forget()
        async with self.write() as connection:
            if not self.is_shared:
                await connection.exec_driver_sql("SELECT 1")
            elif await connection.scalar(text("SHOW transaction_read_only")) == "on":
                raise StorageUnusable("The database cannot be used now: it is read-only")

    async def forget_old_copies(self) -> None:
        """Delete the copies from before a migration that were kept long enough."""
        if self._path is not None:
            await run_sync(forget_old_copies, self._path)

    async def aclose(self) -> None:
        await self._direct.aclose()
        await self._engine.dispose()


def _newest_revision() -> str:
    from visavis.store.migrations import newest_revision

    return newest_revision()


async def _migrate(engine: AsyncEngine) -> None:
    from visavis.store.migrations import upgrade

    async with engine.connect() as connection:
        await connection.run_sync(upgrade)
        await connection.commit()
        await connection.run_sync(_hold_references)


async def _migrate_postgresql(url: str, *, wait_s: float) -> None:
    """Run the migrations on a PostgreSQL that may be about to start, and whose tables others may hold: tries again
    until they let go.
    """
    engine, tells = open_for_migrations(url), True
    deadline_s = anyio.current_time() + wait_s
    while True:
        try:
            await _migrate(engine)
            return
        except Exception as error:
            waits = is_locked(error) or (is_unreachable(error) and anyio.current_time() < deadline_s)
            if not waits:
                raise
            if tells:
                log.warning("waiting_for_database", problem=storage_problem(error))
            tells = False
            await anyio.sleep(TRY_AGAIN_S)
