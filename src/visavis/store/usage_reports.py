"""Reports of the usage ledger: sums of an account's entries over a time, by session and in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from visavis.store.database import Database
from visavis.store.minutes import INCLUDED, PURCHASED
from visavis.store.models import usage_entries

ENTRY = usage_entries.c
SECONDS = ENTRY.until_ms // 1000 - ENTRY.began_at_ms // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time in unix milliseconds: from `began_at_ms` to before `ended_at_ms`. Both are full minutes."""

    began_at_ms: int
    ended_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What sessions have used. `seen_s`: from their first frames to their last."""

    sessions: int
    minutes: int
    seconds: int
    seen_s: int


_SUMS = (
    func.count(ENTRY.session_id.distinct()),
    func.coalesce(func.sum(ENTRY.minutes).filter(ENTRY.source.in_((INCLUDED, PURCHASED))), 0),
    func.coalesce(func.sum(SECONDS), 0),
    func.coalesce(func.sum(ENTRY.seen_s), 0),
)


def _in(account_id: str, span: Span) -> tuple[ColumnElement[bool], ...]:
    began = ENTRY.began_at_ms
    return ENTRY.account_id == account_id, began >= span.began_at_ms, began < span.ended_at_ms


class UsageReports:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_spans(self, account_id: str, spans: Sequence[Span]) -> list[Usage]:
        """Return the account's usage in each of these times."""
        found = []
        async with self._database.read() as connection:
            for span in spans:
                row = (await connection.execute(select(*_SUMS).where(*_in(account_id, span)))).one()
                found.append(_usage(row))
        return found

    async def of_sessions(self, account_id: str, span: Span, *, after_id: str, limit: int) -> list[tuple[str, Usage]]:
        """Return the usage of each session in this time, sorted by id: at most so many, of those after an id."""
        query = (
            select(ENTRY.session_id, *_SUMS)
            .where(*_in(account_id, span), ENTRY.session_id > after_id)
            .group_by(ENTRY.session_id)
            .order_by(ENTRY.session_id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [(row[0], _usage(row[1:])) for row in rows]


def _usage(row: Sequence[int]) -> Usage:
    sessions, minutes, seconds, seen_s = row
    return Usage(sessions=sessions, minutes=int(minutes), seconds=int(seconds), seen_s=int(seen_s))
