"""What clients of an HTTP API expect: codes and retries in headers, CORS, compression, tags, strict handling, options,
and a session that can be deleted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Service, open_service
from visavis.sessions import service as sessions_service

pytestmark = pytest.mark.anyio

SHOP = "https://shop.example"
STRICT = {"Prefer": "respond-async, handling=strict"}


async def create(service: Service, **body: Any) -> dict[str, Any]:
    answer = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id} | body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def test_a_refusal_has_its_code_and_whether_to_retry_in_headers(tmp_path: Path) -> None:
    async with open_service(tmp_path, rate_limit_per_minute=3) as service:
        wrong = await service.client.get("/v1/sessions", headers={"x-api-key": "nonsense"})
        unknown = await service.client.get("/v1/sessions/sess_x")
        nothing = await service.client.delete("/healthz")
        no_upgrade = await service.client.get("/v1/channel")
        for _ in range(3):
            limited = await service.client.get("/v1/sessions")
    assert (no_upgrade.headers["x-ratelimit-limit"], no_upgrade.headers["x-ratelimit-remaining"]) == ("3", "1")
    assert "x-ratelimit-limit" not in nothing.headers, "only /v1 is limited"
    told = [
        (one.headers["visavis-error-code"], one.headers["visavis-should-retry"])
        for one in (wrong, unknown, nothing, no_upgrade, limited)
    ]
    assert told == [
        ("UNAUTHORIZED", "false"),
        ("SESSION_NOT_FOUND", "false"),
        ("METHOD_NOT_ALLOWED", "false"),
        ("UPGRADE_REQUIRED", "false"),
        ("RATE_LIMITED", "true"),
    ]


async def test_pages_of_named_origins_may_read_answers_and_what_they_say_in_headers(tmp_path: Path) -> None:
    async with open_service(tmp_path, cors_origins=(SHOP,)) as service:
        asked = {"origin": SHOP, "access-control-request-method": "POST"}
        preflight = await service.client.options("/v1/sessions", headers=asked)
        assert preflight.status_code == 204 and preflight.headers["access-control-allow-origin"] == SHOP
        assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]
        refused = await service.client.post("/v1/sessions", content=b"x" * 17_000_000, headers={"origin": SHOP})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (413, SHOP)
        assert "Visavis-Error-Code" in refused.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in refused.headers
        foreign = await service.client.get("/v1/sessions", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in foreign.headers and "Origin" in foreign.headers["vary"]


async def test_without_the_setting_no_page_of_another_origin_reads_anything(service: Service) -> None:
    answer = await service.client.get("/v1/sessions", headers={"origin": SHOP})
    assert answer.status_code == 200 and "access-control-allow-origin" not in answer.headers


async def test_long_answers_are_compressed_and_kept_answers_are_not_garbled(service: Service) -> None:
    metadata = {"text": "word " * 1000}
    headers = {"Idempotency-Key": "one", "Accept-Encoding": "gzip"}
    body = {"avatar_id": service.look_id, "metadata": metadata}
    for _ in range(2):
        answer = await service.client.post("/v1/sessions", json=body, headers=headers)
        assert answer.headers["content-encoding"] == "gzip" and int(answer.headers["content-length"]) < 1500
        assert answer.json()["session"]["metadata"] == metadata
    plain = await service.client.get("/v1/sessions", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.json()["sessions"][0]["metadata"] == metadata


@pytest.mark.parametrize("address", ["/v1/avatars", "/v1/avatars/public", "/v1/avatars?view=flat"])
async def test_a_list_of_avatars_that_has_not_changed_is_not_sent_again(service: Service, address: str) -> None:
    first = await service.client.get(address)
    tag = first.headers["etag"]
    again = await service.client.get(address, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert again.headers["cache-control"] == "no-store"
    other = await service.client.get(address, headers={"If-None-Match": 'W/"other"'})
    assert (other.status_code, other.json()) == (200, first.json())
    if "public" not in address:
        await service.client.delete(f"/v1/avatars/{service.look_id}")
        assert (await service.client.get(address, headers={"If-None-Match": tag})).status_code == 200


async def test_strict_handling_refuses_an_unknown_field_with_the_nearest_name(service: Service) -> None:
    body = {"avatar_id": service.look_id, "metdata": {}}
    assert (await service.client.post("/v1/sessions", json=body)).status_code == 201
    refused = await service.client.post("/v1/sessions", json=body, headers=STRICT)
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        {"message": "Unknown field metdata", "suggestion": "Did you mean metadata?", "code": "INVALID_REQUEST"},
    )
    nested = body | {"options": {"max_durations": 60}}
    del nested["metdata"]
    refused = await service.client.post("/v1/sessions", json=nested, headers=STRICT)
    assert refused.json()["error"]["suggestion"] == "Did you mean options.max_duration?"
    known = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id}, headers=STRICT)
    assert (known.status_code, known.headers["preference-applied"]) == (201, "handling=strict")


async def test_options_of_a_session_hold_within_the_plan_and_are_told(service: Service) -> None:
    (account,) = await service.services.accounts.accounts()
    await service.services.accounts.set_plan("short", {"max_session_minutes": 2})
    await service.services.accounts.assign_plan(account.id, "short")
    assert "options" not in await create(service)
    long = await create(service, options={"max_duration": 3600, "join_timeout": 7})
    assert long["options"] == {"join_timeout": 7, "room_empty_grace": 15, "max_duration": 120, "machine_labels": {}}
    short = await create(service, options={"max_duration": 30, "room_empty_grace": 0})
    assert short["options"] == {"join_timeout": 120, "room_empty_grace": 0, "max_duration": 30, "machine_labels": {}}
    for created, lasts_s in ((long, 120), (short, 30)):
        session_id = created["session"]["session_id"]
        await service.client.put(f"/v1/sessions/{session_id}/start")
        record = service.services.live.table.running[session_id].record
        assert record.expiration_ms is not None and record.started_at_ms is not None
        assert record.expiration_ms - record.started_at_ms == lasts_s * 1000
    deadlines = service.services.live.table.running[long["session"]["session_id"]]._deadlines
    assert deadlines._grace_periods.join_timeout_s == 7


NO_OPTIONS: list[Any] = [
    [],
    "long",
    {"join_timeout": 0},
    {"join_timeout": 1.5},
    {"max_duration": True},
    {"max_duration": 604_801},
    {"machine_labels": ["region"]},
    {"machine_labels": {"region": 1}},
    {"machine_labels": {"region": ""}},
    {"machine_labels": {"region": "e\0u"}},
    {"machine_labels": {"ré": "eu"}},
    {"machine_labels": {"region": "x" * 64}},
    {"machine_labels": {str(number): "x" for number in range(17)}},
    {"machine_labels": {"region": "eu"}},  # this server is no fleet
]


async def test_options_that_make_no_sense_are_refused(service: Service) -> None:
    for options in NO_OPTIONS:
        answer = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id, "options": options})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST"), options


async def test_a_deleted_session_leaves_no_trace(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        secret = "Rumpelstiltskin"
        body = {"avatar_id": service.look_id, "metadata": {"name": secret}}
        headers = {"Idempotency-Key": "one"}
        session = (await service.client.post("/v1/sessions", json=body, headers=headers)).json()["session"]
        address = f"/v1/sessions/{session['session_id']}"
        await service.client.post(f"{address}/tokens", json={"purpose": "watch"})
        await service.client.put(f"{address}/start")
        running = await service.client.delete(address)
        assert (running.status_code, running.json()["error"]["code"]) == (409, "SESSION_NOT_ENDED")
        await service.client.put(f"{address}/end")
        assert (await service.client.delete(address)).json() == {"success": True}
        for gone in (await service.client.get(address), await service.client.delete(address)):
            assert (gone.status_code, gone.json()["error"]["code"]) == (404, "SESSION_NOT_FOUND")
        again = await service.client.post("/v1/sessions", json=body, headers=headers)
        assert "idempotency-replayed" not in again.headers, "the kept answer is still there"
        await service.client.delete(f"/v1/sessions/{again.json()['session']['session_id']}")
        for path in (file for file in tmp_path.rglob("*") if file.is_file()):  # noqa: ASYNC240
            assert secret.encode() not in path.read_bytes(), path


async def test_a_session_of_another_account_is_not_deleted(service: Service) -> None:
    session_id = (await create(service))["session"]["session_id"]
    _, other = await service.services.accounts.create(name="other")
    refused = await service.client.delete(f"/v1/sessions/{session_id}", headers={"x-api-key": other})
    assert refused.status_code == 404
    assert (await service.client.get(f"/v1/sessions/{session_id}")).status_code == 200


async def test_a_filter_goes_on_where_a_page_has_looked(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_service, "MAX_FILTERED", 3)
    wanted = [(await create(service, metadata={"kind": "a"}))["session"]["session_id"]]
    for _ in range(6):
        await create(service, metadata={"kind": "b"})
    wanted.append((await create(service, metadata={"kind": "a"}))["session"]["session_id"])
    pages, cursor, seen = 0, "", []
    while cursor is not None:
        query = "?limit=5&metadata.kind=a" + (f"&cursor={cursor}" if cursor else "")
        page = (await service.client.get(f"/v1/sessions{query}")).json()
        pages, cursor = pages + 1, page["next_cursor"]
        seen += [one["session_id"] for one in page["sessions"]]
    assert (seen, pages) == (wanted[::-1], 3)
