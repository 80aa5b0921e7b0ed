"""The rate limit and idempotency."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Service, open_service
from tests.fakes import fake_prepare
from visavis.api import gate, media
from visavis.api.rate_limit import RateLimit
from visavis.engine.portrait.points import SevenPoints
from visavis.store.idempotency import IdempotencyStore
from visavis.timestamps import now_ms

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


async def test_an_answer_is_kept_sealed(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
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


ODD_KEYS = ["", " " * 300, "a\tb", "é"]


async def test_an_odd_idempotency_key_is_refused(service: Service) -> None:
    for key in ODD_KEYS:
        answer = await service.client.post("/v1/sessions", json={}, headers={b"Idempotency-Key": key.encode("latin-1")})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST"), key


def die_before_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server write nothing about its answers, as if it were killed then."""

    async def nothing(*_: object, **__: object) -> None:
        return

    monkeypatch.setattr(IdempotencyStore, "save_answer", nothing)
    monkeypatch.setattr(IdempotencyStore, "release", nothing)


@pytest.mark.parametrize("room", ["hosted", "own"])
async def test_a_key_makes_one_session_though_its_server_died_before_it_had_kept_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    headers = {"Idempotency-Key": "one"}
    async with open_service(tmp_path) as first:
        body = {"avatar_id" if room == "hosted" else "avatar": first.look_id}
        with monkeypatch.context() as dying:
            die_before_answers_are_kept(dying)
            before = (await first.client.post("/v1/sessions", json=body, headers=headers)).json()
        owner = await first.services.accounts.authenticate(first.key)
        _, rotated = await first.services.accounts.create(name="rotated", account_id=owner.account_id)
    async with open_service(tmp_path) as second:
        calls = [
            second.client.post("/v1/sessions", json=body, headers=headers | {"x-api-key": api_key})
            for api_key in (first.key, first.key, rotated)
        ]
        answers = await asyncio.gather(*calls)
        assert [answer.status_code for answer in answers] == [201] * 3
        assert sorted(answer.headers.get("idempotency-replayed", "") for answer in answers) == ["", "true", "true"]
        for answer in answers:
            assert credentials(answer.json()) == credentials(before)
        listed = (await second.client.get("/v1/sessions", headers={"x-api-key": first.key})).json()["sessions"]
        assert len(listed) == 1


async def test_a_key_makes_one_avatar_though_its_server_died_before_it_had_kept_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers, prepared = {"Idempotency-Key": "one"}, []

    async def prepare(image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
        prepared.append(image)
        await fake_prepare(image, out_dir, points=points)

    def upload(service: Service) -> Any:
        photo = {"file": ("ann.jpg", b"the photo of Ann", "image/jpeg")}
        return service.client.post("/v1/avatars/upload-face", files=photo, data={"name": "Ann"}, headers=headers)

    async with open_service(tmp_path, prepare=prepare) as first:
        with monkeypatch.context() as dying:
            die_before_answers_are_kept(dying)
            before = (await upload(first)).json()
    async with open_service(tmp_path, prepare=prepare) as second:
        second.client.headers["x-api-key"] = first.key
        answers = await asyncio.gather(upload(second), upload(second))
        assert [answer.status_code for answer in answers] == [201, 201]
        assert {answer.json()["avatar_id"] for answer in answers} == {before["avatar_id"]}
        looks = (await second.client.get("/v1/avatars?view=flat")).json()["my_avatars"]
        assert [look["avatar_id"] for look in looks] == [before["avatar_id"], first.look_id]
    assert prepared.count(b"the photo of Ann") == 1


async def test_a_replayed_answer_has_addresses_that_are_still_good(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers, photo = {"Idempotency-Key": "one"}, {"file": ("ann.jpg", b"a photo", "image/jpeg")}
    first = await service.client.post("/v1/avatars/upload-face", files=photo, headers=headers)
    same = await service.client.post("/v1/avatars/upload-face", files=photo, headers=headers)
    assert same.headers["idempotency-replayed"] == "true"
    later_ms = now_ms() + 20 * 3_600_000
    for module in (gate, media):
        monkeypatch.setattr(module, "now_ms", lambda: later_ms)
    again = await service.client.post("/v1/avatars/upload-face", files=photo, headers=headers)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["avatar_id"] == first.json()["avatar_id"]
    del service.client.headers["x-api-key"]
    for name in ("preview_url", "image_url"):
        assert (await service.client.get(first.json()[name])).status_code != 200, "it has expired"
        shown = await service.client.get(again.json()[name])
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")


def credentials(answer: dict[str, Any]) -> tuple[str, str]:
    session = answer.get("session", answer)
    return session["session_id"], session.get("access_token") or session["session_token"]


async def test_a_key_that_a_dead_server_had_claimed_and_made_nothing_with_is_free(tmp_path: Path) -> None:
    headers = {"Idempotency-Key": "one"}
    async with open_service(tmp_path) as first:
        body = {"avatar_id": first.look_id}
        made = await first.client.post("/v1/sessions", json=body, headers=headers)
        account_id = (await first.services.accounts.authenticate(first.key)).account_id
        record = await first.services.idempotency.get(account_id=account_id, idempotency_key="one")
        assert record is not None
        name = {"account_id": account_id, "idempotency_key": "two"}
        assert await first.services.idempotency.claim(**name, fingerprint=record.fingerprint, at_ms=now_ms()) is None
    async with open_service(tmp_path) as second:
        second.client.headers["x-api-key"] = first.key
        other = await second.client.post("/v1/sessions", json=body, headers={"Idempotency-Key": "two"})
        again = await second.client.post("/v1/sessions", json=body, headers={"Idempotency-Key": "two"})
        assert other.status_code == 201 and credentials(other.json()) != credentials(made.json())
        assert again.json() == other.json() and again.headers["idempotency-replayed"] == "true"
