"""Reads of one row of SQLite in the event loop's own thread.

The way to the thread of a connection and back takes several times as long as such a read. But whoever reads here holds
up the whole server, so (decision 0079):

- Only what was read within the last minute is read here: its pages are in memory. The first read of it goes through a
  thread.
- Nothing waits for a lock: what SQLite cannot do at once goes through a thread. So do all reads for a minute when two
  of them have taken long.

Each read is a transaction of its own: it sees whatever any process has committed before.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog
from anyio.to_thread import run_sync

IS = "{column} = ?"  # the condition of a statement that is read here; as `direct_reads.Driver.ONE_OF`
IN_MEMORY_S = 60.0  # so long after a read its pages are taken to be in memory
MOST_KNOWN = 10_000  # values that were read; with more, those of before are forgotten
SLOW_S = 0.02  # a read takes a thousandth of it
TWICE_IN_S = 10.0  # one slow read may be another process's doing; two within this time are taken for a slow disk's
PAUSE_S = 60.0

log = structlog.get_logger()


class ReadsInPlace:
    """One connection to the database `path` that only reads. It is opened by the first read, in a thread."""

    def __init__(self, path: Path, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock_s = path, clock_s
        self._connection: sqlite3.Connection | None = None
        self._opening = self._closed = False
        self._read_at_s: dict[tuple[str, str], float] = {}  # by statement and value
        self._paused_until_s = self._slow_at_s = -math.inf

    def has_read(self, statement: str, values: Iterable[str]) -> None:
        """Note that these values were read just now, through a thread."""
        now_s = self._clock_s()
        if len(self._read_at_s) >= MOST_KNOWN:
            self._read_at_s.clear()
        for value in values:
            self._read_at_s[statement, value] = now_s

    async def fetch(self, statement: str, value: str) -> Sequence[Sequence[Any]] | None:
        """Return the rows that a statement finds; None if the read has to go through a thread. Waits for nothing, but
        for the first read.
        """
        now_s, known = self._clock_s(), (statement, value)
        if now_s < self._paused_until_s or now_s - self._read_at_s.get(known, -math.inf) >= IN_MEMORY_S:
            return None
        if self._connection is None:
            await self._open()
        if self._connection is None:
            return None
        try:
            began_s = self._clock_s()
            found = self._connection.execute(statement, (value,)).fetchall()
        except sqlite3.Error:  # the thread can wait for a lock, and raises what is to be raised
            self._read_at_s.pop(known, None)
            self._close()
            return None
        self._read_at_s[known] = ended_s = self._clock_s()
        if ended_s - began_s > SLOW_S:
            self._note_slow(ended_s - began_s, now_s=ended_s)
        return found

    def _note_slow(self, took_s: float, *, now_s: float) -> None:
        if now_s - self._slow_at_s < TWICE_IN_S:
            self._pause(f"a read took {took_s * 1000:.0f} ms", now_s=now_s)
        self._slow_at_s = now_s

    def _pause(self, problem: str, *, now_s: float) -> None:
        self._paused_until_s = now_s + PAUSE_S
        log.warning("database_read_through_threads", problem=problem, seconds=PAUSE_S)

    async def _open(self) -> None:
        if self._opening or self._closed:
            return
        self._opening = True
        try:
            await run_sync(self._connect)
        except sqlite3.Error as error:
            self._pause(str(error), now_s=self._clock_s())
        finally:
            self._opening = False

    def _connect(self) -> None:
        """Raises `sqlite3.Error`."""
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if mode != "wal":  # readers and writers would wait for each other
                raise sqlite3.OperationalError(f"its journal mode is {mode}")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # reads the schema
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        if self._closed:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Read nothing here any more."""
        self._closed = True
        self._close()
