"""The helper for receivers."""

from __future__ import annotations

import json
import time

import pytest

from visavis.webhooks.message import headers_of
from visavis.webhooks.secrets import new_secret
from visavis.webhooks.verification import SignatureInvalid, verify_webhook

BODY = '{"type":"session.ended","timestamp":"2024-01-15T12:05:32Z","data":{"session_id":"sess_1","number":2}}'


def signed(*secrets: str, at_ms: int | None = None) -> dict[str, str]:
    return headers_of("evnt_1", BODY, secrets, at_ms=time.time_ns() // 1_000_000 if at_ms is None else at_ms)


def test_the_event_of_a_request_that_either_secret_of_a_rotation_has_signed() -> None:
    old, new = new_secret(), new_secret()
    for secret in (old, new):
        event = verify_webhook(BODY.encode(), signed(new, old), secret)
        assert (event.id, event.type, event.data["number"]) == ("evnt_1", "session.ended", 2)


@pytest.mark.parametrize("body", [BODY, json.loads(BODY), None])
def test_a_parsed_or_decoded_body_is_refused_in_words(body: object) -> None:
    secret = new_secret()
    with pytest.raises(TypeError, match="raw bytes"):
        verify_webhook(body, signed(secret), secret)  # type: ignore[arg-type]


def test_other_bytes_other_secrets_old_and_odd_requests_are_refused() -> None:
    secret = new_secret()
    good = signed(secret)
    requests = [
        (BODY.encode() + b" ", good),
        (BODY.encode(), signed(new_secret())),
        (BODY.encode(), signed(secret, at_ms=(time.time_ns() // 1_000_000) - 301_000)),
        (BODY.encode(), {}),
        (BODY.encode(), good | {"webhook-signature": "v1"}),
        (BODY.encode(), good | {"webhook-signature": "v1,!"}),
        (b"\xff", good),
    ]
    for body, headers in requests:
        with pytest.raises(SignatureInvalid):
            verify_webhook(body, headers, secret)
