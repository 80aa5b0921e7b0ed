"""Every refusal in its exact shape, and no input that gets a 422 or a 500."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog.testing
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Service, open_service
from visavis.api.described import openapi
from visavis.api.routers import ROUTERS

pytestmark = pytest.mark.anyio


def refusal(message: str, code: str, suggestion: str | None = None) -> str:
    """The exact text of an error body."""
    hint = {} if suggestion is None else {"suggestion": suggestion}
    return json.dumps({"success": False, "error": {"message": message, **hint, "code": code}}, separators=(",", ":"))


async def test_no_key_wrong_key_and_revoked_key(service: Service) -> None:
    record, revoked = await service.services.accounts.create(name="short-lived")
    assert (await service.client.get("/v1/sessions", headers={"x-api-key": revoked})).status_code == 200
    await service.services.accounts.revoke(record.id)
    for key, body in (
        ("", '{"error":"API key required"}'),
        ("nonsense", '{"error":"Invalid API key"}'),
        ("ah_live_" + "a" * 32, '{"error":"Invalid API key"}'),
        (revoked, '{"error":"API key has been deactivated"}'),
    ):
        answer = await service.client.get("/v1/sessions", headers={"x-api-key": key})
        assert (answer.status_code, answer.text) == (401, body)


async def test_unknown_addresses_need_a_key_first(service: Service) -> None:
    assert (await service.client.get("/v1/nothing", headers={"x-api-key": ""})).status_code == 401
    answer = await service.client.get("/v1/nothing")
    assert (answer.status_code, answer.text) == (404, refusal("There is nothing at this address", "NOT_FOUND"))


def test_no_parameter_is_validated_by_the_framework() -> None:
    """It would refuse with 422, in a shape of its own. Our handlers take texts and read them themselves."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    needs = [route.dependant for route in routes]
    assert len(needs) > 60
    for one in needs:
        assert not (one.body_params or one.header_params or one.cookie_params)
        assert all(field.field_info.annotation in (str, str | None) for field in (*one.path_params, *one.query_params))
        assert not any(field.field_info.metadata for field in (*one.path_params, *one.query_params))


async def test_the_description_is_made_once_and_beside_the_event_loop(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_in: list[int] = []

    def describe(*arguments: Any) -> dict[str, Any]:
        made_in.append(threading.get_ident())
        return {"paths": {}}

    monkeypatch.setattr(openapi, "_describe", describe)
    answers = await asyncio.gather(*(service.client.get("/openapi.json") for _ in range(4)))
    assert [answer.json() for answer in answers] == [{"paths": {}}] * 4
    assert len(made_in) == 1 and made_in[0] != threading.get_ident()


ALLOWED = [
    ("/openapi.json", "GET"),
    ("/v1/sessions", "GET, POST"),
    ("/v1/sessions/sess_x/start", "POST, PUT"),
    ("/v1/avatars/avat_x", "DELETE"),
    ("/v1/avatars/public", "GET"),
    ("/v1/avatars/upload-face", "POST"),
    ("/rooms/x/whep", "GET, POST, OPTIONS"),
]


async def test_a_wrong_method_says_which_are_right(service: Service) -> None:
    for address, allowed in ALLOWED:
        answer = await service.client.patch(address)
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED"), address
        assert sorted(answer.headers["allow"].split(", ")) == sorted(allowed.split(", ")), address


async def test_a_client_that_leaves_before_its_body_has_come_is_no_crash(service: Service) -> None:
    answers: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/sessions",
        "raw_path": b"/v1/sessions",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"x-api-key", service.key.encode()), (b"content-length", b"50")],
        "client": ("127.0.0.1", 1),
        "server": ("visavis.test", 80),
    }
    came = iter(({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}))

    async def receive() -> Any:
        return next(came)

    async def send(message: Any) -> None:
        answers.append(message)

    with structlog.testing.capture_logs() as logs:
        await service.app(scope, receive, send)
    assert (answers, logs) == ([], [])


WITHOUT_AVATAR: list[dict[str, Any]] = [{}, {"avatar_id": None}, {"avatar_id": ""}, {"metadata": {}}]


async def test_avatar_id_is_required(service: Service) -> None:
    expected = refusal("Avatar ID is required", "AVATAR_ID_REQUIRED", "Include avatar_id in the request body")
    for body in WITHOUT_AVATAR:
        answer = await service.client.post("/v1/sessions", json=body)
        assert (answer.status_code, answer.text) == (400, expected), body


async def test_a_character_cannot_perform(service: Service) -> None:
    character = (await service.client.get("/v1/avatars")).json()["avatars"][0]
    answer = await service.client.post("/v1/sessions", json={"avatar_id": character["avatar_id"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "AVATAR_NOT_A_LOOK")
    assert service.look_id in answer.json()["error"]["suggestion"]


async def test_another_keys_avatar_is_denied_and_an_unknown_one_not_found(service: Service) -> None:
    _, other = await service.services.accounts.create(name="other")
    denied = await service.client.post(
        "/v1/sessions", json={"avatar_id": service.look_id}, headers={"x-api-key": other}
    )
    expected = refusal(
        "Access denied to this avatar",
        "ACCESS_DENIED",
        "You do not have permission to create sessions with this avatar",
    )
    assert (denied.status_code, denied.text) == (403, expected)
    for unknown in ("avat_00000000000000000000000000", "avat", "\u0000", "x" * 5000, "../etc/passwd"):
        answer = await service.client.post("/v1/sessions", json={"avatar_id": unknown})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "AVATAR_NOT_FOUND")


NO_OBJECTS: list[Any] = [[], "text", 5, True, False, None, 1.5]


async def test_metadata_must_be_an_object(service: Service) -> None:
    for metadata in NO_OBJECTS:
        answer = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id, "metadata": metadata})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_METADATA"), metadata


async def test_metadata_over_16_kib_is_too_large(service: Service) -> None:
    fits = {"a": "é" * ((16 * 1024 - 8) // 2)}
    over = {"a": "é" * ((16 * 1024 - 8) // 2 + 1)}
    assert (
        await service.client.post("/v1/sessions", json={"avatar_id": service.look_id, "metadata": fits})
    ).status_code == 201
    answer = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id, "metadata": over})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


ODD_IDS = [
    "sess_00000000000000000000000000",
    "nonsense",
    "%00",
    "%ff",
    "sess_%F0%9F%98%80",
    "x" * 3000,
    "'; drop table sessions",
]
CALLS = [("GET", ""), ("PUT", "/start"), ("POST", "/end")]


async def test_an_odd_id_is_simply_not_found(service: Service) -> None:
    for session_id in ODD_IDS:
        for method, tail in CALLS:
            answer = await service.client.request(method, f"/v1/sessions/{session_id}{tail}")
            expected = (404, refusal("Session not found", "SESSION_NOT_FOUND"))
            assert (answer.status_code, answer.text) == expected, (method, session_id[:40], tail)


async def test_another_keys_session_is_not_found(service: Service) -> None:
    session_id = (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json()["session"][
        "session_id"
    ]
    _, other = await service.services.accounts.create(name="other")
    for method, tail in (("GET", ""), ("PUT", "/start"), ("PUT", "/end")):
        answer = await service.client.request(method, f"/v1/sessions/{session_id}{tail}", headers={"x-api-key": other})
        assert (answer.status_code, answer.text) == (404, refusal("Session not found", "SESSION_NOT_FOUND"))
    assert (await service.client.get("/v1/sessions", headers={"x-api-key": other})).json()["sessions"] == []


async def test_the_wrong_order_of_calls_is_a_conflict(service: Service) -> None:
    session_id = (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json()["session"][
        "session_id"
    ]
    early = await service.client.put(f"/v1/sessions/{session_id}/end")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "SESSION_NOT_STARTED")
    await service.client.put(f"/v1/sessions/{session_id}/start")
    await service.client.put(f"/v1/sessions/{session_id}/end")
    late = await service.client.put(f"/v1/sessions/{session_id}/start")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "SESSION_ENDED")


async def test_no_machine_free_is_503_with_retry_after(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        service.fleet.places = 0
        session_id = (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json()["session"][
            "session_id"
        ]
        answer = await service.client.put(f"/v1/sessions/{session_id}/start")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "NO_CAPACITY")
        assert int(answer.headers["retry-after"]) >= 1
        service.fleet.places = 1
        assert (await service.client.put(f"/v1/sessions/{session_id}/start")).status_code == 200


BAD_BODIES = [
    (b"{", "application/json", 400),
    (b"[]", "application/json", 400),
    (b'"text"', "application/json", 400),
    (b"\xff\xfe{}", "application/json", 400),
    (b'{"avatar_id": NaN}', "application/json", 400),
    (b'{"avatar_id": 5}', "application/json", 400),
    (b'{"avatar_id": "\\ud800"}', "application/json", 400),
    (b'{"avatar_id": "x", "metadata": {"a": "\\ud800"}}', "application/json", 400),
    (b'{"avatar_id": "x", "metadata": {"a": 1e999}}', "application/json", 400),
    (b'{"avatar_id": ' + b"9" * 5000 + b"}", "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b'{"avatar_id": "x", "metadata": ' + b'{"a":' * 500 + b"1" + b"}" * 501, "application/json", 400),
    (b"avatar_id=x", "application/x-www-form-urlencoded", 415),
    (b"{}", "text/plain", 415),
    (b"{}", "multipart/form-data", 415),
    (b"\x00", "application/json", 400),
]


async def test_a_bad_body_is_refused_with_a_code(service: Service) -> None:
    for raw, content_type, status in BAD_BODIES:
        answer = await service.client.post("/v1/sessions", content=raw, headers={"content-type": content_type})
        case = (content_type, raw[:60])
        assert answer.status_code == status, case
        assert answer.json()["success"] is False, case
        assert answer.json()["error"]["code"].isupper(), case


async def test_a_huge_body_is_413_announced_or_not(service: Service) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 1024 * 1024

    announced = await service.client.post(
        "/v1/sessions", content=b" " * (17 * 1024 * 1024), headers={"content-type": "application/json"}
    )
    streamed = await service.client.post("/v1/sessions", content=pieces(), headers={"content-type": "application/json"})
    for answer in (announced, streamed):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


json_leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
json_values: st.SearchStrategy[Any] = st.deferred(
    lambda: json_leaves | st.lists(json_values, max_size=3) | st.dictionaries(st.text(), json_values, max_size=3)
)
bodies = st.one_of(
    st.binary(max_size=60),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("avatar_id", "avatar", "metadata", "room", "aspect_ratio", "image_base64", "file", "name"), json_values
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
TARGETS = [
    ("POST", "/v1/sessions"),
    ("POST", "/v1/avatars/upload-face"),
    ("POST", "/v1/sessions/odd/start"),
    ("DELETE", "/v1/avatars/odd"),
    ("POST", "/rooms/odd/whep"),
]
TYPES = [
    "application/json",
    "application/sdp",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "🙂",
    "",
]


async def test_nothing_that_is_sent_gets_a_422_or_a_500(service: Service) -> None:
    sent: list[httpx.Request] = []

    @settings(max_examples=80, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(target=st.sampled_from(TARGETS), content_type=st.sampled_from(TYPES), body=bodies)
    def collect(target: tuple[str, str], content_type: str, body: bytes) -> None:
        sent.append(
            service.client.build_request(*target, content=body, headers={b"content-type": content_type.encode()})
        )

    collect()
    for request in sent:
        answer = await service.client.send(request)
        assert answer.status_code in (400, 404, 413, 415), (
            request.method,
            request.url,
            request.content,
            answer.status_code,
            answer.text,
        )
        assert answer.json()["error"]["code"]


BAD_QUERIES = [
    "status=odd",
    "limit=0",
    "limit=101",
    "limit=x",
    "limit=%D9%A3",
    "cursor=odd",
    "cursor=5-sess_odd",
    "cursor=sess_01J8Z4P6M8R0S3V5W7Y9Z1B2C3",
    "cursor=" + "9" * 16 + "-sess_01J8Z4P6M8R0S3V5W7Y9Z1B2C3",
    "metadata.=x",
    "metadata.a%22b=x",
    "metadata.a=%00",
    "limit=" + "9" * 5000,
]


async def test_a_bad_query_is_400(service: Service) -> None:
    for query in BAD_QUERIES:
        answer = await service.client.get(f"/v1/sessions?{query}")
        assert answer.status_code == 400, query[:60]
        assert answer.json()["error"]["code"], query[:60]


async def test_every_answer_has_its_own_request_id(service: Service) -> None:
    ids = {
        (await service.client.get(path)).headers["request-id"]
        for path in ("/healthz", "/v1/sessions", "/nothing", "/v1/nothing", "/openapi.json")
    }
    assert len(ids) == 5
