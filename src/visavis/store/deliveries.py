"""Deliveries: one event for one webhook each, with their attempts. An attempt is claimed before it is made: a server
that dies in the middle lets its claim run out, and the attempt is made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import (
    LABEL_STYLE_TABLENAME_PLUS_COL,
    ColumnElement,
    and_,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.audit import note_change
from visavis.store.database import Database
from visavis.store.locks import hold_webhook, lock_deliveries
from visavis.store.models import sessions, webhook_attempts, webhook_deliveries, webhook_events, webhooks
from visavis.store.news import DeliveryStatus, News, Viewers, delivery_row, number_ends, write_news
from visavis.store.records import AttemptRecord, DeliveryRecord, WebhookEventRecord, WebhookRecord

SWEPT_AT_ONCE = 500  # events in one transaction
_DELIVERY = webhook_deliveries.c
_EVENT = webhook_events.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery whose next attempt is ours."""

    delivery: DeliveryRecord
    event: WebhookEventRecord
    webhook: WebhookRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many attempts may be claimed for a webhook: first ones, and ones after a failure."""

    fresh: int
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DueWebhook:
    webhook_id: str
    account_id: str
    failing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A delivery with its event."""

    delivery: DeliveryRecord
    event: WebhookEventRecord


class DeliveryStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    # Writing news

    async def write(self, news: Sequence[News | Viewers], *, due_at_ms: int | None = None) -> None:
        """Write news in one transaction; none where nobody takes them. `due_at_ms`: default: now."""
        sources = [one.session if isinstance(one, Viewers) else one for one in news]
        accounts = {source.account_id for source in sources}
        async with self._database.read() as connection:
            query = select(webhooks.c.id).where(webhooks.c.account_id.in_(accounts)).limit(1)
            if (await connection.execute(query)).first() is None:
                return
        async with self._database.write() as connection:
            await write_news(connection, *news, due_at_ms=due_at_ms)

    async def number_ends(self, session_ids: Sequence[str], *, at_ms: int) -> None:
        """See `news.number_ends`."""
        async with self._database.read() as connection:
            ended = _EVENT.subject_id.in_(session_ids), _EVENT.type == "session.ended", _EVENT.number.is_(None)
            waiting = list(await connection.scalars(select(_EVENT.subject_id).where(*ended)))
        if waiting:
            async with self._database.write() as connection:
                await number_ends(connection, waiting, at_ms=at_ms)

    async def add_ping(self, webhook: WebhookRecord, event: WebhookEventRecord) -> Shown | None:
        """Add an event for one webhook alone; None if that is gone."""
        row = delivery_row(webhook.id, event.id, at_ms=event.at_ms, due_at_ms=event.at_ms)
        async with self._database.write() as connection:
            if not await hold_webhook(connection, webhook.id):
                return None
            await connection.execute(insert(webhook_events).values(**asdict(event)))
            await connection.execute(insert(webhook_deliveries).values(**row))
            await note_change(connection, "webhook.pinged", webhook.id, account_id=webhook.account_id)
        return Shown(delivery=DeliveryRecord(**row), event=event)  # type: ignore[arg-type]

    # Sending

    async def next_due_ms(self) -> int | None:
        """Return when the next attempt is due; None if there is none."""
        async with self._database.read() as connection:
            found = (await connection.execute(select(func.min(_DELIVERY.due_at_ms)))).scalar_one()
        return None if found is None else int(found)

    async def due(self, *, now_ms: int) -> list[DueWebhook]:
        """Return the webhooks for which an attempt is due."""
        waiting = exists().where(
            _DELIVERY.webhook_id == webhooks.c.id, _DELIVERY.tried.in_((False, True)), _DELIVERY.due_at_ms <= now_ms
        )
        columns = webhooks.c.id, webhooks.c.account_id, webhooks.c.failing_since_ms
        async with self._database.read() as connection:
            rows = (await connection.execute(select(*columns).where(waiting))).all()
        return [
            DueWebhook(webhook_id=webhook_id, account_id=account_id, failing=failing_since_ms is not None)
            for webhook_id, account_id, failing_since_ms in rows
        ]

    async def claim(self, shares: Mapping[str, Share], *, now_ms: int, lasts_ms: int) -> list[Claimed]:
        """Claim attempts that are due, the oldest first: by webhook. A claim lasts so long. Ends of sessions that
        nobody has numbered are numbered first: they are claimed if nothing else is due, or by the next call.
        """
        claimed, unnumbered = await self._claim(shares, now_ms=now_ms, lasts_ms=lasts_ms)
        if unnumbered:
            await self.number_ends(unnumbered, at_ms=now_ms)
            if not claimed:
                claimed, _ = await self._claim(shares, now_ms=now_ms, lasts_ms=lasts_ms)
        return claimed

    async def _claim(
        self, shares: Mapping[str, Share], *, now_ms: int, lasts_ms: int
    ) -> tuple[list[Claimed], list[str]]:
        """Claim what is due and may be sent. Also return the sessions whose ends are due and have no number. Waits for
        nobody: a session, which a number needs, comes before its deliveries (locks.py).
        """
        async with self._database.write() as connection:
            due: list[str] = []
            for webhook_id, share in shares.items():
                for tried, most in ((False, share.fresh), (True, share.retries)):
                    if most > 0:
                        due += await _due_of(connection, webhook_id, tried=tried, most=most, now_ms=now_ms)
            if not due:
                return [], []
            no_number = and_(_EVENT.type.like("session.%"), _EVENT.number.is_(None))
            unsent = select(_DELIVERY.id, _EVENT.subject_id).join(webhook_events, _DELIVERY.event_id == _EVENT.id)
            found = (await connection.execute(unsent.where(_DELIVERY.id.in_(due), no_number))).all()
            unnumbered = {row.id: row.subject_id for row in found}
            of_them = _DELIVERY.id.in_([delivery_id for delivery_id in due if delivery_id not in unnumbered])
            await connection.execute(update(webhook_deliveries).where(of_them).values(due_at_ms=now_ms + lasts_ms))
            rows = await _joined(connection, of_them)
            hooks = await connection.execute(select(webhooks).where(webhooks.c.id.in_(shares)))
            by_id = {row["id"]: WebhookRecord(**row) for row in hooks.mappings().all()}
        claimed = [
            Claimed(delivery=one.delivery, event=one.event, webhook=by_id[one.delivery.webhook_id]) for one in rows
        ]
        return claimed, sorted(set(unnumbered.values()))

    async def note(
        self, delivery: DeliveryRecord, attempt: AttemptRecord, *, status: DeliveryStatus, due_at_ms: int | None
    ) -> int | None:
        """Note an attempt and what follows from it. Returns since when the webhook fails, None if it does not."""
        done = status is DeliveryStatus.DELIVERED
        ended_at_ms = attempt.at_ms + attempt.duration_ms
        values: dict[str, Any] = {
            "status": status.value,
            "attempts": attempt.number,
            "due_at_ms": due_at_ms,
            "tried": not done,
            "delivered_at_ms": ended_at_ms if done else None,
        }
        hook = webhooks.c.id == delivery.webhook_id
        since = webhooks.c.failing_since_ms
        async with self._database.write() as connection:
            if not await hold_webhook(connection, delivery.webhook_id):
                return None
            # one that was disabled or replayed meanwhile keeps what that has set
            ours = _DELIVERY.id == delivery.id, _DELIVERY.attempts == delivery.attempts, _DELIVERY.status == "pending"
            changed = await connection.execute(update(webhook_deliveries).where(*ours).values(**values))
            if changed.rowcount != 1:
                return None
            await connection.execute(insert(webhook_attempts).values(**asdict(attempt)))
            if done:
                await connection.execute(update(webhooks).where(hook, since.is_not(None)).values(failing_since_ms=None))
                return None
            await connection.execute(
                update(webhooks).where(hook, since.is_(None)).values(failing_since_ms=attempt.at_ms)
            )
            found = (await connection.execute(select(since).where(hook))).scalar_one_or_none()
        return None if found is None else int(found)

    # The log

    async def newest(
        self, webhook_id: str, *, status: str | None = None, before_id: str | None = None, limit: int
    ) -> list[Shown]:
        """Return at most so many deliveries of a webhook, newest first; only those before one in that order."""
        conditions = [_DELIVERY.webhook_id == webhook_id]
        if status is not None:
            conditions.append(_DELIVERY.status == status)
        if before_id is not None:
            conditions.append(_DELIVERY.id < before_id)
        async with self._database.read() as connection:
            return await _joined(connection, *conditions, limit=limit)

    async def get(self, webhook_id: str, delivery_id: str) -> Shown | None:
        async with self._database.read() as connection:
            found = await _joined(connection, _DELIVERY.webhook_id == webhook_id, _DELIVERY.id == delivery_id)
        return found[0] if found else None

    async def attempts(self, delivery_id: str) -> list[AttemptRecord]:
        query = select(webhook_attempts).where(webhook_attempts.c.delivery_id == delivery_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(webhook_attempts.c.number))).mappings().all()
        return [AttemptRecord(**row) for row in rows]

    async def replay(self, webhook: WebhookRecord, *, delivery_id: str | None = None, at_ms: int) -> int:
        """Send a delivery again, or all that were missed or have failed; return how many."""
        condition: ColumnElement[bool] = _DELIVERY.status.in_(
            (DeliveryStatus.MISSED.value, DeliveryStatus.FAILED.value)
        )
        if delivery_id is not None:
            condition = _DELIVERY.id == delivery_id
        anew = {"status": DeliveryStatus.PENDING.value, "began_at_ms": at_ms, "due_at_ms": at_ms, "tried": False}
        async with self._database.write() as connection:
            if not await hold_webhook(connection, webhook.id):
                return 0
            chosen = and_(_DELIVERY.webhook_id == webhook.id, condition)
            await lock_deliveries(connection, chosen)
            changed = await connection.execute(update(webhook_deliveries).where(chosen).values(**anew))
            sent = {"deliveries": changed.rowcount} if delivery_id is None else {"delivery_id": delivery_id}
            await note_change(connection, "webhook.replayed", webhook.id, account_id=webhook.account_id, **sent)
            return changed.rowcount

    async def take(self, webhook_id: str, *, most: int, at_ms: int) -> list[Shown]:
        """Return what waits for a listener, oldest first; it counts as delivered."""
        async with self._database.write() as connection:
            waiting = _DELIVERY.webhook_id == webhook_id, _DELIVERY.status == DeliveryStatus.PENDING.value
            found = await _joined(connection, *waiting, _EVENT.number.is_not(None) | ~_EVENT.type.like("session.%"))
            found = found[::-1][:most]
            done = {"status": DeliveryStatus.DELIVERED.value, "delivered_at_ms": at_ms}
            of_them = _DELIVERY.id.in_([one.delivery.id for one in found])
            await lock_deliveries(connection, of_them)
            await connection.execute(update(webhook_deliveries).where(of_them).values(**done))
        return found

    async def sweep(self, *, before_ms: int) -> None:
        """Delete what happened before, with its deliveries. News of sessions that run stay: they carry the numbers."""
        running = exists().where(sessions.c.id == _EVENT.subject_id, sessions.c.status == "started")
        old = select(_EVENT.id).where(_EVENT.at_ms < before_ms, ~running).limit(SWEPT_AT_ONCE)
        async with self._database.read() as connection:
            event_ids = list(await connection.scalars(old))
        if not event_ids:
            return
        of_them = _DELIVERY.event_id.in_(event_ids)
        async with self._database.write() as connection:
            ids = select(_DELIVERY.id).where(of_them)
            await lock_deliveries(connection, of_them)
            await connection.execute(delete(webhook_attempts).where(webhook_attempts.c.delivery_id.in_(ids)))
            await connection.execute(delete(webhook_deliveries).where(of_them))
            await connection.execute(delete(webhook_events).where(_EVENT.id.in_(event_ids)))


async def _due_of(connection: AsyncConnection, webhook_id: str, *, tried: bool, most: int, now_ms: int) -> list[str]:
    query = select(_DELIVERY.id).where(
        _DELIVERY.webhook_id == webhook_id, _DELIVERY.tried.is_(tried), _DELIVERY.due_at_ms <= now_ms
    )
    query = query.order_by(_DELIVERY.due_at_ms, _DELIVERY.id).limit(most).with_for_update(skip_locked=True)
    return list(await connection.scalars(query))


async def _joined(connection: AsyncConnection, *conditions: Any, limit: int | None = None) -> list[Shown]:
    query = select(webhook_deliveries, webhook_events).join(webhook_events, _DELIVERY.event_id == _EVENT.id)
    query = query.where(*conditions).order_by(_DELIVERY.id.desc()).limit(limit)
    query = query.set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
    rows = (await connection.execute(query)).mappings().all()
    return [
        Shown(
            delivery=DeliveryRecord(**_of_table(row, "webhook_deliveries_")),
            event=WebhookEventRecord(**_of_table(row, "webhook_events_")),
        )
        for row in rows
    ]


def _of_table(row: Mapping[Any, Any], prefix: str) -> dict[str, Any]:
    return {str(name).removeprefix(prefix): value for name, value in row.items() if str(name).startswith(prefix)}
