"""Starts sessions: allocates a performer for each and moves its row to started. A start that nobody waits for goes
on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

import anyio
import structlog

from visavis.errors import (
    NoCapacity,
    PerformerLost,
    ServerStopping,
    SessionEnded,
    SessionNotFound,
    StorageUnusable,
    VisavisError,
)
from visavis.fleet.port import Fleet, Performer
from visavis.sessions.allocation import MakeSpec, Packs, allocate
from visavis.sessions.failed_starts import FailedStarts
from visavis.sessions.isolated_tasks import IsolatedTasks
from visavis.sessions.lifecycle import Status, Transition, next_status
from visavis.sessions.live_session import LiveSession
from visavis.sessions.live_table import LiveTable, Starting
from visavis.sessions.metering import SessionClock
from visavis.sessions.observer import Observer
from visavis.sessions.plan_limits import Claim
from visavis.stage.port.values import PerformanceSpec
from visavis.store.records import SessionRecord
from visavis.store.sessions import SessionStore

_GIVE_BACK_WITHIN_S = 5.0  # a performer whose session has not started

log = structlog.get_logger()


TakePlace = Callable[[], Awaitable[Claim | None]]
"""See `PlanLimits.claim`."""


class Placing(Protocol):
    """What a fleet that places sessions in the database has written into their rows (stage_directory.py)."""

    async def placed(self, record: SessionRecord) -> SessionRecord:
        """Return a record as it is since its session was placed."""
        ...

    async def release(self, session_id: str) -> None:
        """Give the place of a session back that has not started."""
        ...


class MakeLive(Protocol):
    def __call__(
        self, started: SessionRecord, performer: Performer, spec: PerformanceSpec, clock: SessionClock
    ) -> LiveSession:
        """Return the live session of a row that has just been started."""
        ...


class Starts:
    """`timeout_s`: how long a performer may take. `run`: runs a live session from its start to its end. `placing`: None
    where the fleet writes nothing into the session's row.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        packs: Packs,
        store: SessionStore,
        table: LiveTable,
        timeout_s: float,
        clock_ms: Callable[[], int],
        make_live: MakeLive,
        run: Callable[[LiveSession], Awaitable[None]],
        observer: Observer,
        placing: Placing | None = None,
    ) -> None:
        self._placing = placing
        self._fleet, self._packs, self._store, self._table = fleet, packs, store, table
        self._timeout_s, self._clock_ms = timeout_s, clock_ms
        self._make_live, self._run, self._observer = make_live, run, observer
        self._failed = FailedStarts()
        self.stopped = False  # set once, when the server begins to stop

    def stop(self) -> None:
        """Start no session from now on, also none that is being started."""
        self.stopped = True

    def check_open(self) -> None:
        """Raises `ServerStopping`."""
        if self.stopped:
            raise ServerStopping

    async def start(
        self,
        record: SessionRecord,
        make_spec: MakeSpec,
        *,
        claim: TakePlace,
        wait_s: float,
        tasks: IsolatedTasks,
    ) -> SessionRecord | None:
        """Start a session in `tasks`. See `LiveSessions.start`."""
        self.check_open()
        if record.id in self._table.running:
            return await self._store.get(record.id)
        if (failed := self._failed.take(record.id, now_s=anyio.current_time())) is not None:
            raise failed
        starting = self._table.starting.get(record.id)
        if starting is None:
            starting = self._table.starting[record.id] = Starting(record.avatar_id)
            perform = partial(self._perform, record, make_spec, claim, starting)
            tasks.start("session", perform, session_id=record.id)
        starting.waiting += 1
        try:
            with anyio.move_on_after(wait_s):
                await starting.done.wait()
        finally:
            starting.waiting -= 1
        if starting.error is not None:
            raise starting.error
        return starting.started

    async def _perform(self, record: SessionRecord, make_spec: MakeSpec, claim: TakePlace, starting: Starting) -> None:
        """The task of one session: start it, then run it until it is over."""
        session: LiveSession | None = None
        place: Claim | None = None
        began_s = anyio.current_time()
        try:
            place = await claim()
            if place is None:
                starting.started = await self._started_already(record)
            else:
                session = await self._start(place, make_spec, starting)
        except VisavisError as error:
            starting.error = error
        except TimeoutError:
            starting.error = NoCapacity("The avatar could not be started in time", suggestion="Try again in a moment")
        except Exception:  # the outermost edge of a performance
            starting.error = PerformerLost("The avatar could not be started")
            log.exception("session_start_failed", session_id=record.id)
        finally:
            if place is not None and session is None:
                await _give_back(place)
            del self._table.starting[record.id]
            starting.done.set()
        if starting.error is not None and place is not None:
            self._observer.start_refused(record, starting.error, after_s=anyio.current_time() - began_s)
        if starting.error is not None and starting.waiting == 0:
            self._failed.add(record.id, starting.error, now_s=anyio.current_time())
        if session is not None:
            self._observer.started(session.record, after_s=anyio.current_time() - began_s)
            await self._run(session)

    async def _start(self, place: Claim, make_spec: MakeSpec, starting: Starting) -> LiveSession | None:
        """Allocate a performer and start the session; None if it has ended or started meanwhile."""
        session: LiveSession | None = None
        with anyio.fail_after(self._timeout_s):
            performer, spec = await allocate(self._fleet, self._packs, place.record.avatar_id, make_spec)
        try:
            if self._placing is not None:
                place = replace(place, record=await self._placing.placed(place.record))
            session = await self._set_started(place, performer, spec, starting)
        finally:
            if session is None:
                with anyio.CancelScope(shield=True), anyio.move_on_after(_GIVE_BACK_WITHIN_S):
                    await performer.end()
                    await self._release(place.record)
        return session

    async def _release(self, record: SessionRecord) -> None:
        """Give the place on a stage back. If that fails, it is given back with the session's end or its next start."""
        if self._placing is not None:
            try:
                await self._placing.release(record.id)
            except StorageUnusable as error:
                log.warning("place_not_given_back", session_id=record.id, problem=error.message)

    async def _started_already(self, record: SessionRecord) -> SessionRecord | None:
        """Return a session that another request has started; None while another server starts it. Raises
        `SessionEnded`, and `SessionNotFound` if it was deleted meanwhile.
        """
        current = await self._store.get(record.id)
        if current is None:
            raise SessionNotFound
        if current.status == Status.ENDED:
            raise SessionEnded
        return current if current.status == Status.STARTED else None

    async def _set_started(
        self,
        place: Claim,
        performer: Performer,
        spec: PerformanceSpec,
        starting: Starting,
    ) -> LiveSession | None:
        """Set the status to started and return the live session; None if another start was first."""
        self.check_open()
        record, max_duration_ms = place.record, place.max_duration_ms
        clock = SessionClock(started_at_ms=self._clock_ms(), started_s=anyio.current_time())
        started = await self._store.move(
            record,
            to=next_status(Status(record.status), Transition.START),
            started_at_ms=clock.started_at_ms,
            seen_at_ms=clock.started_at_ms,
            starting_until_ms=None,
            expiration_ms=None if max_duration_ms is None else clock.started_at_ms + max_duration_ms,
        )
        if started is None:
            starting.started = await self._started_already(record)
            return None
        session = self._table.running[record.id] = self._make_live(started, performer, spec, clock)
        starting.started = started
        return session


async def _give_back(place: Claim) -> None:
    """Give the place of a session back that has not started. If that fails, the place runs out."""
    with anyio.CancelScope(shield=True):
        try:
            await place.release()
        except StorageUnusable as error:
            log.warning("place_not_given_back", session_id=place.record.id, problem=error.message)
