"""The sessions that are performed now: starts and ends them, and attaches channels and viewers to them.

A live session owns its performer from allocation to end, and consumes its events in one task. What fails in it ends it
alone. Every end of a session goes through `LiveSessions.end`: the end is decided in memory and written to the store
(ends.py), then the performer ends all speech, then the channel gets its last event.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from hmac import compare_digest
from itertools import count
from urllib.parse import urlsplit

import anyio
import msgspec
import structlog
from anyio.to_thread import run_sync

from visavis.accounts.service import Accounts
from visavis.channel.port import SessionInit, TokenRevoked
from visavis.engine.output import Output
from visavis.errors import (
    HandOverBegun,
    InvalidRoomUrl,
    PerformerLost,
    SessionEnded,
    SessionNotFound,
    SessionNotStarted,
    StorageUnusable,
    Unauthorized,
)
from visavis.fleet.port import Adopted, Fleet, Performer
from visavis.ids import is_id
from visavis.proxy_rooms.daily_rooms import DoorSeal
from visavis.rooms.spec import EmbeddedRoomSpec, IceRestarted, LiveKitRoomSpec
from visavis.sessions.allocation import MakeSpec, Packs
from visavis.sessions.attachment import Attachment
from visavis.sessions.backgrounds import Backgrounds
from visavis.sessions.browser_tokens import BrowserTokens, Purpose, is_browser_token
from visavis.sessions.deadlines import Deadlines, GracePeriods
from visavis.sessions.ends import WAIT_S, Ends, SessionEnd
from visavis.sessions.isolated_tasks import IsolatedTasks, Vitals
from visavis.sessions.lifecycle import EndReason, Status, Transition, next_status
from visavis.sessions.live_session import LiveSession, certain
from visavis.sessions.live_table import LiveTable
from visavis.sessions.metering import SessionClock, ended_at_ms
from visavis.sessions.observer import Observer
from visavis.sessions.options import SessionOptions, options_of
from visavis.sessions.played import Played
from visavis.sessions.session_metrics import SessionMetrics
from visavis.sessions.starts import Placing, Starts, TakePlace
from visavis.sessions.tokens import check_room_token, matches_hash
from visavis.stage.port.values import PerformanceSpec
from visavis.store.audit import Actor
from visavis.store.last_seen import LastSeen
from visavis.store.records import BrowserTokenRecord, SessionRecord
from visavis.store.sessions import SessionStore
from visavis.timestamps import now_ms
from visavis.voice.voices import Voices
from visavis.webhooks.feed import Feed

SEEN_EVERY_S = 0.5
MAX_NAME_CHARS = 128  # of an avatar in a room
TAKEN_WITHIN_S = 5.0  # how long a channel waits for a session that this server is taking over

log = structlog.get_logger()


class LiveSessions:
    """Implements `channel.port.LiveSessions`. Works inside `running()` only."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        accounts: Accounts,
        browser_tokens: BrowserTokens,
        store: SessionStore,
        backgrounds: Backgrounds,
        grace_periods: GracePeriods,
        packs: Packs,
        secret: bytes,
        vitals: Vitals,
        feed: Feed,
        start_timeout_s: float,
        path_prefix: str = "",
        release_room: Callable[[str], None] = lambda room_name: None,
        voices: Voices | None = None,
        observer: Observer | None = None,
        placing: Placing | None = None,
        clock_ms: Callable[[], int] = now_ms,
        until_certain: Callable[[], Awaitable[None]] = certain,
    ) -> None:
        """`until_certain`: see `ServerLease`."""
        self._accounts = accounts
        self._placing = placing
        self.browser_tokens = browser_tokens
        self._store = store
        self._backgrounds = backgrounds
        self._grace_periods = grace_periods
        self._secret = secret  # signs the tokens of rooms
        self._door_seal = DoorSeal(secret)
        self._path_prefix = path_prefix  # of this server's public addresses
        self._release_room = release_room  # called with the `room_name` of a session that has ended
        self._voices = voices  # that speak text
        self._until_certain = until_certain
        self._vitals = vitals
        self._feed = feed
        self.observer = observer or Observer()
        self.ends = Ends(self._write_end)
        self.table = LiveTable(self.ends.unwritten)
        self.starts = Starts(
            fleet=fleet,
            packs=packs,
            store=store,
            table=self.table,
            timeout_s=start_timeout_s,
            clock_ms=clock_ms,
            make_live=self._make_live,
            run=self._run,
            observer=self.observer,
            placing=placing,
        )
        self._tasks: IsolatedTasks | None = None
        self._arrivals = count(1)  # of those who want to attach
        self.of_others: list[Performer] = []  # performers of sessions that other servers own (`owner_watch.py`)
        self.leaving = False  # set once, when the hand-over to the next server begins: no channel is attached any more
        self.gone = False  # set by `let_go`

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the tasks of all live sessions inside this context; end all sessions when it is left."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = IsolatedTasks(tasks)
                vital = IsolatedTasks(tasks, vitals=self._vitals)
                vital.start("ends", self.ends.run)
                vital.start("webhook_feed", self._feed.run)
                try:
                    yield
                finally:
                    with anyio.CancelScope(shield=True):
                        await self.end_all(EndReason.SERVER_STOPPED)
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self.ends.flush()
                await self.flush_news()

    async def flush_news(self) -> None:
        """Write what webhooks are to be told, or log that it is lost."""
        try:
            await self._feed.flush()
        except StorageUnusable as error:
            log.warning("webhook_news_lost", problem=error.message)
        except Exception:  # part of the outermost edge of the server: what the stages kept, they give to the next one
            log.exception("webhook_news_lost")

    # Starting and ending

    async def start(
        self, record: SessionRecord, make_spec: MakeSpec, *, claim: TakePlace, wait_s: float
    ) -> SessionRecord | None:
        """Take a place, allocate a performer and set the status to started; return the new record. Returns None if that
        takes longer than `wait_s`, or if another server starts the session: the caller repeats the call later. It also
        learns then that the start has failed.

        Raises what `claim` and `allocate` raise, `NoCapacity` if the start takes too long, `SessionEnded` and
        `ServerStopping`.
        """
        assert self._tasks is not None
        return await self.starts.start(record, make_spec, claim=claim, wait_s=wait_s, tasks=self._tasks)

    def _make_live(
        self, started: SessionRecord, performer: Performer, spec: PerformanceSpec, clock: SessionClock
    ) -> LiveSession:
        """See `starts.MakeLive`."""
        lasts_ms = None if started.expiration_ms is None else started.expiration_ms - clock.started_at_ms
        deadlines = Deadlines(
            options_of(started.options).grace_periods(self._grace_periods),
            now_s=anyio.current_time(),
            expires_at_s=None if lasts_ms is None else clock.started_s + lasts_ms / 1000,
        )
        return LiveSession(
            record=started,
            performer=performer,
            deadlines=deadlines,
            size_px=(spec.width_px, spec.height_px),
            output=spec.output,
            backgrounds=self._backgrounds,
            save_output=self._save_output,
            request_end=self.end,
            clock=clock,
            observer=self.observer,
            feed=self._feed,
            own_room=isinstance(spec.room, EmbeddedRoomSpec),
            has_agent=isinstance(spec.room, LiveKitRoomSpec),
            voices=self._voices,
            until_certain=self._until_certain,
        )

    def effective_options(self, record: SessionRecord, *, most_ms: int | None) -> SessionOptions:
        """Return the options that hold for a session whose plan lets it last `most_ms`."""
        options = options_of(record.options)
        periods, lasts_ms = options.grace_periods(self._grace_periods), options.shortened(most_ms)
        return SessionOptions(
            join_timeout_s=round(periods.join_timeout_s),
            room_empty_grace_s=round(periods.room_empty_grace_s),
            max_duration_s=None if lasts_ms is None else lasts_ms // 1000,
            machine_labels=options.machine_labels,
        )

    async def adopt(self, record: SessionRecord, adopted: Adopted) -> None:
        """Go on with a started session that an earlier server has begun."""
        assert self._tasks is not None and record.started_at_ms is not None
        lasted_s = adopted.held.performed_s + time.monotonic() - adopted.told_s
        clock = SessionClock(started_at_ms=record.started_at_ms, started_s=anyio.current_time() - lasted_s)
        spec = adopted.held.spec
        if record.output is not None:  # it may have changed since the session was opened
            spec = msgspec.structs.replace(spec, output=Output.from_plain(record.output))
        session = self.table.running[record.id] = self._make_live(record, adopted.performer, spec, clock)
        session.go_on(adopted.held)
        self.observer.adopted(record)
        self._tasks.start("session", partial(self._run, session), session_id=record.id)

    def end_stray(self, performer: Performer) -> None:
        """End a performance that no session needs."""
        assert self._tasks is not None
        self._tasks.start("end", performer.end, session_id=performer.session_id)

    async def _run(self, session: LiveSession) -> None:
        """Run a session until it is over. Whatever fails in it ends it."""
        try:
            await session.run()
        except Exception:  # the outermost edge of a performance
            log.exception("live_session_failed", session_id=session.session_id)
        finally:
            is_current = self.table.running.get(session.session_id) is session
            if is_current and session.taken:
                del self.table.running[session.session_id]
                self.observer.lost_to_another(session.record)
            elif is_current:
                await self.end(session.session_id, EndReason.PERFORMER_LOST)

    async def end(self, session_id: str, reason: EndReason, *, by: Actor | None = None) -> SessionRecord | None:
        """End a session and return its record, None if the session is unknown. Of several calls at once, the reason of
        one is recorded. A live session ends even if the database fails. After `let_go` nothing ends. `by`: who is
        entered in the audit log; without it nobody is.

        Raises `SessionNotStarted` for a session that has only been created.
        """
        record: SessionRecord | None = None
        if self.gone:
            return await self._store.get(session_id)
        with anyio.CancelScope(shield=True):
            record = await self._end(session_id, reason, by)
        return record  # noqa: RET504  # the scope may swallow, as mypy sees it

    async def _end(self, session_id: str, reason: EndReason, by: Actor | None) -> SessionRecord | None:
        record: SessionRecord | None = None
        session = self.table.running.get(session_id)
        if session is None:
            record = await self._store.last_seen(session_id)
            session = self.table.running.get(session_id)  # it may have started meanwhile
        if session is not None:
            return await self._end_live(session, reason, by)
        return record if record is None else await self._end_unperformed(self.table.current_record(record), reason, by)

    async def _end_live(self, session: LiveSession, reason: EndReason, by: Actor | None) -> SessionRecord:
        first = session.end is None
        end = session.decide_end(reason, by=by)
        if first:
            self.ends.add(end)
        record = await self.ends.wait_written(end)
        if record.status != Status.ENDED:  # another server has taken the session over
            self.drop(session.session_id)
            return record
        reason = EndReason(record.end_reason or end.reason)
        await session.end_performance(reason)
        self._release_room(record.room_name)
        if first:
            self.observer.ended(record, session.metrics)
        if self.table.running.pop(record.id, None) is not None and session.output.backdrop.picture_id is not None:
            try:
                await self._backgrounds.delete(record.id)
            except StorageUnusable as error:  # the next sweep deletes it
                log.warning("background_not_deleted", session_id=record.id, problem=error.message)
        if first and session.played != Played():
            await self._save_played(session)
        return record

    async def _save_played(self, session: LiveSession) -> None:
        """Save what a session has played: its last utterances have ended with its performance. A database that fails
        does not hold the end.
        """
        try:
            with anyio.move_on_after(WAIT_S):
                await self._store.update(session.session_id, played=session.played.plain())
        except Exception as error:  # noqa: BLE001  # the session has ended, whatever the database does
            log.warning("played_not_saved", session_id=session.session_id, problem=str(error))

    async def _end_unperformed(self, record: SessionRecord, reason: EndReason, by: Actor | None) -> SessionRecord:
        """End a session that no performer performs, as of when it was last seen."""
        if record.status == Status.ENDED:
            return record
        next_status(Status(record.status), Transition.END)
        end_ms = ended_at_ms(record, reason, now_ms=self.table.until_ms(record))
        end = SessionEnd(before=record, reason=reason, ended_at_ms=end_ms, metering={}, performed=False, by=by)
        self.ends.add(end)
        record = await self.ends.wait_written(end)
        self._release_room(record.room_name)
        self.observer.ended(record)
        return record

    async def _write_end(self, end: SessionEnd) -> SessionRecord:
        """See `ends.WriteEnd`."""
        await self._feed.flush()  # what has happened before
        while True:
            before = end.before if self._placing is None else await self._placing.placed(end.before)
            written = await self._store.move(
                before,
                to=end.record.status,
                utterances_follow=end.performed,
                ended_at_ms=end.ended_at_ms,
                end_reason=end.reason,
                ended_by=end.by,
                **end.metering,
            )
            found = written or await self._store.get(end.before.id) or end.record
            placed_meanwhile = (
                self._placing is not None
                and found.status == before.status
                and found.epoch != before.epoch
                and not self._store.is_of_another(found)
            )
            if not placed_meanwhile:
                return found

    async def _save_output(self, session_id: str, output: Output) -> None:
        await self._store.update(session_id, output=output.plain())

    def drop(self, session_id: str) -> None:
        """Go on with a session no longer that another server owns. Its stage gives it to that server, and may not have
        been asked for it yet: until then its performer is kept.
        """
        session = self.table.running.get(session_id)
        if session is not None and not session.ending:
            session.drop()
            self.of_others.append(session.performer)

    def let_go(self) -> None:
        """Leave all sessions to the next server: from now on this one changes and ends none."""
        self.gone = True
        self.table.running.clear()

    async def end_all(self, reason: EndReason) -> None:
        """End all live sessions at the same time. Takes no longer than the timeout for the end of one performer."""
        async with anyio.create_task_group() as group:
            tasks = IsolatedTasks(group)
            for session_id in list(self.table.running):
                tasks.start("end", partial(self.end, session_id, reason), session_id=session_id)

    # Using live sessions

    def size_and_output(self, session_id: str) -> tuple[tuple[int, int], Output]:
        """Return the (width, height) of the session's picture and its output. Raises `SessionEnded` and
        `PerformerLost`.
        """
        session = self._session(session_id)
        if session.ending:
            raise SessionEnded
        return session.size_px, session.output

    async def offer(self, session_id: str, *, viewer_id: str, address: str, sdp: str) -> str:
        """Return the SDP answer to a viewer's offer, which came from `address`. Raises `OfferRefused`, `PerformerLost`,
        `RoomFull`, `SessionEnded`, `TooManyOffers`.
        """
        session = self._session(session_id)
        session.joining.begin(viewer_id, address, now_s=anyio.current_time())
        try:
            with _for_viewers():
                return await session.performer.offer(viewer_id=viewer_id, sdp=sdp)
        except BaseException:
            session.joining.left(viewer_id, now_s=anyio.current_time())
            raise

    async def add_candidates(self, session_id: str, *, viewer_id: str, fragment: str, ice_session: int) -> None:
        """Pass on addresses of a viewer that its offer did not name. Raises `CandidatesRefused`, `PerformerLost`,
        `PreconditionFailed`, `SessionEnded`, `TooManyOffers`, `ViewerNotFound`.
        """
        performer = self._session(session_id).performer
        with _for_viewers():
            await performer.add_candidates(viewer_id=viewer_id, fragment=fragment, ice_session=ice_session)

    async def restart_ice(self, session_id: str, *, viewer_id: str, fragment: str) -> IceRestarted:
        """Look for another path to a viewer. Raises `CandidatesRefused`, `IceRestartUnavailable`, `PerformerLost`,
        `SessionEnded`, `TooManyOffers`, `ViewerNotFound`.
        """
        with _for_viewers():
            return await self._session(session_id).performer.restart_ice(viewer_id=viewer_id, fragment=fragment)

    def metrics_of(self, record: SessionRecord) -> SessionMetrics:
        """Return the metrics of a session that runs or has ended lately. Raises `SessionNotStarted`, `SessionEnded` and
        `PerformerLost` (the next server performs it).
        """
        session = self.table.running.get(record.id)
        metrics = self.observer.ended_metrics.get(record.id) if session is None else session.metrics
        if metrics is not None:
            return metrics
        if record.status == Status.CREATED:
            raise SessionNotStarted("Session has not been started", suggestion="Start the session first")
        if record.status == Status.STARTED and (self.gone or self.is_elsewhere(record)):
            raise server_changes()
        raise SessionEnded("The metrics of this session are not kept any more")

    def has_viewer(self, session_id: str, viewer_id: str) -> bool:
        """Whether the viewer is in the room or about to connect. Raises `SessionEnded`, `PerformerLost`."""
        return self._session(session_id).joining.knows(viewer_id, now_s=anyio.current_time())

    async def remove_viewer(self, session_id: str, viewer_id: str) -> bool:
        """Return whether the viewer was there, or has just left by itself. Raises `SessionEnded`, `PerformerLost`."""
        session = self._session(session_id)
        was_known = session.joining.remove(viewer_id, now_s=anyio.current_time())
        with _for_viewers():
            return await session.performer.remove_viewer(viewer_id) or was_known

    def _session(self, session_id: str) -> LiveSession:
        session = self.table.running.get(session_id)
        if session is None and (self.gone or session_id in self.table.taking):
            raise server_changes()
        if session is None:
            raise SessionEnded
        return session

    def is_elsewhere(self, record: SessionRecord) -> bool:
        """Whether another server performs a session, or this one is about to."""
        if record.status != Status.STARTED or record.id in self.table.running:
            return False
        return record.id in self.table.taking or self._store.is_of_another(record)

    async def save_metering(self) -> None:
        """Save when each live session was last seen and its metering. If this server dies, the next one ends its
        sessions as of these times.
        """
        for session in list(self.table.running.values()):
            now = session.now_ms()
            await self._store.update(
                session.session_id, seen_at_ms=now, played=session.played.plain(), **session.metering(until_ms=now)
            )

    async def run_last_seen(self, file: LastSeen) -> None:
        """Write twice a second when each live session was last seen, until cancelled."""
        was_empty, failed = False, False
        while True:
            sessions = {one.session_id: one.seen() for one in self.table.running.values()}
            sessions |= {session_id: end.seen() for session_id, end in self.ends.unwritten.items()}
            if not self.gone and not (was_empty and not sessions):
                try:
                    await run_sync(file.write, sessions)
                    failed = False
                except OSError as error:
                    if not failed:
                        log.error("last_seen_not_written", problem=error.strerror or str(error))
                    failed = True
            was_empty = not sessions
            await anyio.sleep(SEEN_EVERY_S)

    async def attach(self, init: SessionInit) -> Attachment:
        """See `channel.port.LiveSessions.attach`."""
        arrival = next(self._arrivals)  # before the first wait: later look-ups may be quicker
        self._check_not_leaving()
        record = await self._store.get(init.session_id) if is_id("sess", init.session_id) else None
        if record is None:
            raise SessionNotFound
        record = self.table.current_record(record)
        shown = await self._check_token(init, record)
        if await self._accounts.is_revoked(record.key_id):
            raise Unauthorized("API key has been deactivated")
        if record.status == Status.CREATED:
            raise SessionNotStarted("Session has not been started", suggestion="Start the session first")
        if (taken := self.table.taking.get(record.id)) is not None:
            with anyio.move_on_after(TAKEN_WITHIN_S):
                await taken.wait()
        session = self.table.running.get(record.id)
        if record.status == Status.ENDED:
            raise SessionEnded(reason=record.end_reason)
        self._check_not_leaving()  # then the next server may perform the session already
        if self.is_elsewhere(record):
            raise HandOverBegun
        if session is None:
            raise SessionEnded(reason=record.end_reason)
        if init.hosted:
            self._check_room(init, record, may_be_own=shown is not None)
        async with session.attaching(arrival):
            if init.hosted:
                await session.resize(width_px=init.width_px, height_px=init.height_px)
                if init.display_name and record.daily_room is not None:
                    await session.performer.show_name(init.display_name[:MAX_NAME_CHARS])
            await session.stream_motion("motion" in init.features)
            if init.hold_for_viewer_s is not None:
                await session.performer.hold_for_viewer(init.hold_for_viewer_s)
            if shown is not None:
                await self.browser_tokens.note_use(shown)
            self._check_not_leaving()  # it may have begun meanwhile, and the channels have been told
            attachment = session.open_channel(keeps_motion={"resume", "motion"} <= init.features)
        if shown is not None:
            self.browser_tokens.hold(shown, "channel", partial(_revoke, attachment))
        return attachment

    def _check_not_leaving(self) -> None:
        if self.leaving:
            raise HandOverBegun

    def _check_room(self, init: SessionInit, record: SessionRecord, *, may_be_own: bool) -> None:
        """Check address and token of the room. `may_be_own`: the browser token that opens the channel may stand for
        the token. Raises `InvalidRoomUrl` and `Unauthorized`.
        """
        door = self._door_seal.open(record.daily_room)
        url, token = init.room_url or "", init.room_token or ""
        own = f"{self._path_prefix}/rooms/{record.room_name}"
        if url.rstrip("/") != door.url.rstrip("/") if door is not None else not _is_address_of(own, url):
            raise InvalidRoomUrl("Invalid room url", suggestion="Use the url of the session's daily_room")
        if may_be_own and token == init.token:
            return
        if door is None:
            check_room_token(self._secret, room_name=record.room_name, token=token)
        elif not compare_digest(door.token.encode(), token.encode()):
            raise Unauthorized("Invalid room token")

    async def _check_token(self, init: SessionInit, record: SessionRecord) -> BrowserTokenRecord | None:
        """Return the record of a browser token; None for the session's own token. Raises `Unauthorized`, `TokenExpired`
        and `OriginRefused`.
        """
        if is_browser_token(init.token):
            shown = await self.browser_tokens.check(init.token, purpose=Purpose.SPEAK, origin=init.origin)
            if shown.session_id == record.id:
                return shown
        elif matches_hash(init.token, record.token_hash):
            return None
        raise Unauthorized("Invalid access token")


def server_changes() -> PerformerLost:
    """What viewers and calls are told while the session is another server's."""
    return PerformerLost("The server changes", suggestion="Try again in a moment")


@contextmanager
def _for_viewers() -> Iterator[None]:
    try:
        yield
    except HandOverBegun as error:  # for channels
        raise server_changes() from error


async def _revoke(attachment: Attachment) -> None:
    attachment.finish(TokenRevoked())


def _is_address_of(path: str, url: str) -> bool:
    """Whether the URL has this path. Its host is not compared: a server can have several names."""
    try:
        return urlsplit(url).path.rstrip("/") == path
    except ValueError:  # an unclosed bracket, or an impossible host
        return False
