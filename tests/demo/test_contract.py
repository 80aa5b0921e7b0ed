"""The contract's checker must find what it is there to find."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import pytest

from visavis.demo.contract import CREATED, check, check_answer, session_document
from visavis.errors import ContractBroken

FOUNDING: dict[str, Any] = {
    "session_id": "sess_01H3Z8G9YR3K2N5M6P7Q8W4TAB",
    "avatar": {
        "avatar_id": "avat_01H3Z8G9YR3K2N5M6P7Q8W4TAB",
        "name": "Professional Avatar",
        "url": "https://example.com/avatar.jpg",
    },
    "session_type": "webrtc_video",
    "status": "ended",
    "started_at": "2024-01-15T12:00:00Z",
    "ended_at": "2024-01-15T12:05:30Z",
    "expiration": "2024-01-15T14:35:00Z",
    "duration": 330,
    "daily_room": {
        "url": "https://agenthuman.daily.co/example-room-name",
        "name": "example-room-name",
        "token": "eyJ.eyJ.abc",
    },
    "created_at": "2024-01-15T12:00:00Z",
    "metadata": {"user_name": "John Doe", "session_purpose": "Customer Support", "custom_field": "any value"},
}


def test_the_founding_document_fits() -> None:
    check("session", FOUNDING, session_document("ended"))


def broken(**changes: Any) -> dict[str, Any]:
    document = copy.deepcopy(FOUNDING)
    for name, value in changes.items():
        if value is KeyError:
            del document[name]
        else:
            document[name] = value
    return document


@pytest.mark.parametrize(
    "document",
    [
        broken(metadata=KeyError),
        broken(access_token="x" * 20),
        broken(duration="330"),
        broken(duration=330.0),
        broken(duration=None),
        broken(started_at=None),
        broken(ended_at="2024-01-15T12:05:30.000Z"),
        broken(status="closed"),
        broken(daily_room=None),
        broken(avatar={"name": "n", "avatar_id": FOUNDING["avatar"]["avatar_id"], "url": "https://e"}),  # another order
        dict(reversed(FOUNDING.items())),
    ],
    ids=range(11),
)
def test_what_differs_from_it_is_found(document: dict[str, Any]) -> None:
    with pytest.raises(ContractBroken):
        check("session", document, session_document("ended"))


def test_an_answer_is_checked_for_its_status_its_headers_and_its_body() -> None:
    headers = {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "59", "X-RateLimit-Reset": "1", "Request-Id": "r"}
    good = httpx.Response(200, json={"success": True}, headers=headers)
    assert check_answer("here", good, status=200, pattern={"success": True}) == {"success": True}
    refused: list[tuple[httpx.Response, int, dict[str, Any]]] = [
        (good, 201, {"success": True}),
        (good, 200, CREATED),
        (httpx.Response(200, json={"success": True}), 200, {"success": True}),
        (httpx.Response(200, text="{}", headers=headers), 200, {}),
    ]
    for answer, status, pattern in refused:
        with pytest.raises(ContractBroken):
            check_answer("here", answer, status=status, pattern=pattern)
