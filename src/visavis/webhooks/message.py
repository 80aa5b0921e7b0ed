"""What is sent to a webhook: the body of an event, and its headers as Standard Webhooks describes them
(https://www.standardwebhooks.com). The body of an event is the same in every attempt; the signature is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from visavis.store.records import WebhookEventRecord
from visavis.timestamps import format_time


def body_of(event: WebhookEventRecord) -> str:
    """Return the JSON text of an event."""
    data = event.data
    if event.number is not None:  # after the session's id
        first, *others = data.items()
        data = dict([first, ("number", event.number), *others])
    told = {"type": event.type, "timestamp": format_time(event.at_ms), "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def headers_of(event_id: str, body: str, secrets: Sequence[str], *, at_ms: int) -> dict[str, str]:
    """Return the headers of an attempt. `secrets`: those that sign it, the newest first."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at_ms // 1000),
        "webhook-signature": " ".join(Webhook(secret).sign(event_id, at, body) for secret in secrets),
    }
