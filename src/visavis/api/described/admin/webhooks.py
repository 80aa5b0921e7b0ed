"""The description of /v1/admin/webhooks."""

from __future__ import annotations

from pydantic import Field

from visavis.api.admin import schemas
from visavis.api.described import refusals, webhooks
from visavis.api.described import webhook_examples as shown
from visavis.api.described.admin import examples
from visavis.api.described.admin.parts import BODY, LIMIT, OF_ACCOUNT, cursor
from visavis.api.described.parts import Described, answer, json_body, parameters
from visavis.api.schemas import webhook_schemas
from visavis.errors import (
    AccountNotFound,
    DeliveryNotFound,
    InvalidCursor,
    InvalidRequest,
    TooLarge,
    WebhookDisabled,
    WebhookExists,
    WebhookLimitReached,
    WebhookNotFound,
    WebhookUrlRefused,
)


class CreateAdminWebhook(webhooks.CreateWebhook):
    account_id: str = Field(pattern=schemas.ACCOUNT_ID)
    test: bool = Field(default=False, description="Gets the events of test keys, instead of those of live keys")


LIST: Described = {
    "summary": "List the webhooks of all accounts",
    "description": "Newest first.",
    "openapi_extra": parameters(OF_ACCOUNT, LIMIT, cursor(webhook_schemas.WEBHOOK_ID, shown.WEBHOOK_ID)),
    "response_model": schemas.AdminWebhookPage,
    "responses": answer(200, {"A page": examples.ADMIN_WEBHOOKS}) | refusals.v1(InvalidRequest, InvalidCursor),
}

CREATE: Described = {
    "summary": "Make a webhook for any account",
    "description": "The answer has the secret, which is shown once.",
    "openapi_extra": json_body(
        CreateAdminWebhook,
        {
            "All events": {"account_id": examples.ACCOUNT, "url": shown.URL},
            "Some": {
                "account_id": examples.ACCOUNT,
                "test": False,
                "url": shown.URL,
                "events": ["session.started", "session.ended"],
            },
        },
    ),
    "response_model": schemas.AdminWebhookWithSecret,
    "responses": answer(201, {"Made": examples.ADMIN_WEBHOOK_WITH_SECRET})
    | refusals.v1_post(AccountNotFound, WebhookUrlRefused, WebhookExists, WebhookLimitReached, *BODY),
}

GET: Described = {
    "summary": "Get a webhook of any account",
    "response_model": schemas.OneAdminWebhook,
    "responses": answer(200, {"A webhook": examples.ADMIN_WEBHOOK}) | refusals.v1(WebhookNotFound),
}

CHANGE: Described = {
    "summary": "Change, enable or disable a webhook of any account",
    "openapi_extra": json_body(
        webhooks.ChangeWebhook, {"Enable": {"enabled": True}, "Disable": {"enabled": False}}, required=False
    ),
    "response_model": schemas.OneAdminWebhook,
    "responses": answer(200, {"Changed": examples.ADMIN_WEBHOOK})
    | refusals.v1(WebhookNotFound, WebhookUrlRefused, WebhookExists, InvalidRequest, TooLarge, *BODY),
}

DELETE: Described = webhooks.DELETE | {"summary": "Delete a webhook of any account"}

ROTATE: Described = webhooks.ROTATE | {
    "summary": "Give a webhook of any account a new secret",
    "response_model": schemas.AdminWebhookWithSecret,
    "responses": answer(200, {"Rotated": examples.ADMIN_WEBHOOK_WITH_SECRET})
    | refusals.v1_post(WebhookNotFound, *BODY),
}

PING: Described = webhooks.PING | {"summary": "Send a test event to a webhook of any account"}

REPLAY_ALL: Described = webhooks.REPLAY_ALL | {"summary": "Send all that a webhook of any account has missed"}

DELIVERIES: Described = webhooks.DELIVERIES | {"summary": "List the deliveries of a webhook of any account"}

DELIVERY: Described = {
    "summary": "Get a delivery of any account with its event and its attempts",
    "response_model": webhook_schemas.DeliveryDetails,
    "responses": answer(200, {"A delivery": shown.DETAILS}) | refusals.v1(WebhookNotFound, DeliveryNotFound),
}

REPLAY: Described = {
    "summary": "Send a delivery of any account again",
    "description": "The event has its old id and a new signature.",
    "response_model": webhook_schemas.OneDelivery,
    "responses": answer(202, {"Accepted": shown.DELIVERY})
    | refusals.v1_post(WebhookNotFound, DeliveryNotFound, WebhookDisabled),
}
