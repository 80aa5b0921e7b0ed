"""Sessions. Their status changes by compare-and-set: of two changes from one status, only one succeeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import case, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.database import Database
from visavis.store.models import sessions
from visavis.store.records import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedSessions:
    """How many sessions of a key wait to be started, and how many of them have a background picture."""

    total: int
    with_picture: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the list of sessions, which is sorted by creation time, then by id."""

    created_at_ms: int
    id: str


async def _count_created(connection: AsyncConnection, key_id: str) -> CreatedSessions:
    picture_id = sessions.c.output[("backdrop", "picture_id")].as_string()
    query = select(func.count(), func.count(picture_id)).where(
        sessions.c.key_id == key_id, sessions.c.status == "created"
    )
    total, with_picture = (await connection.execute(query)).one()
    return CreatedSessions(total=total, with_picture=with_picture)


class SessionStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: SessionRecord, *, check: Callable[[CreatedSessions], None] | None = None) -> None:
        """Add a session. `check` is given the created sessions of its key before it; if it raises, nothing is added."""
        async with self._database.write() as connection:
            if check is not None:
                check(await _count_created(connection, record.key_id))
            await connection.execute(insert(sessions).values(**asdict(record)))

    async def count_created(self, key_id: str) -> CreatedSessions:
        async with self._database.read() as connection:
            return await _count_created(connection, key_id)

    async def remove_created(self, session_id: str) -> bool:
        """Remove the row of a session. Returns False, and changes nothing, if its status is not created."""
        async with self._database.write() as connection:
            removed = await connection.execute(
                delete(sessions).where(sessions.c.id == session_id, sessions.c.status == "created")
            )
            return removed.rowcount == 1

    async def get(self, session_id: str) -> SessionRecord | None:
        return await self._one(sessions.c.id == session_id)

    async def by_room(self, room_name: str) -> SessionRecord | None:
        return await self._one(sessions.c.room_name == room_name)

    async def _one(self, condition: object) -> SessionRecord | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(sessions).where(condition))).mappings().first()  # type: ignore[arg-type]
        return None if row is None else SessionRecord(**row)

    async def move(self, record: SessionRecord, *, to: str, **changes: object) -> SessionRecord | None:
        """Change the status from `record.status` to `to`, together with `changes`; return the new record. Returns None,
        and changes nothing, if the status was another one.
        """
        async with self._database.write() as connection:
            moved = await connection.execute(
                update(sessions)
                .where(sessions.c.id == record.id, sessions.c.status == record.status)
                .values(status=to, **changes)
            )
            if moved.rowcount != 1:
                return None
        return replace(record, status=to, **changes)  # type: ignore[arg-type]

    async def update(self, session_id: str, **values: object) -> None:
        """Set columns that change while a session is live: `seen_at_ms`, `first_frame_at_ms`, `last_frame_at_ms`,
        `output`.
        """
        async with self._database.write() as connection:
            await connection.execute(update(sessions).where(sessions.c.id == session_id).values(**values))

    async def minutes_used(self, key_id: str, *, since_ms: int, excluded_ids: Sequence[str] = ()) -> int:
        """Return the minutes of the key's sessions that ended since `since_ms`, except `excluded_ids`: of each session
        whole minutes, rounded up, at least one.
        """
        lasted_ms = sessions.c.ended_at_ms - sessions.c.started_at_ms
        minutes = case((lasted_ms > 0, (lasted_ms + 59_999) // 60_000), else_=1)
        query = select(func.coalesce(func.sum(minutes), 0)).where(
            sessions.c.key_id == key_id,
            sessions.c.status == "ended",
            sessions.c.started_at_ms.is_not(None),
            sessions.c.ended_at_ms >= since_ms,
            sessions.c.id.not_in(excluded_ids),
        )
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def with_status(self, status: str) -> list[SessionRecord]:
        async with self._database.read() as connection:
            rows = (await connection.execute(select(sessions).where(sessions.c.status == status))).mappings().all()
        return [SessionRecord(**row) for row in rows]

    async def created_of(self, key_id: str) -> list[SessionRecord]:
        """Return the sessions of the key that wait to be started."""
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

    async def newest(
        self,
        key_id: str,
        *,
        statuses: Sequence[str],
        limit: int,
        before: Position | None = None,
        metadata: dict[str, str] | None = None,
    ) -> list[SessionRecord]:
        """Return at most `limit` sessions of the key, newest first. `before`: only those after this place in the list.
        `metadata`: only those whose metadata has these strings at its top level.
        """
        query = select(sessions).where(sessions.c.key_id == key_id, sessions.c.status.in_(statuses))
        if before is not None:
            place = tuple_(sessions.c.created_at_ms, sessions.c.id)
            query = query.where(place < (before.created_at_ms, before.id))
        for name, value in (metadata or {}).items():
            path = f'$."{name}"'
            query = query.where(
                sessions.c.metadata[name].as_string() == value, func.json_type(sessions.c.metadata, path) == "text"
            )
        async with self._database.read() as connection:
            query = query.order_by(sessions.c.created_at_ms.desc(), sessions.c.id.desc()).limit(limit)
            rows = (await connection.execute(query)).mappings().all()
        return [SessionRecord(**row) for row in rows]
