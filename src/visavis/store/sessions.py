"""Sessions. Their status changes by compare-and-set: of two changes from one status, only one succeeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import (
    JSON,
    ColumnElement,
    Text,
    and_,
    cast,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.database import Database
from visavis.store.locks import lock_account
from visavis.store.models import idempotency, session_answers, sessions, usage_entries
from visavis.store.news import forget_news
from visavis.store.records import SessionRecord
from visavis.store.session_news import tell_created, tell_ended, tell_started
from visavis.store.usage import Reading, bring_up_to_date


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedSessions:
    """How many sessions of an account wait to be started, and how many of them have a background picture."""

    total: int
    with_picture: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the list of sessions, which is sorted by creation time, then by id."""

    created_at_ms: int
    id: str


async def _as_ledger_has_them(connection: AsyncConnection, found: Sequence[SessionRecord]) -> list[SessionRecord]:
    """Return the sessions with `seen_at_ms` and `last_frame_at_ms` of their entries in the ledger, where those are
    later.
    """
    entry = usage_entries.c
    ledger = select(entry.session_id, func.max(entry.until_ms), func.sum(entry.seen_s))
    of_found = ledger.where(entry.session_id.in_([record.id for record in found])).group_by(entry.session_id)
    known = {one: (until_ms, int(seen_s)) for one, until_ms, seen_s in (await connection.execute(of_found)).all()}
    return [_with_usage(record, *known[record.id]) if record.id in known else record for record in found]


def _with_usage(record: SessionRecord, until_ms: int, seen_s: int) -> SessionRecord:
    last_frame_at_ms = record.last_frame_at_ms
    if record.first_frame_at_ms is not None:
        seen_until_ms = (record.first_frame_at_ms // 1000 + seen_s) * 1000
        last_frame_at_ms = max(record.first_frame_at_ms, last_frame_at_ms or 0, seen_until_ms)
    return replace(record, seen_at_ms=max(until_ms, record.seen_at_ms or 0), last_frame_at_ms=last_frame_at_ms)


async def _count_created(connection: AsyncConnection, account_id: str) -> CreatedSessions:
    picture_id = sessions.c.output[("backdrop", "picture_id")].as_string()
    query = select(func.count(), func.count(picture_id)).where(
        sessions.c.account_id == account_id, sessions.c.status == "created"
    )
    total, with_picture = (await connection.execute(query)).one()
    return CreatedSessions(total=total, with_picture=with_picture)


async def _write_usage(connection: AsyncConnection, record: SessionRecord, *, ends: bool) -> None:
    """Bring the usage ledger of a session that has just started, or ended after a start, to that instant."""
    until_ms = record.ended_at_ms if ends else record.started_at_ms
    if record.started_at_ms is None or until_ms is None:
        return
    reading = Reading(
        session=record,
        until_ms=until_ms,
        first_frame_at_ms=record.first_frame_at_ms,
        last_frame_at_ms=record.last_frame_at_ms,
    )
    await bring_up_to_date(connection, reading, ends=ends)


_ALL_STATUSES = {"created", "started", "ended"}


def _listed(account_id: str, statuses: Sequence[str], before: Position | None) -> list[ColumnElement[bool]]:
    """Return the conditions of a list of sessions. Each has an index that is in the order of the list."""
    conditions = [sessions.c.account_id == account_id]
    if set(statuses) != _ALL_STATUSES:
        conditions.append(sessions.c.status.in_(statuses))
    if before is not None:
        conditions.append(tuple_(sessions.c.created_at_ms, sessions.c.id) < (before.created_at_ms, before.id))
    return conditions


class SessionStore:
    """`server_id`: the server that performs what is started here."""

    def __init__(self, database: Database, *, server_id: str = "") -> None:
        self._database, self.server_id = database, server_id

    @property
    def is_shared(self) -> bool:
        """Whether other servers may use these sessions at the same time."""
        return self._database.is_shared

    def _has_text(self, name: str, value: str) -> ColumnElement[bool]:
        """Whether the metadata has this string under this name."""
        column = sessions.c.metadata
        if not self._database.is_shared:
            return and_(column[name].as_string() == value, func.json_type(column, f'$."{name}"') == "text")
        if "\0" in name + value:
            return false()
        # PostgreSQL reads no text with NUL, not even beside what is asked for.
        readable = cast(func.replace(cast(column, Text), r"\u0000", r"\ufffd"), JSON)
        return and_(readable[name].as_string() == value, func.json_typeof(readable[name]) == "string")

    async def add(self, record: SessionRecord, *, check: Callable[[CreatedSessions], None] | None = None) -> None:
        """Add a session. `check` is given the created sessions of its account before it; if it raises, nothing is
        added.
        """
        async with self._database.write(turn=record.account_id if check is not None else None) as connection:
            if check is not None:
                await lock_account(connection, record.account_id)
                check(await _count_created(connection, record.account_id))
            await connection.execute(insert(sessions).values(**asdict(record)))
            await tell_created(connection, record)

    async def count_created(self, account_id: str) -> CreatedSessions:
        async with self._database.read() as connection:
            return await _count_created(connection, account_id)

    async def remove_created(self, session_id: str) -> bool:
        """Remove the row of a session. Returns False, and changes nothing, if its status is not created."""
        async with self._database.write() as connection:
            removed = await connection.execute(
                delete(sessions).where(sessions.c.id == session_id, sessions.c.status == "created")
            )
            if removed.rowcount == 1:
                await forget_news(connection, session_id)
            return removed.rowcount == 1

    async def delete(self, session_id: str) -> bool:
        """Delete a session that is not started, and the kept answers about it. Returns False, and changes nothing, if
        it is started.
        """
        about = session_answers.c.session_id == session_id
        async with self._database.write() as connection:
            if connection.dialect.name == "sqlite":  # its pages are overwritten, so that the file keeps no trace
                await connection.exec_driver_sql("PRAGMA secure_delete=ON")
            removed = await connection.execute(
                delete(sessions).where(sessions.c.id == session_id, sessions.c.status != "started")
            )
            if removed.rowcount != 1:
                return False
            await forget_news(connection, session_id)
            answers = (await connection.execute(select(session_answers).where(about))).all()
            for _, account_id, idempotency_key in answers:
                same = (idempotency.c.account_id == account_id, idempotency.c.idempotency_key == idempotency_key)
                await connection.execute(delete(idempotency).where(*same))
            await connection.execute(delete(session_answers).where(about))
        await self._database.forget()
        return True

    async def get(self, session_id: str) -> SessionRecord | None:
        return await self._one(sessions.c.id == session_id)

    async def by_room(self, room_name: str) -> SessionRecord | None:
        return await self._one(sessions.c.room_name == room_name)

    async def _one(self, condition: object) -> SessionRecord | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(sessions).where(condition))).mappings().first()  # type: ignore[arg-type]
        return None if row is None else SessionRecord(**row)

    async def move(
        self, record: SessionRecord, *, to: str, utterances_follow: bool = False, **changes: object
    ) -> SessionRecord | None:
        """Change the status from `record.status` to `to`, together with `changes`; return the new record. Returns None,
        and changes nothing, if the status was another one, or another server has begun to start the session. A start
        opens the session's usage ledger in the same transaction, and an end closes it. Webhooks are told in the same
        transaction, too; of an end with `utterances_follow`, a moment later.
        """
        ends = record.status == "started"
        owned = () if to != "started" else (sessions.c.server_id.is_not_distinct_from(record.server_id),)
        if ends:  # until now only the ledger may have it
            changes = {"last_frame_at_ms": record.last_frame_at_ms} | changes
        async with self._database.write() as connection:
            moved = await connection.execute(
                update(sessions)
                .where(sessions.c.id == record.id, sessions.c.status == record.status, *owned)
                .values(status=to, **changes)
            )
            if moved.rowcount != 1:
                return None
            after = replace(record, status=to, **changes)  # type: ignore[arg-type]
            await _write_usage(connection, after, ends=ends)
            if after.ended_at_ms is None:
                await tell_started(connection, after)
            else:
                await tell_ended(connection, after, utterances_follow=utterances_follow)
        return after

    async def update(self, session_id: str, **values: object) -> None:
        """Set columns that change while a session is live: `seen_at_ms`, `first_frame_at_ms`, `last_frame_at_ms`,
        `output`.
        """
        async with self._database.write() as connection:
            await connection.execute(update(sessions).where(sessions.c.id == session_id).values(**values))

    async def started_here(self) -> list[SessionRecord]:
        """Return the started sessions that this server performs. Their `seen_at_ms` and `last_frame_at_ms` are as the
        usage ledger has them: right to one second, also those of a server that died. A database that has one server
        has no others, even if its data folder was copied.
        """
        if not self._database.is_shared:
            return await self._started()
        return await self._started(or_(sessions.c.server_id == self.server_id, sessions.c.server_id.is_(None)))

    async def abandoned(self, *, seen_before_ms: int) -> list[SessionRecord]:
        """Return the started sessions of other servers that were last seen before an instant."""
        seen_at_ms = func.coalesce(sessions.c.seen_at_ms, sessions.c.started_at_ms)
        found = await self._started(sessions.c.server_id != self.server_id, seen_at_ms < seen_before_ms)
        return [one for one in found if (one.seen_at_ms or 0) < seen_before_ms]

    async def ended_among(self, session_ids: Collection[str]) -> list[str]:
        """Return those of the sessions whose rows say that they have ended."""
        query = select(sessions.c.id).where(sessions.c.id.in_(session_ids), sessions.c.status == "ended")
        async with self._database.read() as connection:
            return list(await connection.scalars(query))

    async def _started(self, *conditions: ColumnElement[bool]) -> list[SessionRecord]:
        async with self._database.read() as connection:
            query = select(sessions).where(sessions.c.status == "started", *conditions)
            rows = (await connection.execute(query)).mappings().all()
            return await _as_ledger_has_them(connection, [SessionRecord(**row) for row in rows])

    async def last_seen(self, session_id: str) -> SessionRecord | None:
        """Return a session as `started_here` does."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(sessions).where(sessions.c.id == session_id))).mappings().first()
            if row is None:
                return None
            (found,) = await _as_ledger_has_them(connection, [SessionRecord(**row)])
            return found

    async def created_of(self, key_id: str) -> list[SessionRecord]:
        """Return the sessions that this key has created and that wait to be started."""
        query = select(sessions).where(sessions.c.key_id == key_id, sessions.c.status == "created")
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [SessionRecord(**row) for row in rows]

    async def created_before(self, instant_ms: int) -> list[SessionRecord]:
        """Return at most 500 sessions that were created before `instant_ms` and never started."""
        async with self._database.read() as connection:
            query = (
                select(sessions).where(sessions.c.status == "created", sessions.c.created_at_ms < instant_ms).limit(500)
            )
            rows = (await connection.execute(query)).mappings().all()
        return [SessionRecord(**row) for row in rows]

    async def place_after(
        self, account_id: str, *, statuses: Sequence[str], count: int, before: Position | None = None
    ) -> Position | None:
        """Return the place of the last of `count` sessions in the list; None if there are no more than that."""
        query = select(sessions.c.created_at_ms, sessions.c.id).where(*_listed(account_id, statuses, before))
        query = query.order_by(sessions.c.created_at_ms.desc(), sessions.c.id.desc()).offset(count - 1).limit(2)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return Position(created_at_ms=rows[0][0], id=rows[0][1]) if len(rows) == 2 else None

    async def newest(
        self,
        account_id: str,
        *,
        statuses: Sequence[str],
        limit: int | None,
        before: Position | None = None,
        until: Position | None = None,
        metadata: dict[str, str] | None = None,
    ) -> list[SessionRecord]:
        """Return at most `limit` sessions of the account (None: all), newest first. `before`: only those after this
        place in the list; `until`: only those up to this place. `metadata`: only those whose metadata has these strings
        at its top level.
        """
        query = select(sessions).where(*_listed(account_id, statuses, before))
        if until is not None:
            query = query.where(tuple_(sessions.c.created_at_ms, sessions.c.id) >= (until.created_at_ms, until.id))
        for name, value in (metadata or {}).items():
            query = query.where(self._has_text(name, value))
        async with self._database.read() as connection:
            query = query.order_by(sessions.c.created_at_ms.desc(), sessions.c.id.desc()).limit(limit)
            rows = (await connection.execute(query)).mappings().all()
        return [SessionRecord(**row) for row in rows]
