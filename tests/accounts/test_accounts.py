"""Accounts: the keys of one share what it has, and no other account sees it."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx
import pytest

from tests.accounts.conftest import Visavis
from tests.accounts.test_plans import put_on_plan
from tests.conftest import Service, open_service
from visavis.accounts.sealing import AnswerSeal
from visavis.errors import AccountNotFound

pytestmark = pytest.mark.anyio


async def second_key(service: Service, *, test: bool = False) -> dict[str, str]:
    """Make another key of the same account; return its header."""
    account = (await service.services.accounts.authenticate(service.key)).account_id
    _, key = await service.services.accounts.create(name="second", account_id=account, test=test)
    return {"x-api-key": key}


async def other_account(service: Service) -> dict[str, str]:
    _, key = await service.services.accounts.create(name="stranger")
    return {"x-api-key": key}


async def create(service: Service, headers: dict[str, str] | None = None) -> httpx.Response:
    return await service.client.post("/v1/sessions", json={"avatar_id": service.look_id}, headers=headers)


async def test_every_key_of_an_account_sees_its_sessions_and_avatars(service: Service) -> None:
    second = await second_key(service)
    session_id = (await create(service)).json()["session"]["session_id"]
    url = f"/v1/sessions/{session_id}"
    assert (await service.client.get(url, headers=second)).json()["session"]["session_id"] == session_id
    assert len((await service.client.get("/v1/sessions", headers=second)).json()["sessions"]) == 1
    assert (await service.client.put(f"{url}/start", headers=second)).status_code == 200
    assert (await service.client.put(f"{url}/end", headers=second)).status_code == 200
    avatars = (await service.client.get("/v1/avatars", headers=second)).json()["avatars"]
    assert [one["name"] for one in avatars] == ["Professional Avatar"]
    picture = f"/media/avatars/{service.look_id}/preview.jpg"
    assert (await service.client.get(picture, headers=second)).status_code == 200
    assert (await create(service, second)).status_code == 201
    assert (await service.client.delete(f"/v1/avatars/{service.look_id}", headers=second)).status_code == 200


async def test_another_account_sees_nothing_of_it(service: Service) -> None:
    stranger = await other_account(service)
    url = f"/v1/sessions/{(await create(service)).json()['session']['session_id']}"
    for method, address in (("GET", url), ("PUT", f"{url}/start"), ("POST", f"{url}/end")):
        answer = await service.client.request(method, address, headers=stranger)
        assert (answer.status_code, answer.json()["error"]["message"]) == (404, "Session not found")
    assert (await service.client.get("/v1/sessions", headers=stranger)).json()["sessions"] == []
    assert (await service.client.get("/v1/avatars", headers=stranger)).json()["avatars"] == []
    assert (await create(service, stranger)).json()["error"]["code"] == "ACCESS_DENIED"
    picture = f"/media/avatars/{service.look_id}/preview.jpg"
    assert (await service.client.get(picture, headers=stranger)).status_code == 404


async def test_the_keys_of_an_account_share_its_places_and_quotas(tmp_path: Path) -> None:
    async with open_service(tmp_path, max_created_sessions_per_account=2) as service:
        await put_on_plan(service, max_concurrency=1)
        second = await second_key(service)
        first_id = (await create(service)).json()["session"]["session_id"]
        second_id = (await create(service, second)).json()["session"]["session_id"]
        assert (await create(service, second)).json()["error"]["code"] == "SESSION_LIMIT_REACHED"
        assert (await service.client.put(f"/v1/sessions/{first_id}/start")).status_code == 200
        refused = await service.client.put(f"/v1/sessions/{second_id}/start", headers=second)
        assert refused.json()["error"]["details"]["concurrency"] == {"current": 1, "max": 1, "available": 0}
        stranger = await other_account(service)
        face = {"avatar": "data:image/png;base64,YSBmYWNl"}
        assert (await service.client.post("/v1/sessions", json=face, headers=stranger)).status_code == 201


async def test_a_hundred_starts_at_once_take_as_many_places_as_there_are(service: Service) -> None:
    """Sessions that are still being started count."""
    await put_on_plan(service, max_concurrency=7)
    service.fleet.places = 200
    keys = [None, await second_key(service)]
    service.fleet.gate.clear()  # no start is done before all have asked
    codes: list[str] = []

    async def one(number: int) -> None:
        headers = keys[number % 2]
        answer = await service.client.post("/v1/sessions", json={"avatar": service.look_id}, headers=headers)
        codes.append("made" if answer.status_code == 201 else answer.json()["error"]["code"])

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(one, number)
        with anyio.fail_after(60):
            while len(codes) < 93:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        service.fleet.gate.set()
    assert (codes.count("made"), codes.count("CONCURRENCY_LIMIT_REACHED")) == (7, 93)
    started = (await service.client.get("/v1/sessions?status=started")).json()["sessions"]
    assert len(started) == 7
    assert (await service.client.get("/v1/sessions?status=created")).json()["sessions"] == []


async def test_a_rotated_key_repeats_a_request_of_the_key_before_it(service: Service) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await create(service, headers)
    again = await create(service, headers | await second_key(service))
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (await create(service, headers | await other_account(service))).json()["error"]["code"] == "ACCESS_DENIED"


def test_answers_that_an_earlier_version_has_sealed_with_the_key_are_opened() -> None:
    import base64
    import hashlib

    from cryptography.fernet import Fernet

    earlier = Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"sealed for ah_live_1").digest()))
    seal = AnswerSeal(b"s" * 32)
    assert seal.of("acct_1", "ah_live_1").decrypt(earlier.encrypt(b"answer")) == b"answer"
    assert seal.of("acct_1", "ah_live_2").decrypt(seal.of("acct_1", "ah_live_1").encrypt(b"answer")) == b"answer"


async def test_the_rate_limit_stays_with_each_key(tmp_path: Path) -> None:
    async with open_service(tmp_path, rate_limit_per_minute=2) as service:
        second = await second_key(service)
        statuses = [(await service.client.get("/v1/sessions")).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert (await service.client.get("/v1/sessions", headers=second)).status_code == 200


async def test_sessions_of_a_test_key_are_free_for_every_key_of_the_account(service: Service) -> None:
    await put_on_plan(service, included_minutes=1)
    test = await second_key(service, test=True)
    made = await service.client.post("/v1/sessions", json={"avatar": service.look_id}, headers=test)
    session_id = made.json()["session"]["session_id"]
    assert made.json()["session"]["expiration"] is not None
    await service.client.put(f"/v1/sessions/{session_id}/end")
    shown = (await service.client.get(f"/v1/sessions/{session_id}")).json()["session"]
    assert shown["billing"] == {"minutes": 0, "included_minutes": 0, "purchased_minutes": 0}
    assert (await create(service)).json()["usage"]["minutes"] == {"total_remaining": 1}


async def test_a_key_of_an_unknown_account_is_refused(service: Service) -> None:
    with pytest.raises(AccountNotFound):
        await service.services.accounts.create(name="lost", account_id="acct_none")


def test_commands_put_keys_into_accounts(visavis: Visavis) -> None:
    visavis("keys", "create", "--name", "web")
    heading, row = visavis("accounts", "list")
    assert heading.split() == ["ID", "NAME", "PLAN", "CREATED"]
    account_id, *rest = row.split()
    assert rest[:2] == ["web", "unlimited"]
    visavis("keys", "create", "--name", "phone", "--account", account_id, "--test")
    assert [line.split()[3] for line in visavis("keys", "list")[1:]] == [account_id, account_id]
    assert len(visavis("accounts", "list")) == 2
    assert "[ACCOUNT_NOT_FOUND]" in visavis("keys", "create", "--name", "x", "--account", "acct_none")[0]
