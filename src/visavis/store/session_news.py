"""What webhooks are told of a session's life: docs/reference/webhooks.md, "Events"."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.news import ENDED, News, NewsType, news_of, write_end, write_news
from visavis.store.records import SessionRecord
from visavis.store.usage import SessionUsage, usage_of_sessions
from visavis.timestamps import format_time, format_time_or_none, whole_seconds_between

OWN = "own"  # the dialect whose sessions are created and started in one call
_NONE_USED = SessionUsage(included_minutes=0, purchased_minutes=0, seconds=0, seen_s=0, closed=True)


def _created(record: SessionRecord) -> News:
    return news_of(
        record,
        NewsType.SESSION_CREATED,
        record.created_at_ms,
        key="created",
        avatar_id=record.avatar_id,
        metadata=record.metadata,
        created_at=format_time(record.created_at_ms),
    )


def _started(record: SessionRecord) -> News:
    at_ms = record.started_at_ms or 0
    return news_of(
        record,
        NewsType.SESSION_STARTED,
        at_ms,
        key="started",
        avatar_id=record.avatar_id,
        metadata=record.metadata,
        started_at=format_time(at_ms),
        expiration=format_time_or_none(record.expiration_ms),
    )


def _ended(record: SessionRecord, used: SessionUsage) -> News:
    at_ms, started_at_ms = record.ended_at_ms or 0, record.started_at_ms
    return news_of(
        record,
        NewsType.SESSION_ENDED,
        at_ms,
        key=ENDED,
        reason=record.end_reason,
        avatar_id=record.avatar_id,
        metadata=record.metadata,
        created_at=format_time(record.created_at_ms),
        started_at=format_time_or_none(started_at_ms),
        ended_at=format_time(at_ms),
        usage={
            "minutes": used.included_minutes + used.purchased_minutes,
            "included_minutes": used.included_minutes,
            "purchased_minutes": used.purchased_minutes,
            "seconds": 0 if started_at_ms is None else whole_seconds_between(started_at_ms, at_ms),
            "seen_seconds": used.seen_s,
        },
    )


async def tell_created(connection: AsyncConnection, *records: SessionRecord) -> None:
    """A session in an own room is told of when it has started: until then its create can fail."""
    await write_news(connection, *(_created(record) for record in records if record.dialect != OWN))


async def tell_started(connection: AsyncConnection, record: SessionRecord) -> None:
    before = [_created(record)] if record.dialect == OWN else []
    await write_news(connection, *before, _started(record))


async def tell_ended(connection: AsyncConnection, record: SessionRecord, *, utterances_follow: bool) -> None:
    used = (await usage_of_sessions(connection, [record.id])).get(record.id, _NONE_USED)
    await write_end(connection, _ended(record, used), record, waits=utterances_follow)
