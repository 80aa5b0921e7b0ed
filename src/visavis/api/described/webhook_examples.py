"""Examples of answers about webhooks, as examples.py has others."""

from __future__ import annotations

from visavis.api.described.examples import CREATED, ENDED, LOOK_ID, METADATA, SESSION_ID, STARTED
from visavis.api.schemas import webhook_schemas
from visavis.store.news import DeliveryStatus

WEBHOOK_ID = "hook_01J8Z3N5K7Q9R2T4V6X8Y0A1C1"
EVENT_ID = "evnt_01J8Z3N5K7Q9R2T4V6X8Y0A1C2"
DELIVERY_ID = "dlvr_01J8Z3N5K7Q9R2T4V6X8Y0A1C3"
URL = "https://www.example.com/webhooks"

_WEBHOOK = webhook_schemas.Webhook(
    webhook_id=WEBHOOK_ID,
    url=URL,
    events=["session.started", "session.ended"],
    test=False,
    enabled=True,
    disabled_reason=None,
    failing_since=None,
    undelivered=0,
    created_at=CREATED,
)
WEBHOOK = webhook_schemas.OneWebhook(webhook=_WEBHOOK)
DISABLED = webhook_schemas.OneWebhook(
    webhook=webhook_schemas.Webhook(
        **dict(_WEBHOOK) | {"enabled": False, "disabled_reason": "failing", "failing_since": CREATED, "undelivered": 3}
    )
)
WEBHOOKS = webhook_schemas.ManyWebhooks(webhooks=[_WEBHOOK])
WITH_SECRET = webhook_schemas.WebhookWithSecret(
    webhook=_WEBHOOK, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
)

SESSION_ENDED = {
    "type": "session.ended",
    "timestamp": ENDED,
    "data": {
        "session_id": SESSION_ID,
        "number": 9,
        "reason": "ended_by_client",
        "avatar_id": LOOK_ID,
        "metadata": METADATA,
        "created_at": CREATED,
        "started_at": STARTED,
        "ended_at": ENDED,
        "usage": {
            "minutes": 6,
            "included_minutes": 6,
            "purchased_minutes": 0,
            "seconds": 330,
            "seen_seconds": 322,
        },
    },
}
_DELIVERY = webhook_schemas.Delivery(
    delivery_id=DELIVERY_ID,
    event_id=EVENT_ID,
    type="session.ended",
    session_id=SESSION_ID,
    number=9,
    status=DeliveryStatus.PENDING,
    attempts=1,
    next_attempt_at="2024-01-15T12:05:37Z",
    delivered_at=None,
    created_at=ENDED,
)
DELIVERY = webhook_schemas.OneDelivery(delivery=_DELIVERY)
DELIVERIES = webhook_schemas.DeliveryPage(deliveries=[_DELIVERY], next_cursor=None)
DETAILS = webhook_schemas.DeliveryDetails(
    delivery=webhook_schemas.DeliveryWithAttempts(
        **dict(_DELIVERY),
        event=SESSION_ENDED,
        attempt_log=[
            webhook_schemas.Attempt(number=1, at=ENDED, duration_ms=212, status_code=500, problem="The answer was 500")
        ],
    )
)
REPLAYED = webhook_schemas.Replayed(replayed=3)
