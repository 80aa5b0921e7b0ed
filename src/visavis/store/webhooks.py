"""Webhooks: where the events of an account are sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.audit import note_change
from visavis.store.database import Database
from visavis.store.locks import hold_webhook, lock_account, lock_deliveries, lock_webhooks
from visavis.store.models import webhook_attempts, webhook_deliveries, webhooks
from visavis.store.news import DeliveryStatus
from visavis.store.records import WebhookRecord

_DELIVERY = webhook_deliveries.c


class WebhookStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: WebhookRecord, *, check: Callable[[list[WebhookRecord]], None]) -> None:
        """Add a webhook. `check` is given those that the account has; if it raises, nothing is added."""
        async with self._database.write() as connection:
            await self._check(connection, record.account_id, check)
            await connection.execute(insert(webhooks).values(**asdict(record)))
            if record.url:
                await note_change(connection, "webhook.created", record.id, account_id=record.account_id)

    async def _check(
        self, connection: AsyncConnection, account_id: str, check: Callable[[list[WebhookRecord]], None]
    ) -> None:
        await lock_account(connection, account_id)
        query = select(webhooks).where(webhooks.c.account_id == account_id)
        check([WebhookRecord(**row) for row in (await connection.execute(query)).mappings().all()])

    async def change(
        self,
        record: WebhookRecord,
        *,
        check: Callable[[list[WebhookRecord]], None] = lambda _others: None,
        **values: object,
    ) -> WebhookRecord | None:
        """Set columns of a webhook; return its record, None if it is gone. `check`: as for `add`."""
        async with self._database.write() as connection:
            await self._check(connection, record.account_id, check)
            await connection.execute(update(webhooks).where(webhooks.c.id == record.id).values(**values))
            if record.url:
                action = "webhook.secret_rotated" if "secret" in values else "webhook.changed"
                await note_change(connection, action, record.id, account_id=record.account_id)
            return await _one(connection, webhooks.c.id == record.id)

    async def get(self, webhook_id: str) -> WebhookRecord | None:
        async with self._database.read() as connection:
            return await _one(connection, webhooks.c.id == webhook_id)

    async def of_account(self, account_id: str, *, test: bool) -> list[WebhookRecord]:
        """Return the webhooks of an account, oldest first, without listeners."""
        query = select(webhooks).where(webhooks.c.account_id == account_id, webhooks.c.test.is_(test))
        query = query.where(webhooks.c.url != "").order_by(webhooks.c.created_at_ms, webhooks.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [WebhookRecord(**row) for row in rows]

    async def page(self, *, account_id: str | None, before_id: str | None, limit: int) -> list[WebhookRecord]:
        """Return at most so many webhooks of an account, or of all, newest first, without listeners; only those before
        one in that order.
        """
        query = select(webhooks).where(webhooks.c.url != "")
        if account_id is not None:
            query = query.where(webhooks.c.account_id == account_id)
        if before_id is not None:
            query = query.where(webhooks.c.id < before_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(webhooks.c.id.desc()).limit(limit))).mappings().all()
        return [WebhookRecord(**row) for row in rows]

    async def all(self) -> list[WebhookRecord]:
        """Return all webhooks, oldest first, without listeners."""
        query = select(webhooks).where(webhooks.c.url != "").order_by(webhooks.c.created_at_ms, webhooks.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [WebhookRecord(**row) for row in rows]

    async def disable(self, webhook_id: str, *, reason: str, at_ms: int) -> bool:
        """Disable a webhook: what waits to be sent to it is missed. Returns False if it was disabled already, or is
        gone.
        """
        waiting = and_(_DELIVERY.webhook_id == webhook_id, _DELIVERY.due_at_ms.is_not(None))
        async with self._database.write() as connection:
            if not await hold_webhook(connection, webhook_id):
                return False
            await lock_deliveries(connection, waiting)
            enabled = webhooks.c.id == webhook_id, webhooks.c.disabled_at_ms.is_(None)
            values = {"disabled_at_ms": at_ms, "disabled_reason": reason}
            if (await connection.execute(update(webhooks).where(*enabled).values(**values))).rowcount != 1:
                return False
            owner = select(webhooks.c.account_id).where(webhooks.c.id == webhook_id)
            account_id = (await connection.execute(owner)).scalar_one()
            await note_change(connection, "webhook.disabled", webhook_id, account_id=account_id, reason=reason)
            missed = {"status": DeliveryStatus.MISSED.value, "due_at_ms": None}
            await connection.execute(update(webhook_deliveries).where(waiting).values(**missed))
        return True

    async def enable(self, webhook: WebhookRecord) -> None:
        values = {"disabled_at_ms": None, "disabled_reason": None, "failing_since_ms": None}
        async with self._database.write() as connection:
            await connection.execute(update(webhooks).where(webhooks.c.id == webhook.id).values(**values))
            await note_change(connection, "webhook.enabled", webhook.id, account_id=webhook.account_id)

    async def missed(self, webhook_ids: list[str]) -> dict[str, int]:
        """Return how many deliveries each of these webhooks has missed, or that have failed for a day."""
        unsent = (DeliveryStatus.MISSED.value, DeliveryStatus.FAILED.value)
        query = select(_DELIVERY.webhook_id, func.count()).where(
            _DELIVERY.webhook_id.in_(webhook_ids), _DELIVERY.status.in_(unsent)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query.group_by(_DELIVERY.webhook_id))).all()
        return {webhook_id: int(count) for webhook_id, count in rows}

    async def remove(self, *webhook_ids: str) -> None:
        """Remove webhooks with their deliveries."""
        async with self._database.write() as connection:
            of_them = _DELIVERY.webhook_id.in_(webhook_ids)
            deliveries = select(_DELIVERY.id).where(of_them)
            await lock_webhooks(connection, webhook_ids)
            await lock_deliveries(connection, of_them)
            gone = select(webhooks.c.id, webhooks.c.account_id).where(
                webhooks.c.id.in_(webhook_ids), webhooks.c.url != ""
            )
            for webhook_id, account_id in (await connection.execute(gone)).all():
                await note_change(connection, "webhook.deleted", webhook_id, account_id=account_id)
            await connection.execute(delete(webhook_attempts).where(webhook_attempts.c.delivery_id.in_(deliveries)))
            await connection.execute(delete(webhook_deliveries).where(of_them))
            await connection.execute(delete(webhooks).where(webhooks.c.id.in_(webhook_ids)))

    async def silent_listeners(self, *, before_ms: int) -> list[str]:
        """Return the listeners that have not asked since."""
        query = select(webhooks.c.id).where(webhooks.c.url == "", webhooks.c.seen_at_ms < before_ms)
        async with self._database.read() as connection:
            return list(await connection.scalars(query))


async def _one(connection: AsyncConnection, condition: ColumnElement[bool]) -> WebhookRecord | None:
    row = (await connection.execute(select(webhooks).where(condition))).mappings().first()
    return None if row is None else WebhookRecord(**row)
