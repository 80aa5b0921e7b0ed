"""What a receiver does with a webhook: verify the bytes of the body, then read them.

    event = verify_webhook(await request.body(), request.headers, secret)
    if event.type == "session.ended":
        print(event.data["session_id"], event.data["usage"])

Any library for Standard Webhooks does the same, in any language.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError


class SignatureInvalid(ValueError):
    """The signature does not fit the body and the secret, or it is older than five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """`id`: the same whenever this event comes again."""

    id: str
    type: str
    timestamp: str
    data: dict[str, Any]


def verify_webhook(body: bytes, headers: Mapping[str, str], secret: str) -> WebhookEvent:
    """Return the event of a request. `body`: its bytes as they came. Raises `SignatureInvalid`, and TypeError for a
    body that was parsed or decoded.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(
            f"verify_webhook needs the raw bytes of the body, and not a {type(body).__name__}: the signature is that "
            "of the bytes as they came. Give it the body before anything parses it, such as `await request.body()`"
        )
    raw = bytes(body)
    told = {name.lower(): value for name, value in headers.items()}
    try:
        Webhook(secret).verify(raw, told, json_parse=False)
        message = json.loads(raw)
        return WebhookEvent(
            id=told["webhook-id"], type=message["type"], timestamp=message["timestamp"], data=message["data"]
        )
    except WebhookVerificationError as error:
        raise SignatureInvalid(str(error)) from None
    except (ValueError, KeyError, TypeError):
        raise SignatureInvalid("The request is none of a webhook") from None
