"""From records of webhooks to answers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from visavis.api.schemas import webhook_schemas
from visavis.store.deliveries import Shown
from visavis.store.news import DeliveryStatus
from visavis.store.records import AttemptRecord
from visavis.timestamps import format_time, format_time_or_none
from visavis.webhooks.message import body_of
from visavis.webhooks.service import ShownWebhook


def webhook(shown: ShownWebhook) -> webhook_schemas.Webhook:
    record = shown.webhook
    return webhook_schemas.Webhook(
        webhook_id=record.id,
        url=record.url,
        events=record.events,
        test=record.test,
        enabled=record.disabled_at_ms is None,
        disabled_reason=record.disabled_reason,  # type: ignore[arg-type]
        failing_since=format_time_or_none(record.failing_since_ms),
        undelivered=shown.undelivered,
        created_at=format_time(record.created_at_ms),
    )


def delivery(shown: Shown) -> webhook_schemas.Delivery:
    record, event = shown.delivery, shown.event
    return webhook_schemas.Delivery(
        delivery_id=record.id,
        event_id=event.id,
        type=event.type,
        session_id=event.data.get("session_id"),
        number=event.number,
        status=DeliveryStatus(record.status),
        attempts=record.attempts,
        next_attempt_at=format_time_or_none(record.due_at_ms),
        delivered_at=format_time_or_none(record.delivered_at_ms),
        created_at=format_time(record.created_at_ms),
    )


def delivery_details(shown: Shown, attempts: Sequence[AttemptRecord]) -> webhook_schemas.DeliveryWithAttempts:
    return webhook_schemas.DeliveryWithAttempts(
        **dict(delivery(shown)),
        event=json.loads(body_of(shown.event)),
        attempt_log=[
            webhook_schemas.Attempt(
                number=one.number,
                at=format_time(one.at_ms),
                duration_ms=one.duration_ms,
                status_code=one.status_code,
                problem=one.problem,
            )
            for one in attempts
        ],
    )
