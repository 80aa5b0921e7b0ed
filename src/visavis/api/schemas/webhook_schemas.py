"""The answers of /v1/webhooks. Fields are in the order on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, WithJsonSchema

from visavis.api.schemas.parts import Answer, Time, Url, id_pattern
from visavis.store.news import DeliveryStatus, NewsType
from visavis.webhooks.service import TYPES

WEBHOOK_ID, EVENT_ID, DELIVERY_ID = (id_pattern(kind) for kind in ("hook", "evnt", "dlvr"))
WebhookId = Annotated[str, WithJsonSchema({"type": "string", "pattern": WEBHOOK_ID})]
EventId = Annotated[str, WithJsonSchema({"type": "string", "pattern": EVENT_ID})]
DeliveryId = Annotated[str, WithJsonSchema({"type": "string", "pattern": DELIVERY_ID})]
_TYPES: list[JsonValue] = list(TYPES)
_ALL_TYPES: list[JsonValue] = [kind.value for kind in NewsType]
Secret = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^whsec_[A-Za-z0-9+/=]+$"})]
EventType = Annotated[str, WithJsonSchema({"type": "string", "enum": _ALL_TYPES})]


class Webhook(Answer):
    webhook_id: WebhookId
    url: Url
    events: list[Annotated[str, WithJsonSchema({"type": "string", "enum": _TYPES})]] = Field(
        description="The types that it takes; an empty list: all of them"
    )
    test: bool = Field(description="Whether it takes the events of test keys, and no others")
    enabled: bool
    disabled_reason: Literal["client", "failing", "gone"] | None = Field(description="Null while it is enabled")
    failing_since: Time | None = Field(description="The first failure since the last success")
    undelivered: int = Field(description="Deliveries that were missed or have failed; they can be sent again")
    created_at: Time


class OneWebhook(Answer):
    success: Literal[True] = True
    webhook: Webhook


class ManyWebhooks(Answer):
    success: Literal[True] = True
    webhooks: list[Webhook] = Field(description="Oldest first")


class WebhookWithSecret(OneWebhook):
    secret: Secret = Field(description="Verifies signatures. It is never shown again")


class Delivery(Answer):
    delivery_id: DeliveryId
    event_id: EventId = Field(description="The header `webhook-id`: the same in every attempt")
    type: EventType
    session_id: str | None = Field(description="Null for events of avatars and pings")
    number: int | None = Field(description="Of the event, among those of its session")
    status: DeliveryStatus
    attempts: int
    next_attempt_at: Time | None
    delivered_at: Time | None
    created_at: Time


class Attempt(Answer):
    number: int
    at: Time
    duration_ms: int
    status_code: int | None = Field(description="Of the receiver's answer; null if there was none")
    problem: str | None = Field(description="Null if the event was delivered")


class DeliveryWithAttempts(Delivery):
    event: dict[str, Any] = Field(description="The body that is sent")
    attempt_log: list[Attempt]


class OneDelivery(Answer):
    success: Literal[True] = True
    delivery: Delivery


class DeliveryDetails(Answer):
    success: Literal[True] = True
    delivery: DeliveryWithAttempts


class DeliveryPage(Answer):
    success: Literal[True] = True
    deliveries: list[Delivery] = Field(description="Newest first")
    next_cursor: DeliveryId | None = Field(description="Null on the last page")


class Replayed(Answer):
    success: Literal[True] = True
    replayed: int = Field(description="How many deliveries are sent again")


# What `visavis webhooks listen` gets; not described to others


class Listener(Answer):
    success: Literal[True] = True
    listener_id: str
    secret: str


class SignedEvent(Answer):
    headers: dict[str, str]
    body: str


class SignedEvents(Answer):
    success: Literal[True] = True
    events: list[SignedEvent]
