"""The client's helper for receivers of webhooks, held to the server's own signatures."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visavis_client.webhooks import SignatureInvalid, WebhookEvent, verify_webhook

from visavis.webhooks.message import headers_of
from visavis.webhooks.secrets import new_secret

NOW_S = 1_705_320_332
BODY = '{"type":"session.ended","timestamp":"2024-01-15T12:05:32Z","data":{"session_id":"sess_1","number":2}}'


def signed(*secrets: str, body: str = BODY, at_s: int = NOW_S) -> dict[str, str]:
    return headers_of("evnt_1", body, secrets, at_ms=at_s * 1000)


def verify(body: object, headers: Mapping[str, str], secret: str) -> WebhookEvent:
    return verify_webhook(body, headers, secret, now_s=NOW_S)  # type: ignore[arg-type]


def test_the_event_of_a_request_that_either_secret_of_a_rotation_has_signed() -> None:
    old, new = new_secret(), new_secret()
    shouted = {name.upper(): value for name, value in signed(new, old).items()}
    for secret in (old, new):
        event = verify(bytearray(BODY.encode()), shouted, secret)
        assert (event.id, event.type, event.data["number"]) == ("evnt_1", "session.ended", 2)


@pytest.mark.parametrize("body", [BODY, json.loads(BODY), None])
def test_a_parsed_or_decoded_body_is_refused_in_words(body: object) -> None:
    secret = new_secret()
    with pytest.raises(TypeError, match=r"raw bytes of the body, and not a (str|dict|NoneType)"):
        verify(body, signed(secret), secret)


@pytest.mark.parametrize("away_s", [-301, 301])
def test_an_old_request_is_refused_and_so_is_one_of_the_future(away_s: int) -> None:
    secret = new_secret()
    with pytest.raises(SignatureInvalid, match="more than five minutes"):
        verify(BODY.encode(), signed(secret, at_s=NOW_S + away_s), secret)
    within = away_s - 1 if away_s > 0 else away_s + 1
    assert verify(BODY.encode(), signed(secret, at_s=NOW_S + within), secret).id == "evnt_1"


def test_other_bytes_other_secrets_and_odd_requests_are_refused() -> None:
    secret = new_secret()
    good = signed(secret)
    requests: list[tuple[bytes, dict[str, str]]] = [
        (BODY.encode() + b" ", good),
        (BODY.encode(), signed(new_secret())),
        (BODY.encode(), {}),
        (BODY.encode(), good | {"webhook-signature": "v1"}),
        (BODY.encode(), good | {"webhook-signature": "v1,!"}),
        (BODY.encode(), good | {"webhook-signature": good["webhook-signature"].replace("v1,", "v2,")}),
        (BODY.encode(), good | {"webhook-timestamp": "²"}),
        (b"\xff", good),
        (b"[]", signed(secret, body="[]")),
    ]
    for body, headers in requests:
        with pytest.raises(SignatureInvalid):
            verify(body, headers, secret)


@given(st.text(max_size=40))
def test_no_signature_breaks_the_reader(text: str) -> None:
    with pytest.raises(SignatureInvalid):
        verify(BODY.encode(), signed(new_secret()) | {"webhook-signature": text}, new_secret())


def test_a_secret_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="whsec_ and base64"):
        verify(BODY.encode(), signed(new_secret()), "whsec_!")
