"""The usage ledger: for each session its entries (usage_slices.py). A closed entry is never changed. The open one, a
session's last, is brought up to date while the session runs, and closed with its end, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.database import Database
from visavis.store.locks import lock_account
from visavis.store.minutes import INCLUDED, PURCHASED, Charge, charge_minute, give_back, waives_unwatched
from visavis.store.models import sessions, usage_entries
from visavis.store.records import SessionRecord
from visavis.store.usage_reports import SECONDS
from visavis.store.usage_slices import (
    MINUTE_MS,
    entry_bounds,
    entry_number,
    entry_of_minute,
    minutes_begun,
    seconds_between,
)
from visavis.timestamps import start_of_month_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far a session that runs has come. Its frames: the first and the last that a viewer got."""

    session: SessionRecord
    until_ms: int
    first_frame_at_ms: int | None
    last_frame_at_ms: int | None

    @property
    def seen_s(self) -> int:
        """The whole seconds from the first frame to the last."""
        if self.first_frame_at_ms is None or self.last_frame_at_ms is None:
            return 0
        return seconds_between(self.first_frame_at_ms, self.last_frame_at_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the ledger of a session stands: its open entry, the minutes charged, the seconds seen before that entry,
    and all seconds seen. `first_frame_at_ms`: as the session's row has it.
    """

    number: int
    minutes: int
    seen_before_s: int
    seen_s: int
    first_frame_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUsage:
    """What the ledger says of a session. Minutes by where they came from; those of test sessions are free."""

    included_minutes: int
    purchased_minutes: int
    seconds: int
    seen_s: int
    closed: bool


async def bring_up_to_date(connection: AsyncConnection, reading: Reading, *, ends: bool = False) -> Place:
    """Write the entries of a session as far as it has come, in the caller's transaction, and charge the minutes that
    have begun. `ends`: the session has ended there. The ledger of a session that has ended stays as it is.
    """
    session = reading.session
    assert session.started_at_ms is not None
    of_session = usage_entries.c.session_id == session.id
    sums = (func.sum(usage_entries.c[name]).over() for name in ("minutes", "seen_s"))
    # The last entry, and beside it the sums of all of them.
    query = select(usage_entries, *sums).where(of_session).order_by(usage_entries.c.number.desc()).limit(1)
    row = (await connection.execute(query)).first()
    last_number, minutes, seen_s, last = None, 0, 0, None
    if row is not None:
        last, (minutes, seen_s) = row._mapping, (int(total) for total in row[-2:])  # noqa: SLF001 (its public name)
        last_number = last["number"]
        if last["closed"]:
            return Place(
                number=last_number, minutes=minutes, seen_before_s=seen_s, seen_s=seen_s, first_frame_at_ms=None
            )
        seen_s -= last["seen_s"]
    started_at_ms, first_number = session.started_at_ms, last_number or 0
    number = max(first_number, entry_number(started_at_ms=started_at_ms, until_ms=reading.until_ms))
    charges = await _charge(connection, session, minutes=int(minutes), until_ms=reading.until_ms)
    for each in range(first_number, number + 1):
        began_at_ms, latest_ms = entry_bounds(started_at_ms=started_at_ms, number=each)
        is_current = each == number
        values: dict[str, object] = {
            "until_ms": max(began_at_ms, min(reading.until_ms, latest_ms)),
            "closed": ends or not is_current,
        }
        if is_current:
            values["seen_s"] = max(0, reading.seen_s - seen_s)
        elif last is not None and each == last_number:
            seen_s += last["seen_s"]
        if each in charges:
            charge = charges[each]
            values |= {"minutes": 1, "source": charge.source, "purchase_id": charge.purchase_id}
        if last is not None and each == last_number:
            await connection.execute(
                update(usage_entries).where(of_session, usage_entries.c.number == each).values(**values)
            )
        else:
            new = {"session_id": session.id, "number": each, "account_id": session.account_id}
            empty = {"began_at_ms": began_at_ms, "minutes": 0, "seen_s": 0}
            await connection.execute(insert(usage_entries).values(**new | empty | values))
    first_frame_at_ms = reading.first_frame_at_ms
    if ends and first_frame_at_ms is None and await waives_unwatched(connection, session.account_id):
        await _waive(connection, session, number=number + 1)
    if first_frame_at_ms is not None and not ends:
        await connection.execute(
            update(sessions)
            .where(sessions.c.id == session.id, sessions.c.first_frame_at_ms.is_(None))
            .values(first_frame_at_ms=first_frame_at_ms)
        )
    return Place(
        number=number,
        minutes=int(minutes) + len(charges),
        seen_before_s=seen_s,
        seen_s=max(seen_s, reading.seen_s),
        first_frame_at_ms=first_frame_at_ms,
    )


async def _waive(connection: AsyncConnection, session: SessionRecord, *, number: int) -> None:
    """Give all charged minutes of a session back: entries of no length, with negative minutes, beginning with `number`.
    Each is in the month in which its minutes began.
    """
    await lock_account(connection, session.account_id)  # before its months and purchases, as for a charge
    entry = usage_entries.c
    charged = select(entry.began_at_ms, entry.source, entry.purchase_id, entry.minutes).where(
        entry.session_id == session.id, entry.source.in_((INCLUDED, PURCHASED))
    )
    groups: dict[tuple[Charge, int], list[int]] = {}  # by where they came from and the month: when they began
    for began_at_ms, source, purchase_id, _ in (await connection.execute(charged.order_by(entry.number))).all():
        group = Charge(source=source, purchase_id=purchase_id), start_of_month_ms(began_at_ms)
        groups.setdefault(group, []).append(began_at_ms)
    for place, ((charge, _), began) in enumerate(groups.items(), start=number):
        await give_back(connection, session.account_id, charge, at_ms=began[0], minutes=len(began))
        values = {"began_at_ms": began[0], "until_ms": began[0], "seen_s": 0, "minutes": -len(began), "closed": True}
        owner = {"session_id": session.id, "number": place, "account_id": session.account_id}
        source = {"source": charge.source, "purchase_id": charge.purchase_id}
        await connection.execute(insert(usage_entries).values(**owner | values | source))


async def _charge(
    connection: AsyncConnection, session: SessionRecord, *, minutes: int, until_ms: int
) -> dict[int, Charge]:
    """Charge the minutes that have begun since so many were charged; return the charges by entry."""
    started_at_ms = session.started_at_ms
    assert started_at_ms is not None
    charges = {}
    for minute in range(minutes, minutes_begun(started_at_ms=started_at_ms, until_ms=until_ms)):
        number = entry_of_minute(started_at_ms=started_at_ms, minute=minute)
        charges[number] = await charge_minute(connection, session, at_ms=started_at_ms + minute * MINUTE_MS)
    return charges


AT_ONCE = 8  # sessions that come to another minute, in one transaction


class UsageStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, readings: Sequence[Reading], places: Mapping[str, Place]) -> dict[str, Place]:
        """Bring the ledgers of these sessions up to date. `places`: what the last call has returned; returns the new
        ones.

        Most sessions have only gone on in their open entry, and every minute all of them come to the next one: a few
        statements for all of them. Those that come to another minute follow in further transactions, so that none holds
        the write lock for long.
        """
        known = [(reading, places[reading.session.id]) for reading in readings if reading.session.id in places]
        going_on = [(reading, place) for reading, place in known if _steps(reading, place) == 0]
        going_over = [(reading, place) for reading, place in known if _steps(reading, place) == 1]
        kept = {reading.session.id: replace(place, seen_s=_seen_s(reading, place)) for reading, place in going_on}
        if going_on or going_over:
            async with self._database.write() as connection:
                if going_on:
                    await connection.execute(_GO_ON, [_gone_on(reading, place) for reading, place in going_on])
                kept |= await _go_over(connection, going_over)
        quick = {reading.session.id for reading, _ in going_on + going_over}
        # Each transaction locks accounts in one order, so that no two servers wait for each other.
        others = sorted(
            (reading for reading in readings if reading.session.id not in quick),
            key=lambda reading: reading.session.account_id,
        )
        for first in range(0, len(others), AT_ONCE):
            some = others[first : first + AT_ONCE]
            async with self._database.write() as connection:
                started = await _started(connection, [reading.session.id for reading in some])
                for reading in some:
                    if reading.session.id in started:
                        kept[reading.session.id] = await bring_up_to_date(connection, reading)
        return kept

    async def of_sessions(self, session_ids: Collection[str]) -> dict[str, SessionUsage]:
        """Return what the ledger says of those of the sessions that have entries."""
        if not session_ids:
            return {}
        async with self._database.read() as connection:
            return await usage_of_sessions(connection, session_ids)


async def usage_of_sessions(connection: AsyncConnection, session_ids: Collection[str]) -> dict[str, SessionUsage]:
    """See `UsageStore.of_sessions`."""
    entry = usage_entries.c
    query = (
        select(
            entry.session_id,
            func.sum(entry.minutes).filter(entry.source == INCLUDED),
            func.sum(entry.minutes).filter(entry.source == PURCHASED),
            func.sum(SECONDS),
            func.sum(entry.seen_s),
            func.count().filter(entry.closed.is_(False)),
        )
        .where(entry.session_id.in_(session_ids))
        .group_by(entry.session_id)
    )
    return {
        session_id: SessionUsage(
            included_minutes=int(included or 0),
            purchased_minutes=int(purchased or 0),
            seconds=int(seconds),
            seen_s=int(seen_s),
            closed=open_entries == 0,
        )
        for session_id, included, purchased, seconds, seen_s, open_entries in (await connection.execute(query)).all()
    }


_GO_ON = (
    update(usage_entries)
    .where(
        usage_entries.c.session_id == bindparam("of_session"),
        usage_entries.c.number == bindparam("of_number"),
        usage_entries.c.closed.is_(False),
    )
    .values(until_ms=bindparam("until"), seen_s=bindparam("seen"), closed=bindparam("closes"))
)


def _steps(reading: Reading, place: Place) -> int | None:
    """Return how many entries a session has gone over since; None if anything else is to be written."""
    started_at_ms = reading.session.started_at_ms or 0
    if (
        minutes_begun(started_at_ms=started_at_ms, until_ms=reading.until_ms) != place.minutes
        or reading.first_frame_at_ms != place.first_frame_at_ms
    ):
        return None
    return entry_number(started_at_ms=started_at_ms, until_ms=reading.until_ms) - place.number


def _seen_s(reading: Reading, place: Place) -> int:
    return max(place.seen_before_s, reading.seen_s)


def _gone_on(reading: Reading, place: Place) -> dict[str, object]:
    seen_s = _seen_s(reading, place) - place.seen_before_s
    at = {"of_session": reading.session.id, "of_number": place.number}
    return at | {"until": reading.until_ms, "seen": seen_s, "closes": False}


async def _go_over(connection: AsyncConnection, going_over: Sequence[tuple[Reading, Place]]) -> dict[str, Place]:
    """Close the open entries of sessions that have come to their next ones, and open those. A session that has ended
    meanwhile has no place any more.
    """
    started = await _started(connection, [reading.session.id for reading, _ in going_over]) if going_over else set()
    closed, opened, places = [], [], {}
    for reading, place in going_over:
        session = reading.session
        if session.id not in started:
            continue
        began_at_ms, _ = entry_bounds(started_at_ms=session.started_at_ms or 0, number=place.number + 1)
        seen_s = max(place.seen_s, reading.seen_s)
        at = {"of_session": session.id, "of_number": place.number}
        closed.append(at | {"until": began_at_ms, "seen": place.seen_s - place.seen_before_s, "closes": True})
        opened.append(
            {
                "session_id": session.id,
                "number": place.number + 1,
                "account_id": session.account_id,
                "began_at_ms": began_at_ms,
                "until_ms": reading.until_ms,
                "seen_s": seen_s - place.seen_s,
                "minutes": 0,
                "closed": False,
            }
        )
        places[session.id] = replace(place, number=place.number + 1, seen_before_s=place.seen_s, seen_s=seen_s)
    if opened:
        await connection.execute(_GO_ON, closed)
        await connection.execute(insert(usage_entries), opened)
    return places


async def _started(connection: AsyncConnection, session_ids: Collection[str]) -> set[str]:
    """Return those of the sessions that still run, as their rows have it. The rows are locked: they do not end now."""
    query = select(sessions.c.id).where(sessions.c.id.in_(session_ids), sessions.c.status == "started")
    return set(await connection.scalars(query.order_by(sessions.c.id).with_for_update(key_share=True)))
