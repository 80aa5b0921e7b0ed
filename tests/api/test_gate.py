"""The rate limit and idempotency."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.conftest import Service, open_service
from visavis.api.rate_limit import RateLimit

pytestmark = pytest.mark.anyio


def test_a_window_allows_so_many_and_then_begins_anew() -> None:
    limit = RateLimit(2)
    first, second, third = (limit.take("a", now_s=1000.0 + at_s) for at_s in (0, 10, 20))
    assert [(one.allowed, one.remaining, one.resets_at_s) for one in (first, second, third)] == [
        (True, 1, 1060),
        (True, 0, 1060),
        (False, 0, 1060),
    ]
    assert third.retry_after_s == 40
    assert limit.take("b", now_s=1020.0).allowed
    assert limit.take("a", now_s=1060.0).remaining == 1


async def test_headers_on_every_answer_and_the_published_429(tmp_path: Path) -> None:
    async with open_service(tmp_path, rate_limit_per_minute=2) as service:
        before_s = int(time.time())
        first = await service.client.get("/v1/sessions")
        second = await service.client.get("/v1/nothing")
        third = await service.client.get("/v1/sessions")
        assert [answer.headers["x-ratelimit-remaining"] for answer in (first, second, third)] == ["1", "0", "0"]
        assert {answer.headers["x-ratelimit-limit"] for answer in (first, second, third)} == {"2"}
        assert before_s <= int(third.headers["x-ratelimit-reset"]) <= before_s + 120
        assert (third.status_code, third.text) == (
            429,
            '{"success":false,"error":"Too many requests. Please retry after 1 minute."}',
        )
        assert 1 <= int(third.headers["retry-after"]) <= 60
        assert (await service.client.get("/healthz")).status_code == 200
        _, other = await service.services.accounts.create(name="other")
        assert (await service.client.get("/v1/sessions", headers={"x-api-key": other})).status_code == 200


async def test_the_same_key_and_body_replays_the_first_answer(service: Service) -> None:
    body = {"avatar_id": service.look_id, "metadata": {"a": "1"}}
    first = await service.client.post("/v1/sessions", json=body, headers={"Idempotency-Key": "one"})
    again = await service.client.post("/v1/sessions", json=body, headers={"Idempotency-Key": "one"})
    fresh = await service.client.post("/v1/sessions", json=body, headers={"Idempotency-Key": "two"})
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert fresh.json()["session"]["session_id"] != first.json()["session"]["session_id"]
    assert len((await service.client.get("/v1/sessions")).json()["sessions"]) == 2


async def test_an_answer_is_kept_sealed(service: Service, tmp_path: Path) -> None:
    answer = await service.client.post(
        "/v1/sessions", json={"avatar_id": service.look_id}, headers={"Idempotency-Key": "one"}
    )
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("visavis.db*"))  # noqa: ASYNC240 (a look at the disk)
    assert answer.json()["session"]["session_id"].encode() in kept
    assert answer.json()["session"]["access_token"].encode() not in kept


async def test_the_same_key_with_another_body_or_address_is_a_conflict(service: Service) -> None:
    headers = {"Idempotency-Key": "one"}
    await service.client.post("/v1/sessions", json={"avatar_id": service.look_id}, headers=headers)
    body = await service.client.post(
        "/v1/sessions", json={"avatar_id": service.look_id, "metadata": {}}, headers=headers
    )
    address = await service.client.post("/v1/avatars/upload-face", json={"avatar_id": service.look_id}, headers=headers)
    for answer in (body, address):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    _, other = await service.services.accounts.create(name="other")
    answer = await service.client.post("/v1/sessions", json={}, headers=headers | {"x-api-key": other})
    assert answer.json()["error"]["code"] == "AVATAR_ID_REQUIRED"


async def test_of_two_at_once_one_performs_and_both_hear_its_answer(service: Service) -> None:
    body = {"avatar": service.look_id}
    service.fleet.gate.clear()
    first = asyncio.create_task(service.client.post("/v1/sessions", json=body, headers={"Idempotency-Key": "one"}))
    await service.fleet.allocation_requested.wait()
    second = asyncio.create_task(service.client.post("/v1/sessions", json=body, headers={"Idempotency-Key": "one"}))
    other = await service.client.post("/v1/sessions", json=body | {"metadata": {}}, headers={"Idempotency-Key": "one"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert not second.done()
    service.fleet.gate.set()
    assert (await first).status_code == 201
    assert ((await second).status_code, (await second).content) == (201, (await first).content)
    assert service.fleet.allocations == 1


async def test_a_duplicate_that_has_waited_long_enough_is_told_so(tmp_path: Path) -> None:
    async with open_service(tmp_path, first_answer_wait_s=0) as service:
        body = {"avatar": service.look_id}
        service.fleet.gate.clear()
        first = asyncio.create_task(service.client.post("/v1/sessions", json=body, headers={"Idempotency-Key": "one"}))
        await service.fleet.allocation_requested.wait()
        second = await service.client.post("/v1/sessions", json=body, headers={"Idempotency-Key": "one"})
        assert (second.status_code, second.json()["error"]["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
        assert int(second.headers["retry-after"]) >= 1
        service.fleet.gate.set()
        assert (await first).status_code == 201


async def test_a_form_sent_again_is_the_same_request_though_its_boundary_is_another(service: Service) -> None:
    files = {"file": ("face.jpg", b"photo", "image/jpeg")}
    first, again = [
        await service.client.post("/v1/avatars/upload-face", files=files, headers={"Idempotency-Key": "one"})
        for _ in range(2)
    ]
    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    assert (again.status_code, again.content) == (201, first.content)
    changed = {"file": ("face.jpg", b"another", "image/jpeg")}
    other = await service.client.post("/v1/avatars/upload-face", files=changed, headers={"Idempotency-Key": "one"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")


async def test_a_body_that_is_refused_for_its_size_counts_and_says_what_is_left(service: Service) -> None:
    before = await service.client.get("/v1/sessions")
    answer = await service.client.post("/v1/sessions", content=b"x" * (17 * 1024 * 1024))
    assert answer.status_code == 413
    assert int(answer.headers["x-ratelimit-remaining"]) == int(before.headers["x-ratelimit-remaining"]) - 1
    unknown = await service.client.post(
        "/v1/sessions", content=b"x" * (17 * 1024 * 1024), headers={"x-api-key": "ah_live_" + "x" * 32}
    )
    assert unknown.status_code == 401


async def test_a_refusal_for_want_of_room_can_be_tried_again_with_the_same_key(service: Service) -> None:
    service.fleet.places = 0
    body, headers = {"avatar": service.look_id}, {"Idempotency-Key": "one"}
    assert (await service.client.post("/v1/sessions", json=body, headers=headers)).status_code == 503
    service.fleet.places = 1
    assert (await service.client.post("/v1/sessions", json=body, headers=headers)).status_code == 201


@pytest.mark.parametrize("key", ["", " " * 300, "a\tb", "é"])
async def test_an_odd_idempotency_key_is_refused(service: Service, key: str) -> None:
    answer = await service.client.post("/v1/sessions", json={}, headers={b"Idempotency-Key": key.encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST")
