"""Writes the ends of sessions to the database, and remembers those that cannot be written yet.

An end is decided in memory: its reason and its time are final from then on, whatever the database does. A database that
is locked, full or read-only delays the row of an ended session, not its end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import anyio
import structlog

from visavis.errors import StorageUnusable
from visavis.sessions.lifecycle import EndReason, Status
from visavis.store.audit import Actor
from visavis.store.last_seen import Seen
from visavis.store.records import SessionRecord
from visavis.timestamps import format_time

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # after a failure; it doubles with each further one
WAIT_S = 1.0  # how long an end waits for its row; then the session ends without it

log = structlog.get_logger()

WriteEnd = Callable[["SessionEnd"], Awaitable[SessionRecord]]
"""Writes the end unless the row has one; returns the row. Raises if the database fails."""


def pause_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row."""
    return min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10), LONGEST_PAUSE_S)


@dataclass(slots=True, kw_only=True, eq=False)
class SessionEnd:
    """The end of one session. `before`: its row until then. `metering`: columns of the row. `performed`: a performer
    ends after it, and with it utterances. `by`: who has asked for it, if the audit log is told.

    `record`: the session as it has ended. If the row had an end already, that one counts.
    """

    before: SessionRecord
    reason: EndReason
    ended_at_ms: int
    metering: dict[str, int | None]
    performed: bool = True
    by: Actor | None = None
    record: SessionRecord = field(init=False)
    written: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.record = replace(
            self.before,
            status=Status.ENDED,
            ended_at_ms=self.ended_at_ms,
            end_reason=self.reason,
            **self.metering,  # type: ignore[arg-type]
        )

    def seen(self) -> Seen:
        """Return what the next server must know if this one dies before the end is written."""
        return Seen(
            seen_at_ms=self.ended_at_ms,
            first_frame_at_ms=self.record.first_frame_at_ms,
            last_frame_at_ms=self.record.last_frame_at_ms,
            end_reason=self.reason,
        )


class Ends:
    """The ends that are not written yet. `run` writes them, one at a time, until it is cancelled."""

    def __init__(self, write: WriteEnd) -> None:
        self._write = write
        self.unwritten: dict[str, SessionEnd] = {}  # by session; the first is written next
        self._added = anyio.Event()  # replaced before each wait
        self._failures = 0  # in a row

    @property
    def problem(self) -> str | None:
        """What keeps ends from being written; None if nothing does."""
        if self._failures == 0 or not self.unwritten:
            return None
        return f"{len(self.unwritten)} ends of sessions cannot be written yet"

    def add(self, end: SessionEnd) -> None:
        """Have an end written as soon as possible."""
        self.unwritten[end.before.id] = end
        self._added.set()

    async def wait_written(self, end: SessionEnd) -> SessionRecord:
        """Return the session as it has ended. Waits for its row, but no longer than WAIT_S."""
        with anyio.move_on_after(WAIT_S):
            await end.written.wait()
        return end.record

    async def settle(self, session_id: str) -> None:
        """Wait until the row of a session has its end, if that is decided. Raises `StorageUnusable` after WAIT_S."""
        end = self.unwritten.get(session_id)
        if end is None:
            return
        await self.wait_written(end)
        if not end.written.is_set():
            raise StorageUnusable("The database cannot be used now: the end of this session is not written yet")

    async def run(self) -> None:
        while True:
            self._added = anyio.Event()
            if not self.unwritten:
                await self._added.wait()
            elif not await self._write_next():
                await anyio.sleep(pause_s(self._failures))

    async def flush(self) -> None:
        """Try once more to write every end, and log those that cannot be written. Used at the end of the server."""
        for _ in range(len(self.unwritten)):
            if not await self._write_next():
                break
        for end in self.unwritten.values():
            log.error(
                "session_end_lost",
                session_id=end.before.id,
                reason=end.reason,
                ended_at=format_time(end.ended_at_ms),
            )

    async def _write_next(self) -> bool:
        """Write the end that has waited longest. If that fails, it waits behind the others: return False."""
        session_id, end = next(iter(self.unwritten.items()))
        try:
            end.record = await self._write(end)
        except Exception as error:  # noqa: BLE001  # whatever it was, the end is written later
            self._failures += 1
            if self._failures == 1:
                log.error("session_ends_not_written", session_id=session_id, problem=_cause(error))
            self.unwritten[session_id] = self.unwritten.pop(session_id)
            return False
        if self._failures:
            log.info("session_ends_written_again", failures=self._failures)
        self._failures = 0
        del self.unwritten[session_id]
        end.written.set()
        return True


def _cause(error: Exception) -> str:
    """Return the database's own words: SQLAlchemy adds the statement and its values."""
    return str(getattr(error, "orig", None) or error)
