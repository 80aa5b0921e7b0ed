"""The audit log: who has changed what, when and from where. An entry is written in the transaction of its change.

Who acts is known where a request or a command begins, far above the store: a context variable carries it down.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.ids import new_id
from visavis.store.database import Database
from visavis.store.models import audit_log
from visavis.timestamps import now_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """`kind`: key, command or server. `id`: the key's id, or the user who runs the command. `address`: the caller's."""

    kind: str
    id: str | None = None
    address: str | None = None


acting: ContextVar[Actor] = ContextVar("acting", default=Actor(kind="server"))  # noqa: B039 (it is frozen)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    id: str
    at_ms: int
    actor: str
    actor_id: str | None
    address: str | None
    action: str
    subject_id: str
    account_id: str | None
    details: dict[str, Any]


async def note_change(
    connection: AsyncConnection,
    action: str,
    subject_id: str,
    *,
    account_id: str | None = None,
    by: Actor | None = None,
    **details: Any,
) -> None:
    """Write an entry, in the caller's transaction. `by`: who has acted, where that is not who acts now. `details` hold
    no secret.
    """
    actor = by or acting.get()
    entry = AuditRecord(
        id=new_id("audt"),
        at_ms=now_ms(),
        actor=actor.kind,
        actor_id=None if actor.id is None else actor.id[:100],
        address=None if actor.address is None else actor.address[:64],
        action=action,
        subject_id=subject_id,
        account_id=account_id,
        details=details,
    )
    await connection.execute(insert(audit_log).values(**asdict(entry)))


class AuditStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(
        self,
        *,
        account_id: str | None = None,
        subject_id: str | None = None,
        actor_id: str | None = None,
        before_id: str | None = None,
        limit: int,
    ) -> list[AuditRecord]:
        """Return at most so many entries, newest first; only those of an account, about a subject, of an actor, and
        before one in that order.
        """
        query = select(audit_log)
        if account_id is not None:
            query = query.where(audit_log.c.account_id == account_id)
        if subject_id is not None:
            query = query.where(audit_log.c.subject_id == subject_id)
        if actor_id is not None:
            query = query.where(audit_log.c.actor_id == actor_id)
        if before_id is not None:
            query = query.where(audit_log.c.id < before_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(audit_log.c.id.desc()).limit(limit))).mappings().all()
        return [AuditRecord(**row) for row in rows]
