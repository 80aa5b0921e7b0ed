"""Sessions. Their status changes by compare-and-set: of two changes from one status, only one succeeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.additions import Additions, CreatedSessions, count_created
from visavis.store.audit import Actor, note_change
from visavis.store.database import Database
from visavis.store.leases import is_steady, is_unseen
from visavis.store.models import sessions, usage_entries
from visavis.store.news import forget_news
from visavis.store.records import SessionRecord
from visavis.store.retention import delete_traces
from visavis.store.session_lists import SessionLists
from visavis.store.session_news import tell_ended, tell_started
from visavis.store.shared_reads import SharedRead
from visavis.store.stages import release_in
from visavis.store.usage import Reading, bring_up_to_date


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


# Asked for often: a statement that is built once keeps what SQLAlchemy makes of it.
_BY_ROOM = select(sessions).where(sessions.c.room_name == bindparam("name"))


class SessionStore:
    """`server_id`: the server that performs what is started here. `lists`: of sessions, newest first."""

    def __init__(self, database: Database, *, server_id: str = "") -> None:
        self._database, self.server_id = database, server_id
        self._by_id = SharedRead(self._by_ids)
        self._additions = Additions(database)
        self.lists = SessionLists(database)

    @property
    def is_shared(self) -> bool:
        """Whether other servers may use these sessions at the same time."""
        return self._database.is_shared

    def is_of_another(self, record: SessionRecord) -> bool:
        """Whether another server owns a started session. A database that has one server has no others."""
        return self.is_shared and record.server_id not in (None, self.server_id)

    async def add(self, record: SessionRecord, *, check: Callable[[CreatedSessions], None] | None = None) -> None:
        """See `Additions.add`."""
        await self._additions.add(record, check=check)

    async def count_created(self, account_id: str) -> CreatedSessions:
        async with self._database.read() as connection:
            return await count_created(connection, account_id)

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
        async with self._database.write() as connection:
            owner = await connection.scalar(select(sessions.c.account_id).where(sessions.c.id == session_id))
            removed = await connection.execute(
                delete(sessions).where(sessions.c.id == session_id, sessions.c.status != "started")
            )
            if removed.rowcount != 1:
                return False
            await note_change(connection, "session.deleted", session_id, account_id=owner)
            await delete_traces(connection, [session_id])
        await self._database.forget()
        return True

    async def get(self, session_id: str) -> SessionRecord | None:
        return await self._by_id.get(session_id)

    async def _by_ids(self, ids: Set[str]) -> dict[str, SessionRecord]:
        rows = await self._database.rows_by(sessions.c.id, ids)
        return {row["id"]: SessionRecord(**row) for row in rows}

    async def by_room(self, room_name: str) -> SessionRecord | None:
        return await self._one(_BY_ROOM, room_name)

    async def statuses_by_room(self, room_names: Collection[str]) -> dict[str, str]:
        """See `proxy_rooms.rooms.RoomStatuses`."""
        query = select(sessions.c.room_name, sessions.c.status).where(sessions.c.room_name.in_(room_names))
        async with self._database.read() as connection:
            return {row.room_name: row.status for row in await connection.execute(query)}

    async def _one(self, query: Select[Any], name: str) -> SessionRecord | None:
        async with self._database.read() as connection:
            row = (await connection.execute(query, {"name": name})).mappings().first()
        return None if row is None else SessionRecord(**row)

    async def move(
        self,
        record: SessionRecord,
        *,
        to: str,
        utterances_follow: bool = False,
        ended_by: Actor | None = None,
        **changes: object,
    ) -> SessionRecord | None:
        """Change the status from `record.status` to `to`, together with `changes`; return the new record. Returns None,
        and changes nothing, if the status was another one, if another server has begun to start the session, or if it
        has another epoch: another server owns it by now. A start opens the session's usage ledger in the same
        transaction; an end closes it, and gives the place on a stage back. Webhooks are told in the same transaction,
        too; of an end with `utterances_follow`, a moment later. `ended_by`: who is entered in the audit log.
        """
        ends = record.status == "started"
        owned = () if to != "started" else (sessions.c.server_id.is_not_distinct_from(record.server_id),)
        if ends:  # until now only the ledger may have it
            changes = {"last_frame_at_ms": record.last_frame_at_ms} | changes
        async with self._database.write() as connection:
            moved = await connection.execute(
                update(sessions)
                .where(
                    sessions.c.id == record.id,
                    sessions.c.status == record.status,
                    sessions.c.epoch == record.epoch,
                    *owned,
                )
                .values(status=to, **changes)
            )
            if moved.rowcount != 1:
                return None
            after = replace(record, status=to, **changes)  # type: ignore[arg-type]
            if after.ended_at_ms is not None and record.stage_id is not None:
                await release_in(connection, record.id, epoch=record.epoch)
                after = replace(after, stage_id=None, place_mcores=None)
            await _write_usage(connection, after, ends=ends)
            if ended_by is not None:
                await note_change(connection, "session.ended", record.id, account_id=record.account_id, by=ended_by)
            if after.ended_at_ms is None:
                await tell_started(connection, after)
            else:
                await tell_ended(connection, after, utterances_follow=utterances_follow)
        return after

    async def update(self, session_id: str, **values: object) -> None:
        """Set columns that change while a session is live: `seen_at_ms`, `first_frame_at_ms`, `last_frame_at_ms`,
        `output`, `played`.
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

    async def abandoned(self, *, unseen_for_ms: int) -> list[SessionRecord]:
        """Return the started sessions of other servers that have not renewed their leases for so long. None while this
        server is not steady (leases.py): then nobody could.
        """
        owner = sessions.c.server_id
        return await self._started(
            owner != self.server_id, is_unseen(owner, for_ms=unseen_for_ms), is_steady(self.server_id)
        )

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
