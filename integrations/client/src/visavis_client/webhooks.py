"""What a receiver does with a webhook: verify the bytes of the body, then read them.

    event = verify_webhook(await request.body(), request.headers, secret)
    if event.type == "session.ended":
        print(event.data["session_id"], event.data["usage"])

The signatures are those of Standard Webhooks (https://www.standardwebhooks.com). Pure: the caller may give the time.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visavis_client.errors import VisavisError

TOLERANCE_S = 300  # older and younger signatures are refused, so that nobody sends an old request again
_PREFIX = "whsec_"


class SignatureInvalid(VisavisError, ValueError):
    """The signature does not fit the body and the secret, or its time is more than five minutes away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """`id`: the same whenever this event comes again. `data` of an event of a session has its running `number`."""

    id: str
    type: str
    timestamp: str
    data: Mapping[str, Any]


def verify_webhook(
    body: bytes | bytearray | memoryview, headers: Mapping[str, str], secret: str, *, now_s: float | None = None
) -> WebhookEvent:
    """Return the event of a request. `body`: its bytes as they came. `secret`: of the webhook (`whsec_…`); while a
    secret is rotated, the old and the new one fit. `now_s`: unix time, default: now.

    Raises `SignatureInvalid`, and TypeError for a body that was parsed or decoded.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(
            f"verify_webhook needs the raw bytes of the body, and not a {type(body).__name__}: the signature is that "
            "of the bytes as they came. Give it the body before anything parses it, such as `await request.body()`"
        )
    raw, key = bytes(body), _key_of(secret)
    told = {name.lower(): value for name, value in headers.items()}
    event_id, sent_s, signatures = (told.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not event_id or not signatures or not sent_s.isascii() or not sent_s.isdigit():
        raise SignatureInvalid("The request has no signature: webhook-id, webhook-timestamp or webhook-signature")
    if abs((time.time() if now_s is None else now_s) - int(sent_s)) > TOLERANCE_S:
        raise SignatureInvalid("The signature's time is more than five minutes away; is this machine's clock right?")
    expected = hmac.digest(key, f"{event_id}.{sent_s}.".encode() + raw, "sha256")
    if not any(hmac.compare_digest(expected, given) for given in _signatures(signatures)):
        raise SignatureInvalid("The signature does not fit the body and the secret")
    try:
        message = json.loads(raw)
        return WebhookEvent(id=event_id, type=message["type"], timestamp=message["timestamp"], data=message["data"])
    except (ValueError, KeyError, TypeError):
        raise SignatureInvalid("The body is none of a webhook") from None


def _key_of(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("The secret of a webhook is whsec_ and base64; it is shown once, when it is made") from None


def _signatures(text: str) -> list[bytes]:
    """Return the signatures of version 1. Others, and what is none, are left out."""
    found = []
    for one in text.split():
        version, _, value = one.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(value, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found
