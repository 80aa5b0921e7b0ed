"""The sessions that are being performed now: who performs them, who speaks into them, and when they end by themselves.

A live session owns its performer from allocation to end, and consumes its events in one task. Everything that ends one
goes through `LiveSessions.end`: the store moves first, by compare-and-set, then the channel hears of it, then the
performer ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import anyio
import structlog
from anyio.abc import TaskGroup

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
from visavis.sessions.allocation import Packs, SpecWith, allocate
from visavis.sessions.attachment import Attachment
from visavis.sessions.backgrounds import Backgrounds
from visavis.sessions.deadlines import Deadlines, GracePeriods
from visavis.sessions.lifecycle import Act, EndReason, Status, move
from visavis.sessions.live_session import LiveSession
from visavis.sessions.tokens import opens
from visavis.stage.port.values import PerformanceSpec
from visavis.store.records import SessionRecord
from visavis.store.sessions import SessionStore
from visavis.timestamps import now_ms

log = structlog.get_logger()


@dataclass(slots=True)
class _Starting:
    """A session whose performer is being allocated. `error` is set before `done` when it came to nothing."""

    key_id: str
    avatar_id: str
    done: anyio.Event = field(default_factory=anyio.Event)
    started: SessionRecord | None = None
    error: VisavisError | None = None


class LiveSessions:
    """Implements `channel.port.LiveSessions`. Works inside `running()` only."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        store: SessionStore,
        backgrounds: Backgrounds,
        grace_periods: GracePeriods,
        packs: Packs,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._fleet = fleet
        self._store = store
        self._backgrounds = backgrounds
        self._grace_periods = grace_periods
        self._packs = packs
        self._clock_ms = clock_ms
        self._live: dict[str, LiveSession] = {}
        self._starting: dict[str, _Starting] = {}
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Own the tasks of every live session; at the end, end them all."""
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
        self, record: SessionRecord, spec_with: SpecWith, *, max_duration_ms: int | None, wait_s: float
    ) -> SessionRecord | None:
        """Allocate a performer and move the session to started; return it as it is then, or None when that takes longer
        than `wait_s`: call again.

        `spec_with` gives what to perform with the look's pack. Raises what `Fleet.allocate` raises, and `SessionEnded`.
        """
        assert self._tasks is not None
        if record.id in self._live:
            return await self._store.get(record.id)
        starting = self._starting.get(record.id)
        if starting is None:
            starting = self._starting[record.id] = _Starting(record.key_id, record.avatar_id)
            self._tasks.start_soon(self._perform, record, spec_with, max_duration_ms, starting)
        with anyio.move_on_after(wait_s):
            await starting.done.wait()
        if starting.error is not None:
            raise starting.error
        return starting.started

    async def _perform(
        self, record: SessionRecord, spec_with: SpecWith, max_duration_ms: int | None, starting: _Starting
    ) -> None:
        """One session's task: allocate, then live until it is over."""
        structlog.contextvars.clear_contextvars()  # it outlives the request that started it
        session: LiveSession | None = None
        try:
            performer, spec = await allocate(self._fleet, self._packs, record.avatar_id, spec_with)
            try:
                session = await self._begin(record, performer, spec, max_duration_ms, starting)
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
            del self._starting[record.id]
            starting.done.set()
        if session is None:
            return
        try:
            await session.run()
        except Exception:  # the outermost edge of a performance
            log.exception("live_session_failed", session_id=record.id)
            await self.end(record.id, EndReason.PERFORMER_LOST)

    async def _begin(
        self,
        record: SessionRecord,
        performer: Performer,
        spec: PerformanceSpec,
        max_duration_ms: int | None,
        starting: _Starting,
    ) -> LiveSession | None:
        """Move the session to started; None when another start was first."""
        now = self._clock_ms()
        started = await self._store.move(
            record,
            to=move(Status(record.status), Act.START),
            started_at_ms=now,
            seen_at_ms=now,
            expiration_ms=None if max_duration_ms is None else now + max_duration_ms,
        )
        if started is None:
            starting.started = await self._store.get(record.id)
            if starting.started is None or starting.started.status != Status.STARTED:
                raise SessionEnded
            return None
        now_s = anyio.current_time()
        deadlines = Deadlines(
            self._grace_periods,
            now_s=now_s,
            expires_at_s=None if max_duration_ms is None else now_s + max_duration_ms / 1000,
        )
        session = LiveSession(
            session_id=record.id,
            key_id=record.key_id,
            performer=performer,
            deadlines=deadlines,
            size_px=(spec.width_px, spec.height_px),
            output=spec.output,
            backgrounds=self._backgrounds,
            keep_output=self._keep_output,
            end=self.end,
            clock_ms=self._clock_ms,
        )
        self._live[record.id] = session
        starting.started = started
        log.info("session_started", session_id=record.id, avatar_id=record.avatar_id, dialect=record.dialect)
        return session

    async def end(self, session_id: str, reason: EndReason) -> SessionRecord | None:
        """End a session; of several that want to, one does, and its reason is the one recorded. Return it as it is
        then, None if unknown.

        Raises `SessionNotStarted` for a session that was only created.
        """
        with anyio.CancelScope(shield=True):
            record = await self._store.get(session_id)
            if record is not None:
                record = await self._end(record, reason)
        return record

    async def _end(self, record: SessionRecord, reason: EndReason) -> SessionRecord:
        session = self._live.get(record.id)
        if record.status != Status.ENDED:
            figures = {} if session is None else session.metered()
            to = move(Status(record.status), Act.END)
            ended = await self._store.move(record, to=to, ended_at_ms=self._clock_ms(), end_reason=reason, **figures)
            if ended is None:
                record = await self._store.get(record.id) or record  # another was first
            else:
                record = ended
                log.info("session_ended", session_id=record.id, reason=reason)
        if session is not None:
            await session.close(EndReason(record.end_reason or reason))
            self._live.pop(record.id, None)
            if session.output.backdrop.picture_id is not None:
                await self._backgrounds.forget(record.id)
        return record

    async def _keep_output(self, session_id: str, output: Output) -> None:
        await self._store.note(session_id, output=output.plain())

    async def end_all(self, reason: EndReason) -> None:
        """End every live session, all at once; bounded by the time one performer may take to end."""
        async with anyio.create_task_group() as tasks:
            for session_id in list(self._live):
                tasks.start_soon(self.end, session_id, reason)

    # What others ask

    def current(self, key_id: str) -> int:
        """How many sessions of the key run now. Those being started count, or a limit would forget them."""
        running = sum(session.key_id == key_id and not session.ending for session in self._live.values())
        return running + sum(starting.key_id == key_id for starting in self._starting.values())

    def avatars_in_preparation(self) -> set[str]:
        """Avatars of sessions that are being started: their files stay."""
        return {starting.avatar_id for starting in self._starting.values()}

    def performing(self, session_id: str) -> bool:
        return session_id in self._live or session_id in self._starting

    def picture(self, session_id: str) -> tuple[tuple[int, int], Output]:
        """Return the size and the look of what is performed. Raises `SessionEnded`."""
        session = self._live.get(session_id)
        if session is None or session.ending:
            raise SessionEnded
        return session.size_px, session.output

    async def offer(self, session_id: str, *, viewer_id: str, sdp: str) -> str:
        """Answer a viewer. Raises `OfferRefused`, `PerformerLost`, `SessionEnded`."""
        return await self._performer(session_id).offer(viewer_id=viewer_id, sdp=sdp)

    async def remove_viewer(self, session_id: str, viewer_id: str) -> bool:
        return await self._performer(session_id).remove_viewer(viewer_id)

    def _performer(self, session_id: str) -> Performer:
        session = self._live.get(session_id)
        if session is None:
            raise SessionEnded
        return session.performer

    async def note_signs_of_life(self) -> None:
        """Keep what is metered so far, so that a dead server's sessions end when they really did."""
        for session in list(self._live.values()):
            await self._store.note(session.session_id, seen_at_ms=self._clock_ms(), **session.metered())

    async def attach(self, init: SessionInit) -> Attachment:
        """See `channel.port.LiveSessions.attach`."""
        record = await self._store.get(init.session_id) if is_id("sess", init.session_id) else None
        if record is None:
            raise SessionNotFound
        if not opens(init.token, record.token_hash):
            raise Unauthorized("Invalid access token")
        if record.status == Status.CREATED:
            raise SessionNotStarted("Session has not been started", suggestion="Start the session first")
        session = self._live.get(record.id)
        if record.status == Status.ENDED or session is None:
            raise SessionEnded
        if init.hosted:
            if not _leads_to(init.room_url or "", record.room_name):
                raise InvalidRoomUrl("Invalid room url", suggestion="Use the url of the session's daily_room")
            await session.resize(width_px=init.width_px, height_px=init.height_px)
        await session.stream_motion("motion" in init.features)
        return session.open_channel()


def _leads_to(url: str, room_name: str) -> bool:
    """Whether an address is the room's, whatever name this server was reached by."""
    try:
        return urlsplit(url).path.rstrip("/") == f"/rooms/{room_name}"
    except ValueError:  # an unclosed bracket, or a host that no host can be
        return False
