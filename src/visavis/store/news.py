"""News: what webhooks are told. Each is written in the transaction that makes it happen, together with one delivery for
each webhook that takes it; webhooks/dispatcher.py sends them. Accounts without webhooks have no news.

News of a session are numbered from 1. Two of them cannot get one number: writers wait for the session's row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.ids import new_id
from visavis.store.locks import lock_deliveries, lock_sessions
from visavis.store.models import sessions, webhook_attempts, webhook_deliveries, webhook_events, webhooks
from visavis.store.records import SessionRecord
from visavis.timestamps import now_ms

# The end of a session that was performed waits so long for the ends of its utterances, unless `number_end` is called.
END_WAITS_MS = 5_000
_EVENT = webhook_events.c


class NewsType(StrEnum):
    """Every type of event. docs/reference/webhooks.md, "Events"."""

    SESSION_CREATED = "session.created"
    SESSION_STARTED = "session.started"
    FIRST_FRAME = "session.first_frame"
    PARTICIPANT_JOINED = "session.participant_joined"
    PARTICIPANT_LEFT = "session.participant_left"
    UTTERANCE_FINISHED = "session.utterance_finished"
    SESSION_EXPIRING = "session.expiring"
    SESSION_ENDED = "session.ended"
    AVATAR_READY = "avatar.ready"
    AVATAR_FAILED = "avatar.failed"
    PING = "ping"


_AFTER_THE_END = (NewsType.SESSION_ENDED, NewsType.UTTERANCE_FINISHED)
ENDED = "ended"  # the key of a session's end


class DeliveryStatus(StrEnum):
    """`PENDING`: there will be an attempt, or a listener will fetch it. `MISSED`: its webhook was disabled."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    MISSED = "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something that has happened. `subject_id`: the session or the avatar. `test`: a test key has made it.

    `key`: under it they are found again. `again`: whether they are written though the session has news with this key:
    `never`, `always`, or `unlike_last`, where their data is not that of the last ones.
    """

    account_id: str
    test: bool
    type: NewsType
    subject_id: str
    data: dict[str, Any]
    at_ms: int
    key: str | None = None
    again: Literal["never", "unlike_last", "always"] = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewers:
    """Who watches a session now: whoever has joined and is not among them has left, and the others have joined."""

    session: SessionRecord
    viewer_ids: tuple[str, ...]
    at_ms: int


def news_of(record: SessionRecord, kind: NewsType, at_ms: int, *, key: str | None = None, **data: Any) -> News:
    """Return news of a session. `data`: what they say beside the session's id."""
    return News(
        account_id=record.account_id,
        test=record.test,
        type=kind,
        subject_id=record.id,
        data={"session_id": record.id, **data},
        at_ms=at_ms,
        key=key,
    )


async def takers_of(connection: AsyncConnection, account_id: str, *, test: bool) -> list[Any]:
    """Return the webhooks of an account that take news of this kind, disabled ones too: id, url, types, when it was
    disabled. None of them is removed before the end of the transaction (`locks.hold_webhook`).
    """
    columns = webhooks.c.id, webhooks.c.url, webhooks.c.events, webhooks.c.disabled_at_ms
    query = select(*columns).where(webhooks.c.account_id == account_id, webhooks.c.test.is_(test))
    held = query.with_for_update(read=True, key_share=True, skip_locked=True)
    return list((await connection.execute(held)).all())


async def write_news(
    connection: AsyncConnection, *news: News | Viewers, ended_waits: bool = False, due_at_ms: int | None = None
) -> None:
    """Write news, in the caller's transaction. `ended_waits`: the end of the session gets its number later, because its
    utterances end after it. `due_at_ms`: when they are to be sent; default: now. A session has a clock of its own.
    """
    due_at_ms = now_ms() if due_at_ms is None else due_at_ms
    of_sessions = {_session_of(one) for one in news} - {None}
    if len(of_sessions) > 1:  # of one alone, `_is_news` locks it
        await lock_sessions(connection, [one for one in of_sessions if one is not None])
    takers: dict[tuple[str, bool], list[Any]] = {}
    for one in news:
        source = one.session if isinstance(one, Viewers) else one
        kind = source.account_id, source.test
        if kind not in takers:
            takers[kind] = await takers_of(connection, source.account_id, test=source.test)
        if not takers[kind]:
            continue
        if isinstance(one, Viewers):
            for change in await _changes_of(connection, one):
                await _write_one(connection, change, takers[kind], due_at_ms=due_at_ms)
        else:
            await _write_one(connection, one, takers[kind], due_at_ms=due_at_ms, ended_waits=ended_waits)


def _session_of(news: News | Viewers) -> str | None:
    if isinstance(news, Viewers):
        return news.session.id
    return news.subject_id if news.type.startswith("session.") else None


async def write_end(connection: AsyncConnection, ended: News, session: SessionRecord, *, waits: bool) -> None:
    """Write the end of a session. Whoever watched it has left before."""
    gone = Viewers(session=session, viewer_ids=(), at_ms=ended.at_ms)
    await write_news(connection, gone, ended, ended_waits=waits)


async def _write_one(
    connection: AsyncConnection, news: News, takers: Sequence[Any], *, due_at_ms: int, ended_waits: bool = False
) -> None:
    number = None
    waits = ended_waits and news.type is NewsType.SESSION_ENDED
    if news.type.startswith("session."):
        if not await _is_news(connection, news):
            return
        number = None if waits else await _next_number(connection, news.subject_id)
    event = {
        "id": new_id("evnt"),
        "account_id": news.account_id,
        "subject_id": news.subject_id,
        "number": number,
        "type": news.type.value,
        "key": news.key,
        "data": news.data,
        "at_ms": news.at_ms,
    }
    await connection.execute(insert(webhook_events).values(**event))
    rows = [
        delivery_row(
            webhook_id,
            event["id"],
            at_ms=due_at_ms,
            due_at_ms=due_at_ms + (END_WAITS_MS if waits else 0) if url else None,
            missed=disabled is not None,
        )
        for webhook_id, url, types, disabled in takers
        if not types or news.type in types
    ]
    if rows:
        await connection.execute(insert(webhook_deliveries), rows)


def delivery_row(
    webhook_id: str, event_id: Any, *, at_ms: int, due_at_ms: int | None, missed: bool = False
) -> dict[str, object]:
    """Return the row of a new delivery."""
    return {
        "id": new_id("dlvr"),
        "webhook_id": webhook_id,
        "event_id": event_id,
        "status": (DeliveryStatus.MISSED if missed else DeliveryStatus.PENDING).value,
        "attempts": 0,
        "began_at_ms": at_ms,
        "tried": False,
        "due_at_ms": None if missed else due_at_ms,
        "created_at_ms": at_ms,
        "delivered_at_ms": None,
    }


async def _is_news(connection: AsyncConnection, news: News) -> bool:
    """Lock the session, and tell whether the news are new and come before its end."""
    row = select(sessions.c.status).where(sessions.c.id == news.subject_id).with_for_update(key_share=True)
    status = (await connection.execute(row)).scalar_one_or_none()
    if status is None:  # it was deleted, and leaves no trace
        return False
    of_session = _EVENT.subject_id == news.subject_id
    if status == "ended" and news.type not in (*_AFTER_THE_END, NewsType.PARTICIPANT_LEFT):
        return False
    if status == "ended" and news.type is NewsType.UTTERANCE_FINISHED:
        numbered = select(_EVENT.id).where(of_session, _EVENT.key == ENDED, _EVENT.number.is_not(None))
        if (await connection.execute(numbered)).first() is not None:
            return False
    if news.type is NewsType.PARTICIPANT_LEFT:
        joined = select(_EVENT.id).where(of_session, _EVENT.key == joined_key(news.data["viewer_id"]))
        if (await connection.execute(joined)).first() is None:
            return False
    if news.key is None or news.again == "always":
        return True
    last = select(_EVENT.data).where(of_session, _EVENT.key == news.key).order_by(_EVENT.number.desc()).limit(1)
    found = (await connection.execute(last)).first()
    return found is None or (news.again == "unlike_last" and found[0] != news.data)


async def _next_number(connection: AsyncConnection, session_id: str) -> int:
    highest = select(func.max(_EVENT.number)).where(_EVENT.subject_id == session_id)
    return int((await connection.execute(highest)).scalar_one() or 0) + 1


def joined_key(viewer_id: str) -> str:
    return f"joined {viewer_id}"[:80]


def left_key(viewer_id: str) -> str:
    return f"left {viewer_id}"[:80]


def viewer_joined(session: SessionRecord, viewer_id: str, *, viewers: int, at_ms: int) -> News:
    kind, key = NewsType.PARTICIPANT_JOINED, joined_key(viewer_id)
    return news_of(session, kind, at_ms, key=key, viewer_id=viewer_id, viewers=viewers)


def viewer_left(session: SessionRecord, viewer_id: str, *, viewers: int, at_ms: int) -> News:
    kind, key = NewsType.PARTICIPANT_LEFT, left_key(viewer_id)
    return news_of(session, kind, at_ms, key=key, viewer_id=viewer_id, viewers=viewers)


async def _changes_of(connection: AsyncConnection, now: Viewers) -> list[News]:
    """Return who has left and who has joined since the news that were written."""
    kinds = (NewsType.PARTICIPANT_JOINED.value, NewsType.PARTICIPANT_LEFT.value)
    query = select(_EVENT.type, _EVENT.data).where(_EVENT.subject_id == now.session.id, _EVENT.type.in_(kinds))
    watching: dict[str, None] = {}
    for kind, data in (await connection.execute(query.order_by(_EVENT.number))).all():
        if kind == NewsType.PARTICIPANT_JOINED:
            watching[data["viewer_id"]] = None
        else:
            watching.pop(data["viewer_id"], None)
    changes = []
    for viewer_id in [one for one in watching if one not in now.viewer_ids]:
        del watching[viewer_id]
        changes.append(viewer_left(now.session, viewer_id, viewers=len(watching), at_ms=now.at_ms))
    for viewer_id in [one for one in now.viewer_ids if one not in watching]:
        watching[viewer_id] = None
        changes.append(viewer_joined(now.session, viewer_id, viewers=len(watching), at_ms=now.at_ms))
    return changes


async def number_ends(connection: AsyncConnection, session_ids: Collection[str], *, at_ms: int) -> None:
    """Give the ends of these sessions their numbers, unless they have them, and have them sent. The caller has locked
    nothing yet.
    """
    await lock_sessions(connection, session_ids)
    ended = select(_EVENT.id, _EVENT.subject_id).where(
        _EVENT.subject_id.in_(session_ids), _EVENT.key == ENDED, _EVENT.number.is_(None)
    )
    ends = (await connection.execute(ended)).all()
    if not ends:
        return
    for event_id, session_id in ends:
        number = await _next_number(connection, session_id)
        await connection.execute(update(webhook_events).where(_EVENT.id == event_id).values(number=number))
    of_ends = webhook_deliveries.c.event_id.in_([event_id for event_id, _ in ends])
    waiting = and_(of_ends, webhook_deliveries.c.due_at_ms > at_ms)
    await lock_deliveries(connection, waiting)
    await connection.execute(update(webhook_deliveries).where(waiting).values(due_at_ms=at_ms))


async def forget_news(connection: AsyncConnection, *subject_ids: str) -> None:
    """Delete all news of sessions or avatars, with their deliveries."""
    of_them = _EVENT.subject_id.in_(subject_ids)
    events = select(_EVENT.id).where(of_them)
    await lock_deliveries(connection, webhook_deliveries.c.event_id.in_(events))
    deliveries = select(webhook_deliveries.c.id).where(webhook_deliveries.c.event_id.in_(events))
    await connection.execute(delete(webhook_attempts).where(webhook_attempts.c.delivery_id.in_(deliveries)))
    await connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.event_id.in_(events)))
    await connection.execute(delete(webhook_events).where(of_them))
