"""Lists of sessions, newest first: by account, status, place and metadata. Each list has an index in its order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    false,
    func,
    select,
    tuple_,
)

from visavis.store.database import Database
from visavis.store.models import sessions
from visavis.store.records import ListedSession, SessionRecord

_COLUMNS = tuple(sessions.columns.keys())
_STATUSES = {"created", "started", "ended"}
_NEWEST_FIRST = (sessions.c.created_at_ms.desc(), sessions.c.id.desc())
_PLACE = tuple_(sessions.c.created_at_ms, sessions.c.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a list of sessions, which is sorted by creation time, then by id."""

    created_at_ms: int
    id: str


_METADATA_JSON = cast(sessions.c.metadata, Text).label("metadata_json")
_LISTED = [_METADATA_JSON if name == "metadata_json" else sessions.c[name] for name in ListedSession._fields]


def session_record(row: Row[Any]) -> SessionRecord:
    """Return the record of a whole row."""
    return SessionRecord(**dict(zip(_COLUMNS, row, strict=True)))


@cache
def _page_of_account(*, of_statuses: bool, after_a_place: bool) -> Select[Any]:
    """Return the query of most pages. A statement that is built once keeps what SQLAlchemy makes of it."""
    query = select(*_LISTED).where(sessions.c.account_id == bindparam("account_id"))
    if of_statuses:
        query = query.where(sessions.c.status.in_(bindparam("statuses", expanding=True)))
    if after_a_place:
        created_at_ms = bindparam("created_at_ms", type_=sessions.c.created_at_ms.type)
        query = query.where(tuple_(created_at_ms, bindparam("id", type_=sessions.c.id.type)) > _PLACE)
    return query.order_by(*_NEWEST_FIRST).limit(bindparam("limit"))


def _conditions(account_id: str | None, statuses: Sequence[str], before: Position | None) -> list[ColumnElement[bool]]:
    """Return the conditions of a list of sessions, of one account or of all. Each has an index that is in the order of
    the list.
    """
    conditions: list[ColumnElement[bool]] = [] if account_id is None else [sessions.c.account_id == account_id]
    if set(statuses) != _STATUSES:
        conditions.append(sessions.c.status.in_(statuses))
    if before is not None:
        conditions.append((before.created_at_ms, before.id) > _PLACE)
    return conditions


class SessionLists:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(
        self,
        account_id: str,
        *,
        statuses: Sequence[str],
        limit: int,
        before: Position | None = None,
        until: Position | None = None,
        metadata: dict[str, str] | None = None,
    ) -> list[ListedSession]:
        """Return at most `limit` sessions of the account, as they are shown. Arguments as of `newest`."""
        values: dict[str, object] = {}
        if until is not None or metadata:
            query = self._query(_LISTED, account_id, statuses, before, until, metadata).limit(limit)
        else:
            of_statuses = set(statuses) != _STATUSES
            query = _page_of_account(of_statuses=of_statuses, after_a_place=before is not None)
            values = {"account_id": account_id, "limit": limit}
            values |= {"statuses": list(statuses)} if of_statuses else {}
            values |= {} if before is None else {"created_at_ms": before.created_at_ms, "id": before.id}
        async with self._database.read() as connection:
            rows = (await connection.execute(query, values)).all()
        return [ListedSession(*row) for row in rows]

    async def newest(
        self,
        account_id: str | None,
        *,
        statuses: Sequence[str],
        limit: int | None,
        before: Position | None = None,
        until: Position | None = None,
        metadata: dict[str, str] | None = None,
        end_reason: str | None = None,
    ) -> list[SessionRecord]:
        """Return at most `limit` sessions of the account (None: of all accounts), newest first. `limit` None: all of
        them. `before`: only those after this place in the list; `until`: only those up to this place. `metadata`: only
        those whose metadata has these strings at its top level. `end_reason`: only those that have ended for it.
        """
        query = self._query(sessions.columns, account_id, statuses, before, until, metadata)
        if end_reason is not None:
            query = query.where(sessions.c.end_reason == end_reason)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.limit(limit))).all()
        return [session_record(row) for row in rows]

    async def place_after(
        self, account_id: str | None, *, statuses: Sequence[str], count: int, before: Position | None = None
    ) -> Position | None:
        """Return the place of the last of `count` sessions in the list; None if there are no more than that."""
        query = select(sessions.c.created_at_ms, sessions.c.id).where(*_conditions(account_id, statuses, before))
        query = query.order_by(*_NEWEST_FIRST).offset(count - 1).limit(2)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return Position(created_at_ms=rows[0][0], id=rows[0][1]) if len(rows) == 2 else None

    def _query(
        self,
        columns: Any,
        account_id: str | None,
        statuses: Sequence[str],
        before: Position | None,
        until: Position | None,
        metadata: dict[str, str] | None,
    ) -> Select[Any]:
        query = select(*columns).where(*_conditions(account_id, statuses, before))
        if until is not None:
            query = query.where((until.created_at_ms, until.id) <= _PLACE)
        for name, value in (metadata or {}).items():
            query = query.where(self._has_text(name, value))
        return query.order_by(*_NEWEST_FIRST)

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
