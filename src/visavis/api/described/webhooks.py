"""The description of /v1/webhooks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from visavis.api.described import examples, refusals
from visavis.api.described import webhook_examples as shown
from visavis.api.described.parts import Described, answer, json_body, parameters
from visavis.api.described.requests import Given
from visavis.api.schemas import webhook_schemas
from visavis.api.schemas.parts import Done
from visavis.errors import (
    DeliveryNotFound,
    InvalidCursor,
    InvalidJson,
    InvalidRequest,
    TooLarge,
    UnsupportedMediaType,
    WebhookDisabled,
    WebhookExists,
    WebhookLimitReached,
    WebhookNotFound,
    WebhookUrlRefused,
)
from visavis.store.news import DeliveryStatus, NewsType

EventName = Literal[
    "session.created",
    "session.started",
    "session.first_frame",
    "session.participant_joined",
    "session.participant_left",
    "session.utterance_finished",
    "session.expiring",
    "session.ended",
    "avatar.ready",
    "avatar.failed",
]
assert set(EventName.__args__) == set(NewsType) - {NewsType.PING}  # type: ignore[attr-defined]


class CreateWebhook(Given):
    url: str = Field(min_length=1, max_length=2048, description="A public http(s) address")
    events: list[EventName] = Field(default=[], max_length=10, description="The types to send; none: all of them")


class ChangeWebhook(Given):
    """What is left out stays."""

    url: str | None = Field(default=None, min_length=1, max_length=2048)
    events: list[EventName] | None = Field(default=None, max_length=10)
    enabled: bool | None = None


class RotateSecret(Given):
    overlap_hours: float = Field(default=24, ge=0, le=168, description="How long the old secret goes on signing, too")


_BODY = (InvalidJson, UnsupportedMediaType)

CREATE: Described = {
    "summary": "Make a webhook",
    "description": "The answer has the secret, which is shown once.",
    "openapi_extra": json_body(
        CreateWebhook,
        {
            "All events": {"url": shown.URL},
            "Some": {"url": shown.URL, "events": ["session.started", "session.ended"]},
        },
    ),
    "response_model": webhook_schemas.WebhookWithSecret,
    "responses": answer(201, {"Made": shown.WITH_SECRET})
    | refusals.v1_post(WebhookUrlRefused, WebhookExists, WebhookLimitReached, *_BODY),
}

LIST: Described = {
    "summary": "List your webhooks",
    "description": "Those of your account and of the kind of your key, oldest first.",
    "response_model": webhook_schemas.ManyWebhooks,
    "responses": answer(200, {"Webhooks": shown.WEBHOOKS}) | refusals.v1(),
}

GET: Described = {
    "summary": "Get a webhook",
    "response_model": webhook_schemas.OneWebhook,
    "responses": answer(200, {"Enabled": shown.WEBHOOK, "Disabled": shown.DISABLED}) | refusals.v1(WebhookNotFound),
}

CHANGE: Described = {
    "summary": "Change, enable or disable a webhook",
    "openapi_extra": json_body(
        ChangeWebhook, {"Enable": {"enabled": True}, "Other events": {"events": ["avatar.ready"]}}, required=False
    ),
    "response_model": webhook_schemas.OneWebhook,
    "responses": answer(200, {"Changed": shown.WEBHOOK})
    | refusals.v1(WebhookNotFound, WebhookUrlRefused, WebhookExists, InvalidRequest, TooLarge, *_BODY),
}

DELETE: Described = {
    "summary": "Delete a webhook",
    "description": "With its log. What was not delivered is lost.",
    "response_model": Done,
    "responses": answer(200, {"Deleted": examples.DONE}) | refusals.v1(WebhookNotFound),
}

ROTATE: Described = {
    "summary": "Give a webhook a new secret",
    "description": "For a while both secrets sign, so that a receiver can change over at any time.",
    "openapi_extra": json_body(
        RotateSecret, {"A day": {"overlap_hours": 24}, "At once": {"overlap_hours": 0}}, required=False
    ),
    "response_model": webhook_schemas.WebhookWithSecret,
    "responses": answer(200, {"Rotated": shown.WITH_SECRET}) | refusals.v1_post(WebhookNotFound, *_BODY),
}

PING: Described = {
    "summary": "Send a test event",
    "description": "An event of type `ping`, to this webhook alone, whichever types it takes.",
    "response_model": webhook_schemas.OneDelivery,
    "responses": answer(202, {"Accepted": shown.DELIVERY}) | refusals.v1_post(WebhookNotFound, WebhookDisabled),
}

REPLAY_ALL: Described = {
    "summary": "Send all that was not delivered",
    "description": "What was missed while the webhook was disabled, and what has failed for a day.",
    "response_model": webhook_schemas.Replayed,
    "responses": answer(202, {"Accepted": shown.REPLAYED}) | refusals.v1_post(WebhookNotFound, WebhookDisabled),
}

_STATUS: dict[str, Any] = {
    "name": "status",
    "description": "Only these",
    "enum": [status.value for status in DeliveryStatus],
}

DELIVERIES: Described = {
    "summary": "List the deliveries of a webhook",
    "description": "Newest first.",
    "openapi_extra": parameters(
        _STATUS,
        {"name": "limit", "description": "How many at most", "type": "integer", "minimum": 1, "maximum": 100},
        {
            "name": "cursor",
            "description": "The `next_cursor` of the page before",
            "type": "string",
            "pattern": webhook_schemas.DELIVERY_ID,
            "example": shown.DELIVERY_ID,
        },
    ),
    "response_model": webhook_schemas.DeliveryPage,
    "responses": answer(200, {"A page": shown.DELIVERIES})
    | refusals.v1(WebhookNotFound, InvalidRequest, InvalidCursor),
}

DELIVERY: Described = {
    "summary": "Get a delivery with its event and its attempts",
    "response_model": webhook_schemas.DeliveryDetails,
    "responses": answer(200, {"A delivery": shown.DETAILS}) | refusals.v1(WebhookNotFound, DeliveryNotFound),
}

REPLAY: Described = {
    "summary": "Send a delivery again",
    "description": "The event has its old id and a new signature.",
    "response_model": webhook_schemas.OneDelivery,
    "responses": answer(202, {"Accepted": shown.DELIVERY})
    | refusals.v1_post(WebhookNotFound, DeliveryNotFound, WebhookDisabled),
}
