"""Creates, starts, shows, lists and ends sessions for accounts, and checks what each may do. live_sessions.py runs
the sessions; the store keeps them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import anyio

from visavis.avatars.service import Avatars
from visavis.engine.output import DEFAULT_OUTPUT
from visavis.engine.pack_ref import PackRef
from visavis.errors import (
    AvatarNotFound,
    BackgroundLimitReached,
    PerformerLost,
    RoomNotFound,
    SessionEnded,
    SessionLimitReached,
    SessionNotEnded,
    SessionNotFound,
    Unauthorized,
)
from visavis.ids import is_id, new_id
from visavis.output_json import OutputChange, PictureSource
from visavis.proxy_rooms.daily_rooms import DailyRoomDoor, DailyRooms
from visavis.proxy_rooms.rooms import PROXY, Proxy, ProxyRoom, ProxyRooms
from visavis.rooms.spec import EmbeddedRoomSpec, IceServer, RoomSpec
from visavis.sessions.backgrounds import Backgrounds, Picture
from visavis.sessions.browser_tokens import Purpose, is_browser_token
from visavis.sessions.claims import Claim
from visavis.sessions.lifecycle import EndReason, Status, Transition, next_status
from visavis.sessions.live_sessions import LiveSessions
from visavis.sessions.options import SessionOptions, options_of
from visavis.sessions.plan_limits import Claim as PlaceClaim
from visavis.sessions.plan_limits import PlanLimits
from visavis.sessions.tokens import check_room_token, new_access_token, sign_room_token, token_hash
from visavis.stage.port.values import PerformanceSpec
from visavis.store.additions import CreatedSessions
from visavis.store.audit import acting
from visavis.store.records import (
    AnySession,
    AvatarRecord,
    BrowserTokenRecord,
    KeyRecord,
    SessionRecord,
)
from visavis.store.session_lists import Position
from visavis.store.sessions import SessionStore
from visavis.timestamps import now_ms

Found = TypeVar("Found", bound=AnySession)
Shown = TypeVar("Shown")

HOSTED = "hosted"
OWN = "own"
SIZES_PX = {"4:3": (1280, 960), "3:4": (960, 1280), "1:1": (1280, 1280)}
MAX_LISTED = 100
MAX_FILTERED = 10_000  # sessions that a page with a metadata filter looks at


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialOutput:
    """The output of a new session, as a change of the default. `picture`: its background picture, if it has one."""

    change: OutputChange
    picture: Picture | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Shown]):
    """A part of a list of sessions. `last`: the place after which the next page begins; None on the last page."""

    sessions: list[Shown]
    last: Position | None


class Sessions:
    def __init__(
        self,
        *,
        store: SessionStore,
        live: LiveSessions,
        limits: PlanLimits,
        backgrounds: Backgrounds,
        avatars: Avatars,
        proxy_rooms: ProxyRooms,
        daily_rooms: DailyRooms,
        max_created: int,
        max_backgrounds: int,
        secret: bytes,
        start_wait_s: float,
        ice_servers_of: Callable[[str], tuple[IceServer, ...]],
    ) -> None:
        self._store = store
        self._live = live
        self.limits = limits
        self._backgrounds = backgrounds
        self._avatars = avatars
        self._proxy_rooms, self._daily_rooms = proxy_rooms, daily_rooms
        self._max_created, self._max_backgrounds = max_created, max_backgrounds
        self._secret = secret
        self._start_wait_s = start_wait_s
        self._ice_servers_of = ice_servers_of  # with credentials for this session

    async def create_hosted(
        self,
        key: KeyRecord,
        *,
        avatar_id: str,
        metadata: dict[str, Any],
        output: InitialOutput | None = None,
        options: SessionOptions | None = None,
        claim: Claim | None = None,
    ) -> tuple[SessionRecord, str]:
        """Create a hosted-room session; return it and its access token. `claim`: which session it must be.

        Raises `AvatarNotFound`, `AccessDenied`, `AvatarNotALook`, `InsufficientMinutes`, `SessionLimitReached`,
        `BackgroundLimitReached`, `ServerStopping`; `RoomUnreachable` where Daily carries the rooms.
        """
        self._live.starts.check_open()
        avatar = await self._avatars.to_perform(key, avatar_id)
        await self.limits.check_minutes(key)
        return await self._create(
            key, avatar=avatar, dialect=HOSTED, metadata=metadata, output=output, options=options, claim=claim
        )

    async def made_by(self, claim: Claim | None) -> SessionRecord | None:
        """Return the session that a claim has made already: its server has died before it answered."""
        return None if claim is None else await self._store.get(claim.session_id)

    async def create_own(
        self,
        key: KeyRecord,
        *,
        avatar: AvatarRecord,
        aspect_ratio: str,
        metadata: dict[str, Any],
        output: InitialOutput | None = None,
        room: RoomSpec | Proxy | None = None,
        options: SessionOptions | None = None,
        claim: Claim | None = None,
    ) -> tuple[SessionRecord, str]:
        """Create an own-room session and start it; return it and its session token. `room`: of another server, `PROXY`
        for one to be made there, None for one of this server. `claim`: which session it must be.

        Raises what `start` raises, and `SessionLimitReached`, `BackgroundLimitReached`, `RoomPlatformUnavailable`,
        `RoomRefused` and `RoomUnreachable`: then nothing of it is left.
        """
        self._live.starts.check_open()
        if room == PROXY:
            self._proxy_rooms.check_available()
        record, token = await self._create(
            key,
            avatar=avatar,
            dialect=OWN,
            metadata=metadata,
            aspect_ratio=aspect_ratio,
            output=output,
            options=options,
            claim=claim,
        )
        return await self.start_own(key, record, room), token

    async def start_own(self, key: KeyRecord, record: SessionRecord, room: RoomSpec | Proxy | None) -> SessionRecord:
        """Start an own-room session as a part of its create. `room` and errors: as in `create_own`."""
        if record.status != Status.CREATED:
            return record
        try:
            if isinstance(room, str):
                room = await self._proxy_rooms.open(record.room_name, avatar_name=record.avatar_name)
            started = None
            while started is None:
                started = await self._start(key, record, room)
        except BaseException:
            await self._undo_create(record)
            raise
        return started

    async def _create(
        self,
        key: KeyRecord,
        *,
        avatar: AvatarRecord,
        dialect: str,
        metadata: dict[str, Any],
        aspect_ratio: str | None = None,
        output: InitialOutput | None = None,
        options: SessionOptions | None = None,
        claim: Claim | None = None,
    ) -> tuple[SessionRecord, str]:
        session_id = new_id("sess") if claim is None else claim.session_id
        token = new_access_token() if claim is None else claim.token
        picture = None if output is None else output.picture
        picture_id = None if picture is None else picture.picture_id
        check = self._quota_check(with_picture=picture is not None)
        room_name = f"vv-{secrets.token_hex(10)}"
        daily = None
        if dialect == HOSTED and self._daily_rooms.carry_hosted:
            check(await self._store.count_created(key.account_id))  # before a room is made for nothing
            daily = await self._daily_rooms.make(room_name)
        record = SessionRecord(
            id=session_id,
            account_id=key.account_id,
            key_id=key.id,
            test=key.test,
            dialect=dialect,
            status=Status.CREATED,
            avatar_id=avatar.id,
            avatar_name=avatar.name,
            token_hash=token_hash(token),
            room_name=room_name,
            daily_room=None if daily is None else self._daily_rooms.seal.seal(daily),
            metadata=metadata,
            aspect_ratio=aspect_ratio,
            created_at_ms=now_ms(),
            started_at_ms=None,
            ended_at_ms=None,
            expiration_ms=None,
            end_reason=None,
            first_frame_at_ms=None,
            last_frame_at_ms=None,
            seen_at_ms=None,
            output=None if output is None else output.change.apply_to(DEFAULT_OUTPUT, picture_id=picture_id).plain(),
            options=None if options is None else options.plain(),
        )
        try:
            await self._store.add(record, check=check)
        except BaseException:
            self._daily_rooms.kept.release(room_name)
            raise
        if picture is not None:
            try:
                await self._backgrounds.save(session_id, picture)
            except BaseException:
                await self._undo_create(record)
                raise
        return record, token

    async def check_created(self, key: KeyRecord, change: OutputChange) -> None:
        """Refuse a session before its picture is fetched. Raises `SessionLimitReached`, `BackgroundLimitReached`."""
        check = self._quota_check(with_picture=isinstance(change.background, PictureSource))
        check(await self._store.count_created(key.account_id))

    def _quota_check(self, *, with_picture: bool) -> Callable[[CreatedSessions], None]:
        def check(created: CreatedSessions) -> None:
            if with_picture and created.with_picture >= self._max_backgrounds:
                raise BackgroundLimitReached(current=created.with_picture, maximum=self._max_backgrounds)
            if created.total >= self._max_created:
                raise SessionLimitReached(current=created.total, maximum=self._max_created)

        return check

    async def _undo_create(self, record: SessionRecord) -> None:
        """Leave nothing of a session whose create has failed."""
        self._proxy_rooms.kept.release(record.room_name)
        self._daily_rooms.kept.release(record.room_name)
        with anyio.CancelScope(shield=True):
            if not await self._store.remove_created(record.id):  # it has started meanwhile
                await self._live.end(record.id, EndReason.CLIENT)
            elif record.output is not None:
                await self._backgrounds.delete(record.id)

    async def start(self, key: KeyRecord, session_id: str) -> SessionRecord | None:
        """Start a session; None while its performer is still being allocated. A second start changes nothing.

        Raises `SessionNotFound`, `AvatarNotFound`, `SessionEnded`, `ConcurrencyLimitReached`, `InsufficientMinutes`,
        `NoCapacity`, `PackUnreadable`, `PerformerLost`, `ServerStopping`; `RoomPlatformUnavailable`, `RoomRefused` and
        `RoomUnreachable` where Daily carries the room.
        """
        return await self._start(key, await self.get(key, session_id))

    async def _start(self, key: KeyRecord, record: SessionRecord, room: RoomSpec | None = None) -> SessionRecord | None:
        if record.status == Status.STARTED:
            return record
        next_status(Status(record.status), Transition.START)
        if await self._avatars.get(record.avatar_id) is None:
            raise AvatarNotFound(suggestion="It was deleted after the session was created")
        width_px, height_px = SIZES_PX.get(record.aspect_ratio or "", (1280, 720))
        output = self._backgrounds.output_of(record)
        await self._backgrounds.bring(record.id, output)
        if (door := self.daily_door(record)) is not None:
            room = await self._daily_rooms.spec(record.room_name, door, avatar_name=record.avatar_name)

        def make_spec(pack: PackRef) -> PerformanceSpec:
            return PerformanceSpec(
                session_id=record.id,
                pack=pack,
                width_px=width_px,
                height_px=height_px,
                output=output,
                room=room or EmbeddedRoomSpec(ice_servers=self._ice_servers_of(record.id)),
            )

        async def take_place() -> PlaceClaim | None:
            place = await self.limits.claim(key, record)
            if place is None:
                return None
            shortened_ms = options_of(record.options).shortened(place.max_duration_ms)
            return replace(place, max_duration_ms=shortened_ms)

        started = await self._live.start(record, make_spec, claim=take_place, wait_s=self._start_wait_s)
        if started is not None and started.status == Status.ENDED:  # another request started and ended it meanwhile
            raise SessionEnded
        return started

    async def get(self, key: KeyRecord, session_id: str) -> SessionRecord:
        """Return the session of the key's account. Raises `SessionNotFound`, also for a session of another account."""
        record = await self.find(session_id)
        if record.account_id != key.account_id:
            raise SessionNotFound
        return record

    async def find(self, session_id: str) -> SessionRecord:
        """Return a session of any account. Raises `SessionNotFound`."""
        record = await self._store.get(session_id) if is_id("sess", session_id) else None
        if record is None:
            raise SessionNotFound
        return self._live.table.current_record(record)

    async def effective_options(self, key: KeyRecord, record: SessionRecord) -> SessionOptions:
        """Return what holds for this session: its own options, the server's, and the plan's maximum."""
        return self._live.effective_options(record, most_ms=await self.limits.longest_ms(key))

    async def delete(self, key: KeyRecord, session_id: str) -> None:
        """Delete a session that does not run, with its texts, its picture, its tokens and its kept answers. Its entries
        in the usage ledger stay. Raises `SessionNotFound` and `SessionNotEnded`, and `StorageUnusable` while its end
        cannot be written.
        """
        record = await self.get(key, session_id)
        if self._live.table.is_live(record.id):
            raise SessionNotEnded
        await self._live.ends.settle(record.id)
        if not await self._store.delete(record.id):
            await self.find(record.id)  # another request may have deleted it meanwhile
            raise SessionNotEnded
        self._live.observer.ended_metrics.pop(record.id, None)
        self._daily_rooms.kept.release(record.room_name)
        await self._live.browser_tokens.remove_of(record.id)
        await self._backgrounds.delete(record.id)

    def until_ms(self, record: AnySession) -> int:
        """See `LiveTable.until_ms`."""
        return self._live.table.until_ms(record)

    async def end(self, key: KeyRecord, session_id: str) -> SessionRecord:
        """End a session. A second end changes nothing. Raises `SessionNotFound`, `SessionNotStarted` and
        `PerformerLost` (the next server performs it).
        """
        record = await self.get(key, session_id)
        return self._ended(await self._live.end(record.id, EndReason.CLIENT) or record)

    async def end_as_operator(self, session_id: str) -> SessionRecord:
        """End a session of any account. A second end changes nothing. Raises as `end` does."""
        record = await self.find(session_id)
        return self._ended(await self._live.end(record.id, EndReason.OPERATOR, by=acting.get()) or record)

    def _ended(self, record: SessionRecord) -> SessionRecord:
        if self._live.gone and record.status == Status.STARTED:
            raise PerformerLost("The server changes", suggestion="Try again in a moment")
        return record

    async def listed(
        self,
        account_id: str,
        *,
        statuses: tuple[str, ...],
        limit: int = MAX_LISTED,
        before: Position | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Page[AnySession]:
        """Return a page of the sessions of an account, newest first, with what clients are shown of them."""
        until = await self._until(account_id, statuses, before) if metadata else None
        found = await self._store.lists.listed(
            account_id, statuses=statuses, limit=limit + 1, before=before, until=until, metadata=metadata
        )
        return self._page(found, statuses, limit, until)

    async def newest(
        self,
        account_id: str | None,
        *,
        statuses: tuple[str, ...],
        limit: int,
        before: Position | None = None,
        end_reason: EndReason | None = None,
    ) -> Page[SessionRecord]:
        """Return a page of the sessions of an account, or of all accounts, newest first."""
        until = None if end_reason is None else await self._until(account_id, statuses, before)
        found = await self._store.lists.newest(
            account_id, statuses=statuses, limit=limit + 1, before=before, until=until, end_reason=end_reason
        )
        return self._page(found, statuses, limit, until)

    async def _until(
        self, account_id: str | None, statuses: tuple[str, ...], before: Position | None
    ) -> Position | None:
        """Return the end of a page with a filter that has no index: it looks at so many sessions at most, and the next
        page goes on there.
        """
        return await self._store.lists.place_after(account_id, statuses=statuses, count=MAX_FILTERED, before=before)

    def _page(
        self, found: Sequence[Found], statuses: tuple[str, ...], limit: int, until: Position | None
    ) -> Page[Found | SessionRecord]:
        current = [self._live.table.current_record(record) for record in found[:limit]]
        last = found[limit - 1] if len(found) > limit else None
        return Page(
            sessions=[record for record in current if record.status in statuses],
            last=until if last is None else Position(created_at_ms=last.created_at_ms, id=last.id),
        )

    # Rooms

    def room_token(self, record: AnySession) -> str:
        return sign_room_token(
            self._secret, room_name=record.room_name, session_id=record.id, created_at_ms=record.created_at_ms
        )

    def daily_door(self, record: AnySession) -> DailyRoomDoor | None:
        """Return how the caller joins the session's Daily room, None where this server carries its room."""
        return self._daily_rooms.seal.open(record.daily_room)

    def proxy_room(self, record: SessionRecord) -> ProxyRoom:
        """Return how the caller joins the session's proxy room. Raises `RoomPlatformUnavailable`."""
        return self._proxy_rooms.door(record.room_name)

    async def by_room(
        self, room_name: str, token: str | None, *, origin: str | None = None
    ) -> tuple[SessionRecord, BrowserTokenRecord | None]:
        """Return the session of a room, and the browser token that has opened it, if it is one. `origin`: of the page
        that shows the token. Raises `RoomNotFound`, `Unauthorized`, `TokenExpired` and `OriginRefused`.
        """
        record = await self._store.by_room(room_name) if room_name.isascii() and len(room_name) <= 64 else None
        if record is None:
            raise RoomNotFound
        shown = None
        if token is not None and is_browser_token(token):
            shown = await self._live.browser_tokens.check(token, purpose=Purpose.WATCH, origin=origin)
            if shown.session_id != record.id:
                raise Unauthorized("Invalid room token")
        else:
            check_room_token(self._secret, room_name=room_name, token=token or "")
        return self._live.table.current_record(record), shown
