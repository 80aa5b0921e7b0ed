"""The sessions that are performed now: starts and ends them, and attaches channels and viewers to them.

A live session owns its performer from allocation to end, and consumes its events in one task. Every end of a session
goes through `LiveSessions.end`: the status in the store changes first, by compare-and-set, then the channel gets its
last event, then the performer ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
import structlog
from anyio.abc import TaskGroup

from visavis.accounts.service import Accounts
from visavis.channel.port import SessionInit
from visavis.engine.output import Output
from visavis.errors import (
    InvalidRoomUrl,
    PerformerLost,
    SessionEnded,
    SessionNotFound,
    SessionNotStarted,
    Unauthorized,
    VisavisError,
)
from visavis.fleet.port import Fleet, Performer
from visavis.ids import is_id
from visavis.sessions.allocation import MakeSpec, Packs, allocate
from visavis.sessions.attachment import Attachment
from visavis.sessions.backgrounds import Backgrounds
from visavis.sessions.deadlines import Deadlines, GracePeriods
from visavis.sessions.lifecycle import EndReason, Status, Transition, next_status
from visavis.sessions.live_session import LiveSession
from visavis.sessions.live_table import LiveTable, Starting
from visavis.sessions.metering import SessionClock, ended_at_ms
from visavis.sessions.tokens import check_room_token, matches_hash
from visavis.stage.port.values import PerformanceSpec
from visavis.store.records import SessionRecord
from visavis.store.sessions import SessionStore
from visavis.timestamps import now_ms

log = structlog.get_logger()


class LiveSessions:
    """Implements `channel.port.LiveSessions`. Works inside `running()` only."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        accounts: Accounts,
        store: SessionStore,
        backgrounds: Backgrounds,
        grace_periods: GracePeriods,
        packs: Packs,
        secret: bytes,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._fleet = fleet
        self._accounts = accounts
        self._store = store
        self._backgrounds = backgrounds
        self._grace_periods = grace_periods
        self._packs = packs
        self._secret = secret  # signs the tokens of rooms
        self._clock_ms = clock_ms
        self.table = LiveTable()
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the tasks of all live sessions inside this context; end all sessions when it is left."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    await self.end_all(EndReason.SERVER_STOPPED)
                tasks.cancel_scope.cancel()

    # Starting and ending

    async def start(
        self, record: SessionRecord, make_spec: MakeSpec, *, max_duration_ms: int | None, wait_s: float
    ) -> SessionRecord | None:
        """Allocate a performer and set the status to started; return the new record. Returns None if that takes longer
        than `wait_s`: the caller repeats the call later.

        Raises what `allocate` raises, and `SessionEnded`.
        """
        assert self._tasks is not None
        if record.id in self.table.running:
            return await self._store.get(record.id)
        starting = self.table.starting.get(record.id)
        if starting is None:
            starting = self.table.starting[record.id] = Starting(record.key_id, record.avatar_id)
            self._tasks.start_soon(self._run_session, record, make_spec, max_duration_ms, starting)
        with anyio.move_on_after(wait_s):
            await starting.done.wait()
        if starting.error is not None:
            raise starting.error
        return starting.started

    async def _run_session(
        self, record: SessionRecord, make_spec: MakeSpec, max_duration_ms: int | None, starting: Starting
    ) -> None:
        """The task of one session: allocate a performer, then run the session until it is over."""
        structlog.contextvars.clear_contextvars()  # the task outlives the request that started it
        session: LiveSession | None = None
        try:
            performer, spec = await allocate(self._fleet, self._packs, record.avatar_id, make_spec)
            try:
                session = await self._set_started(record, performer, spec, max_duration_ms, starting)
            finally:
                if session is None:
                    with anyio.CancelScope(shield=True), anyio.move_on_after(5):
                        await performer.end()
        except VisavisError as error:
            starting.error = error
            log.warning("session_start_refused", session_id=record.id, code=error.code, detail=error.message)
        except Exception:  # the outermost edge of a performance
            starting.error = PerformerLost("The avatar could not be started")
            log.exception("session_start_failed", session_id=record.id)
        finally:
            del self.table.starting[record.id]
            starting.done.set()
        if session is None:
            return
        try:
            await session.run()
        except Exception:  # the outermost edge of a performance
            log.exception("live_session_failed", session_id=record.id)
            await self.end(record.id, EndReason.PERFORMER_LOST)

    async def _set_started(
        self,
        record: SessionRecord,
        performer: Performer,
        spec: PerformanceSpec,
        max_duration_ms: int | None,
        starting: Starting,
    ) -> LiveSession | None:
        """Set the status to started and return the live session; None if another start was first."""
        clock = SessionClock(started_at_ms=self._clock_ms(), started_s=anyio.current_time())
        started = await self._store.move(
            record,
            to=next_status(Status(record.status), Transition.START),
            started_at_ms=clock.started_at_ms,
            seen_at_ms=clock.started_at_ms,
            expiration_ms=None if max_duration_ms is None else clock.started_at_ms + max_duration_ms,
        )
        if started is None:
            starting.started = await self._store.get(record.id)
            if starting.started is None or starting.started.status != Status.STARTED:
                raise SessionEnded
            return None
        deadlines = Deadlines(
            self._grace_periods,
            now_s=anyio.current_time(),
            expires_at_s=None if max_duration_ms is None else clock.started_s + max_duration_ms / 1000,
        )
        session = LiveSession(
            session_id=record.id,
            key_id=record.key_id,
            performer=performer,
            deadlines=deadlines,
            size_px=(spec.width_px, spec.height_px),
            output=spec.output,
            backgrounds=self._backgrounds,
            save_output=self._save_output,
            end=self.end,
            clock=clock,
        )
        self.table.running[record.id] = session
        starting.started = started
        log.info("session_started", session_id=record.id, avatar_id=record.avatar_id, dialect=record.dialect)
        return session

    async def end(self, session_id: str, reason: EndReason) -> SessionRecord | None:
        """End a session and return its record, None if the session is unknown. Of several calls at once, the reason of
        one is recorded.

        Raises `SessionNotStarted` for a session that has only been created.
        """
        with anyio.CancelScope(shield=True):
            record = await self._store.get(session_id)
            if record is not None:
                record = await self._end(record, reason)
        return record

    async def _end(self, record: SessionRecord, reason: EndReason) -> SessionRecord:
        session = self.table.running.get(record.id)
        if record.status != Status.ENDED:
            to = next_status(Status(record.status), Transition.END)
            end_ms = ended_at_ms(record, reason, now_ms=self.table.until_ms(record))
            metering = {} if session is None else session.metering(until_ms=end_ms)
            ended = await self._store.move(record, to=to, ended_at_ms=end_ms, end_reason=reason, **metering)
            if ended is None:
                record = await self._store.get(record.id) or record  # another call was first
            else:
                record = ended
                log.info("session_ended", session_id=record.id, reason=reason)
        if session is not None:
            await session.end_performance(EndReason(record.end_reason or reason))
            self.table.running.pop(record.id, None)
            if session.output.backdrop.picture_id is not None:
                await self._backgrounds.delete(record.id)
        return record

    async def _save_output(self, session_id: str, output: Output) -> None:
        await self._store.update(session_id, output=output.plain())

    async def end_all(self, reason: EndReason) -> None:
        """End all live sessions at the same time. Takes no longer than the timeout for the end of one performer."""
        async with anyio.create_task_group() as tasks:
            for session_id in list(self.table.running):
                tasks.start_soon(self.end, session_id, reason)

    # Using live sessions

    def size_and_output(self, session_id: str) -> tuple[tuple[int, int], Output]:
        """Return the (width, height) of the session's picture and its output. Raises `SessionEnded`."""
        session = self.table.running.get(session_id)
        if session is None or session.ending:
            raise SessionEnded
        return session.size_px, session.output

    async def offer(self, session_id: str, *, viewer_id: str, address: str, sdp: str) -> str:
        """Return the SDP answer to a viewer's offer, which came from `address`. Raises `OfferRefused`, `PerformerLost`,
        `RoomFull`, `SessionEnded`, `TooManyOffers`.
        """
        session = self._session(session_id)
        session.joining.begin(viewer_id, address, now_s=anyio.current_time())
        try:
            return await session.performer.offer(viewer_id=viewer_id, sdp=sdp)
        except BaseException:
            session.joining.left(viewer_id)
            raise

    def has_viewer(self, session_id: str, viewer_id: str) -> bool:
        """Whether the viewer is in the room or about to connect. Raises `SessionEnded`."""
        return self._session(session_id).joining.knows(viewer_id, now_s=anyio.current_time())

    async def remove_viewer(self, session_id: str, viewer_id: str) -> bool:
        session = self._session(session_id)
        session.joining.left(viewer_id)
        return await session.performer.remove_viewer(viewer_id)

    def _session(self, session_id: str) -> LiveSession:
        session = self.table.running.get(session_id)
        if session is None:
            raise SessionEnded
        return session

    async def save_metering(self) -> None:
        """Save when each live session was last seen and its metering. If this server dies, the next one ends its
        sessions as of these times.
        """
        for session in list(self.table.running.values()):
            now = session.now_ms()
            await self._store.update(session.session_id, seen_at_ms=now, **session.metering(until_ms=now))

    async def attach(self, init: SessionInit) -> Attachment:
        """See `channel.port.LiveSessions.attach`."""
        record = await self._store.get(init.session_id) if is_id("sess", init.session_id) else None
        if record is None:
            raise SessionNotFound
        if not matches_hash(init.token, record.token_hash):
            raise Unauthorized("Invalid access token")
        if await self._accounts.is_revoked(record.key_id):
            raise Unauthorized("API key has been deactivated")
        if record.status == Status.CREATED:
            raise SessionNotStarted("Session has not been started", suggestion="Start the session first")
        session = self.table.running.get(record.id)
        if record.status == Status.ENDED or session is None:
            raise SessionEnded
        if init.hosted:
            if not _is_address_of(record.room_name, init.room_url or ""):
                raise InvalidRoomUrl("Invalid room url", suggestion="Use the url of the session's daily_room")
            check_room_token(self._secret, room_name=record.room_name, token=init.room_token or "")
            await session.resize(width_px=init.width_px, height_px=init.height_px)
        await session.stream_motion("motion" in init.features)
        return session.open_channel()


def _is_address_of(room_name: str, url: str) -> bool:
    """Whether the URL is that of the room. Its host is not compared: a server can have several names."""
    try:
        return urlsplit(url).path.rstrip("/") == f"/rooms/{room_name}"
    except ValueError:  # an unclosed bracket, or an impossible host
        return False
