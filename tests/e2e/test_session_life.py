"""The hosted-room dialect on a real server: a session from create to end with every member of its answers, and the
typed errors for bad input.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.live_server import LiveServer
from visavis.demo.contract import ENDED, check_answer, session_document
from visavis.demo.session_client import SessionClient

pytestmark = pytest.mark.anyio


async def test_a_session_from_created_to_ended_follows_the_contract(
    server: LiveServer, sessions: SessionClient, http: httpx.AsyncClient
) -> None:
    metadata = {"user_name": "John Doe", "nested": {"n": [1, 2.5, None, True]}, "täxt": "ü"}
    created = await sessions.create(server.look, metadata)
    session_id = created["session_id"]
    document = await sessions.read(session_id, "created")
    assert document["metadata"] == metadata and document["daily_room"] == created["daily_room"]

    ws_uri = await sessions.start(session_id)
    assert ws_uri == f"{server.base_url.replace('http', 'ws')}/v1/channel/{session_id}"
    assert await sessions.start(session_id) == ws_uri
    started = await sessions.read(session_id, "started")
    assert started["started_at"] >= created["created_at"]

    await sessions.end(session_id)
    ended = await sessions.read(session_id, "ended")
    times = [datetime.fromisoformat(ended[name]) for name in ("started_at", "ended_at")]
    assert ended["duration"] == (times[1] - times[0]).total_seconds()
    assert ended["daily_room"] == created["daily_room"] and ended["metadata"] == metadata
    post = await http.post(f"/v1/sessions/{session_id}/end", json={"anything": 1})
    assert check_answer("POST …/end", post, status=200, pattern=ENDED)["session"]["ended_at"] == ended["ended_at"]

    listed = (await http.get("/v1/sessions", params={"status": "ended"})).json()
    assert list(listed) == ["success", "sessions"]
    assert ended in listed["sessions"]
    assert session_id not in [
        one["session_id"] for one in (await http.get("/v1/sessions", params={"status": "started"})).json()["sessions"]
    ]
    assert list(listed["sessions"][0]) == list(session_document("ended"))


async def test_a_call_in_the_wrong_status_is_a_conflict(
    server: LiveServer, sessions: SessionClient, http: httpx.AsyncClient
) -> None:
    session_id = (await sessions.create(server.look, {}))["session_id"]
    too_early = await http.put(f"/v1/sessions/{session_id}/end")
    assert (too_early.status_code, too_early.json()["error"]["code"]) == (409, "SESSION_NOT_STARTED")
    await sessions.start(session_id)
    await sessions.end(session_id)
    too_late = await http.put(f"/v1/sessions/{session_id}/start")
    assert (too_late.status_code, too_late.json()["error"]["code"]) == (409, "SESSION_ENDED")


@pytest.mark.parametrize("metadata", [[], "text", 7, True, None, [{}]], ids=str)
async def test_metadata_must_be_an_object(server: LiveServer, http: httpx.AsyncClient, metadata: Any) -> None:
    answer = await http.post("/v1/sessions", json={"avatar_id": server.look, "metadata": metadata})
    assert answer.status_code == 400 and answer.json()["success"] is False and answer.json()["error"]["code"]


async def test_invalid_creates_have_typed_errors(server: LiveServer, http: httpx.AsyncClient) -> None:
    character = (await http.get("/v1/avatars/public")).json()["avatars"][0]["avatar_id"]
    expected: list[tuple[Any, int, str]] = [
        ({}, 400, "AVATAR_ID_REQUIRED"),
        ({"avatar_id": character}, 400, "AVATAR_NOT_A_LOOK"),
        ({"avatar_id": "avat_00000000000000000000000000"}, 404, "AVATAR_NOT_FOUND"),
        ({"avatar_id": server.look, "metadata": {"x": "y" * 17_000}}, 413, "PAYLOAD_TOO_LARGE"),
    ]
    for body, status, code in expected:
        answer = await http.post("/v1/sessions", json=body)
        assert (answer.status_code, answer.json()["error"].get("code")) == (status, code), answer.text
    required = (await http.post("/v1/sessions", json={})).json()
    assert required == {
        "success": False,
        "error": {
            "message": "Avatar ID is required",
            "suggestion": "Include avatar_id in the request body",
            "code": "AVATAR_ID_REQUIRED",
        },
    }


@pytest.mark.parametrize(
    "key", [None, "", "ah_live_" + "x" * 32, "nonsense", "ä", "ah_live_" + "x" * 5000], ids=lambda key: str(key)[:12]
)
async def test_a_missing_or_invalid_key_is_refused(server: LiveServer, key: str | None) -> None:
    headers = {} if key is None else {b"x-api-key": key.encode()}
    async with httpx.AsyncClient(base_url=server.base_url, headers=headers) as stranger:
        answer = await stranger.get("/v1/sessions")
    assert answer.status_code == 401 or (answer.status_code in (400, 431) and len(key or "") > 1000)
    if answer.status_code == 401:
        assert answer.json() == {"error": "Invalid API key" if key else "API key required"}


ODD_IDS = [
    "sess_00000000000000000000000000",
    "x",
    "sess_",
    "%00",
    "..",
    "%2e%2e%2f",
    "a%20b",
    "ü",
    "sess_" + "0" * 4000,
    "'; drop table sessions; --",
    "%ff",
]


@pytest.mark.parametrize("odd", ODD_IDS, ids=lambda odd: odd[:14])
async def test_unknown_and_odd_ids_are_not_found(http: httpx.AsyncClient, odd: str) -> None:
    for method, path in [
        ("GET", f"/v1/sessions/{odd}"),
        ("PUT", f"/v1/sessions/{odd}/start"),
        ("POST", f"/v1/sessions/{odd}/end"),
    ]:
        answer = await http.request(method, path)
        assert answer.status_code in (404, 405), (method, path, answer.status_code, answer.text)


BODIES: list[tuple[bytes, str]] = [
    (b"", "application/json"),
    (b"{", "application/json"),
    (b"null", "application/json"),
    (b"[]", "application/json"),
    (b'"text"', "application/json"),
    (b"\xff\xfe", "application/json"),
    (b'{"avatar_id": "\\ud800"}', "application/json"),
    (b'{"avatar_id": "a\\u0000b"}', "application/json"),
    (b'{"avatar_id": 7}', "application/json"),
    (b'{"avatar_id": null}', "application/json"),
    (b'{"avatar_id": NaN}', "application/json"),
    (b'{"avatar_id": ' + b"[" * 50_000, "application/json"),
    (b'{"avatar_id": "x", "metadata": {"k": "\\ud800"}}', "application/json"),
    (b"avatar_id=x", "application/x-www-form-urlencoded"),
    (b"{}", "text/plain"),
    (b"{}", "nonsense"),
]


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/avatars/upload-face"])
async def test_no_body_breaks_the_server(http: httpx.AsyncClient, path: str) -> None:
    for body, kind in BODIES:
        answer = await http.post(path, content=body, headers={"content-type": kind})
        assert 400 <= answer.status_code < 500 and answer.status_code != 422, (
            body[:40],
            kind,
            answer.status_code,
            answer.text,
        )
        error = answer.json()["error"]
        assert answer.json()["success"] is False and error["message"] and error["code"]


async def test_rooms_refuse_invalid_tokens_and_offers(server: LiveServer, sessions: SessionClient) -> None:
    session = await sessions.create(server.look, {})
    room = session["daily_room"]
    await sessions.start(session["session_id"])
    whep, sdp = f"{room['url']}/whep", {"content-type": "application/sdp"}
    own = {**sdp, "authorization": f"Bearer {room['token']}"}
    other = (await sessions.create(server.look, {}))["daily_room"]["token"]
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.post(whep, content="v=0", headers=sdp)).status_code == 401
        assert (
            await stranger.post(whep, content="v=0", headers={**sdp, "authorization": "Bearer nonsense"})
        ).status_code == 401
        assert (
            await stranger.post(whep, content="v=0", headers={**sdp, "authorization": f"Bearer {other}"})
        ).status_code in (401, 403)
        for nonsense in ("", "v=0", "v=0\r\nm=video", "hello", "v=0\r\n" + "a=x\r\n" * 20_000, b"\xff\xff"):
            answer = await stranger.post(whep, content=nonsense, headers=own)
            assert answer.status_code in (400, 413), (nonsense[:20], answer.status_code, answer.text)
        assert (
            await stranger.post(whep, content="{}", headers={**own, "content-type": "application/json"})
        ).status_code == 415
    await sessions.end(session["session_id"])


async def test_public_endpoints_answer_without_a_key(server: LiveServer) -> None:
    async with httpx.AsyncClient(base_url=server.base_url) as stranger:
        assert (await stranger.get("/healthz")).json()["status"] == "ok"
        assert (await stranger.get("/readyz")).status_code == 200
        document = (await stranger.get("/openapi.json")).json()
        assert document["openapi"].startswith("3.1") and "/v1/sessions" in document["paths"]
