"""Adds sessions: those of an account that are created at the same time in one transaction.

Whoever comes while the account's last transaction is under way, or while the database is in use, is added with all
others who wait. So a burst costs few transactions, and still each session is checked against those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.errors import StorageUnusable, VisavisError
from visavis.store.database import Database
from visavis.store.locks import lock_account
from visavis.store.models import sessions
from visavis.store.records import SessionRecord
from visavis.store.session_news import tell_created

_CREATED = (sessions.c.account_id == bindparam("account"), sessions.c.status == "created")
_COUNT_CREATED = select(func.count()).select_from(sessions).where(*_CREATED)  # of an index alone
_COUNT_WITH_PICTURE = select(func.count(sessions.c.output[("backdrop", "picture_id")].as_string())).where(*_CREATED)
_INSERT = insert(sessions)
_COLUMNS = tuple(sessions.columns.keys())


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedSessions:
    """How many sessions of an account wait to be started, and how many of them have a background picture."""

    total: int
    with_picture: int


Check = Callable[[CreatedSessions], None]


async def count_created(connection: AsyncConnection, account_id: str, *, pictures: bool = True) -> CreatedSessions:
    """`pictures`: whether those with a picture are counted, which takes longer."""
    account = {"account": account_id}
    total = (await connection.execute(_COUNT_CREATED, account)).scalar_one()
    with_picture = (await connection.execute(_COUNT_WITH_PICTURE, account)).scalar_one() if pictures else 0
    return CreatedSessions(total=total, with_picture=with_picture)


@dataclass(slots=True, eq=False)
class _Addition:
    """`withdrawn`: set when its request was cancelled before it was added. `error`: why it was not added."""

    record: SessionRecord
    check: Check | None
    withdrawn: bool = False
    error: Exception | None = None


@dataclass(slots=True)
class _Batch:
    additions: list[_Addition] = field(default_factory=list)
    done: anyio.Event = field(default_factory=anyio.Event)


class Additions:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._next: dict[str, _Batch] = {}  # by account: those who wait for its next transaction

    async def add(self, record: SessionRecord, *, check: Check | None) -> None:
        """Add a session. `check` is given the created sessions of its account before it; if it raises a `VisavisError`,
        this session is not added. Those with a picture are counted only if one that is added may have one.
        """
        addition = _Addition(record, check)
        batch = self._next.get(record.account_id)
        try:
            if batch is None:
                batch = self._next[record.account_id] = _Batch()
                batch.additions.append(addition)
                await self._lead(batch, record.account_id)
            else:
                batch.additions.append(addition)
                await batch.done.wait()
        except BaseException:
            addition.withdrawn = True
            raise
        if addition.error is not None:
            raise addition.error

    async def _lead(self, batch: _Batch, account_id: str) -> None:
        try:
            with anyio.CancelScope(shield=True):  # others wait for this transaction, too
                await self._add_all(batch, account_id)
        except BaseException:
            self._close(batch, account_id)
            _fail(batch.additions, StorageUnusable("The database cannot be used now: the write was broken off"))
            raise
        finally:
            batch.done.set()

    async def _add_all(self, batch: _Batch, account_id: str) -> None:
        try:
            async with self._database.write(turn=account_id) as connection:
                self._close(batch, account_id)
                await _add_checked(connection, account_id, batch.additions)
        except StorageUnusable as error:
            self._close(batch, account_id)
            _fail(batch.additions, error)
        except Exception as error:  # noqa: BLE001 (each who has asked raises it)
            if len(batch.additions) == 1:
                _fail(batch.additions, error)
                return
            for addition in batch.additions:  # one that cannot be added takes no others with it
                addition.error = None
                await self._add_all(_Batch([addition]), account_id)

    def _close(self, batch: _Batch, account_id: str) -> None:
        """Whoever comes from now on is added by the next transaction."""
        if self._next.get(account_id) is batch:
            del self._next[account_id]


def _fail(additions: Sequence[_Addition], error: Exception) -> None:
    for addition in additions:
        addition.error = addition.error or error


async def _add_checked(connection: AsyncConnection, account_id: str, additions: Sequence[_Addition]) -> None:
    wanted = [addition for addition in additions if not addition.withdrawn]
    if any(addition.check is not None for addition in wanted):
        await lock_account(connection, account_id)
        pictures = any(addition.record.output is not None for addition in wanted)
        created = await count_created(connection, account_id, pictures=pictures)
        for addition in wanted:
            created = _checked(addition, created)
    records = [addition.record for addition in wanted if addition.error is None]
    if records:
        await connection.execute(_INSERT, [_row(record) for record in records])
        await tell_created(connection, *records)


def _checked(addition: _Addition, created: CreatedSessions) -> CreatedSessions:
    """Check a session, and return the created ones with it."""
    try:
        if addition.check is not None:
            addition.check(created)
    except VisavisError as refusal:
        addition.error = refusal
        return created
    has_picture = bool(((addition.record.output or {}).get("backdrop") or {}).get("picture_id"))
    return replace(created, total=created.total + 1, with_picture=created.with_picture + has_picture)


def _row(record: SessionRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _COLUMNS}
