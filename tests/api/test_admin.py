"""/v1/admin: an operator sees and changes what belongs to any account, and the audit log tells who did it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.lowlevel
import httpx
import pytest

from tests.conftest import InProcess, Service, open_service
from visavis.accounts.scopes import Scope
from visavis.library import PORTRAITS
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted

pytestmark = pytest.mark.anyio

OFFER = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


@dataclass(slots=True)
class Operated:
    """A service, and the client of an operator whose key has no other scope. `service.client` is a customer's."""

    service: Service
    admin: httpx.AsyncClient
    admin_key_id: str

    async def get(self, path: str, **params: str) -> Any:
        answer = await self.admin.get(f"/v1/admin/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def session(self, *, client: httpx.AsyncClient | None = None, start: bool = False) -> str:
        """Create a session of a customer; return its id."""
        client = client or self.service.client
        look = self.service.look_id
        session_id: str = (await client.post("/v1/sessions", json={"avatar_id": look})).json()["session"]["session_id"]
        if start:
            assert (await client.post(f"/v1/sessions/{session_id}/start")).status_code == 200
        return session_id


async def operated(service: Service) -> Operated:
    record, key = await service.services.accounts.create(name="operator", scopes=[Scope.ADMIN])
    transport = InProcess(service.app, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://visavis.test", headers={"x-api-key": key})
    return Operated(service=service, admin=client, admin_key_id=record.id)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Operated]:
    async with open_service(tmp_path, webhook_networks=("127.0.0.0/8",)) as service:
        yield await operated(service)


@pytest.fixture
async def either(tmp_path: Path, database_url: str) -> AsyncIterator[Operated]:
    """As `house`, once on each database."""
    async with open_service(tmp_path, database_url=database_url) as service:
        yield await operated(service)


async def another_customer(house: Operated, *, name: str = "other") -> tuple[str, httpx.AsyncClient]:
    """Return the id of another account, and a client of it that may use the avatar of the first."""
    record, key = await house.service.services.accounts.create(name=name)
    transport = InProcess(house.service.app, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://visavis.test", headers={"x-api-key": key})
    return record.account_id, client


def operations(house: Operated) -> list[tuple[str, str]]:
    """Every (method, path) under /v1/admin."""
    paths = house.service.app.openapi()["paths"].items()
    return [(method, path) for path, methods in paths if path.startswith("/v1/admin") for method in methods]


async def test_a_key_without_the_scope_may_make_none_of_the_calls(house: Operated) -> None:
    for method, path in operations(house):
        answer = await house.service.client.request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "INSUFFICIENT_SCOPE"), (method, path)
    assert len(operations(house)) > 20


async def test_the_operators_key_alone_opens_nothing_of_its_customers(house: Operated) -> None:
    assert (await house.admin.get("/v1/sessions")).status_code == 403


async def test_sessions_of_all_accounts_are_listed_in_pages(either: Operated) -> None:
    _, other = await another_customer(either)
    avatar = (await other.post("/v1/avatars/upload-face", files={"file": b"a face"})).json()["avatar_id"]
    made = [await either.session() for _ in range(3)]
    foreign = [
        (await other.post("/v1/sessions", json={"avatar_id": avatar})).json()["session"]["session_id"] for _ in range(2)
    ]
    await either.service.client.post(f"/v1/sessions/{made[1]}/start")
    await either.service.client.post(f"/v1/sessions/{made[2]}/start")
    await either.admin.post(f"/v1/admin/sessions/{made[2]}/end")

    listed: list[str] = []
    page = await either.get("sessions", limit="2")
    listed += [one["session_id"] for one in page["sessions"]]
    while page["next_cursor"] is not None:
        page = await either.get("sessions", limit="2", cursor=page["next_cursor"])
        listed += [one["session_id"] for one in page["sessions"]]
    assert listed[0] in foreign and sorted(listed) == sorted(made + foreign)

    async def ids(**filters: str) -> set[str]:
        return {one["session_id"] for one in (await either.get("sessions", **filters))["sessions"]}

    (theirs,) = {
        one["account"]["account_id"]
        for one in (await either.get("sessions"))["sessions"]
        if one["session_id"] in foreign
    }
    assert await ids(account_id=theirs) == set(foreign)
    assert await ids(status="started") == {made[1]}
    assert await ids(status="created", account_id=theirs) == set(foreign)
    assert await ids(reason="ended_by_operator") == {made[2]}
    assert await ids(reason="expired") == set()


EMPTY_FILTERS = [
    "sessions?status=odd",
    "sessions?reason=odd",
    "sessions?account_id=odd",
    "keys?limit=0",
    "audit?subject_id=%00",
]


async def test_filters_that_mean_nothing_are_refused(house: Operated) -> None:
    for query in EMPTY_FILTERS:
        answer = await house.admin.get(f"/v1/admin/{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST"), query


async def test_a_session_shows_what_it_has_really_played(house: Operated) -> None:
    session_id = await house.session(start=True)
    performer = house.service.performer(session_id)
    performer.ends_speech = True
    performer.queued.append("cut off by the end")
    shown = (await house.service.client.get(f"/v1/sessions/{session_id}")).json()["session"]["daily_room"]
    room = {"Authorization": f"Bearer {shown['token']}", "Content-Type": "application/sdp"}
    await house.service.client.post(f"/rooms/{shown['name']}/whep", content=OFFER, headers=room)
    performer.emit(PlaybackStarted(utterance_id="a"))
    performer.emit(PlaybackFinished(utterance_id="a", position_s=1.5, interrupted=False))
    performer.emit(PlaybackFinished(utterance_id="b", position_s=0.25, interrupted=True))
    live = house.service.services.live.table.running[session_id]
    while live.played.utterances < 2:
        await anyio.lowlevel.checkpoint()
    (running,) = (await house.get("sessions", status="started"))["sessions"]
    assert running["played"] == {"utterances": 2, "interrupted": 1, "seconds": 1.75, "viewers": 1}
    assert (running["viewers"], running["channel"], running["usage"]["minutes"]) == (1, False, 1)

    ended = (await house.admin.post(f"/v1/admin/sessions/{session_id}/end")).json()["session"]
    assert (ended["status"], ended["reason"], ended["viewers"]) == ("ended", "ended_by_operator", 0)
    assert ended["played"] == {"utterances": 3, "interrupted": 2, "seconds": 1.8, "viewers": 1}
    assert performer.ended
    customers = (await house.service.client.get(f"/v1/sessions/{session_id}")).json()["session"]
    assert customers["status"] == "ended" and "played" not in customers
    metrics = await house.get(f"sessions/{session_id}/metrics")
    assert metrics["metrics"]["session_id"] == session_id


async def test_everything_that_an_operator_does_is_in_the_audit_log(house: Operated) -> None:
    """Each call that changes something is made once; a new one must be added here."""
    customer = house.service.client
    running = await house.session(start=True)
    hook = (await customer.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/"})).json()["webhook"]["webhook_id"]
    delivery = (await customer.post(f"/v1/webhooks/{hook}/ping")).json()["delivery"]["delivery_id"]
    spare, _ = await house.service.services.accounts.create(name="spare")
    rotated, _ = await house.service.services.accounts.create(name="rotated")
    account = spare.account_id
    calls: dict[tuple[str, str], tuple[dict[str, str], Any, str]] = {
        ("post", "/v1/admin/sessions/{session_id}/end"): ({"session_id": running}, None, "session.ended"),
        ("post", "/v1/admin/accounts/{account_id}/purchases"): (
            {"account_id": account},
            {"minutes": 5},
            "minutes.credited",
        ),
        ("patch", "/v1/admin/plans/{plan}"): ({"plan": "small"}, {"max_concurrency": 1}, "plan.changed"),
        ("patch", "/v1/admin/accounts/{account_id}"): ({"account_id": account}, {"plan": "small"}, "plan.assigned"),
        ("post", "/v1/admin/keys"): ({}, {"name": "made"}, "key.created"),
        ("post", "/v1/admin/keys/{key_id}/rotate"): ({"key_id": rotated.id}, {}, "key.rotated"),
        ("post", "/v1/admin/keys/{key_id}/revoke"): ({"key_id": spare.id}, None, "key.revoked"),
        ("post", "/v1/admin/webhooks"): (
            {},
            {"account_id": account, "url": "http://127.0.0.1:9/made"},
            "webhook.created",
        ),
        ("post", "/v1/admin/webhooks/{webhook_id}/rotate"): ({"webhook_id": hook}, {}, "webhook.secret_rotated"),
        ("post", "/v1/admin/webhooks/{webhook_id}/ping"): ({"webhook_id": hook}, None, "webhook.pinged"),
        ("post", "/v1/admin/webhooks/{webhook_id}/replay"): ({"webhook_id": hook}, None, "webhook.replayed"),
        ("post", "/v1/admin/webhooks/{webhook_id}/deliveries/{delivery_id}/replay"): (
            {"webhook_id": hook, "delivery_id": delivery},
            None,
            "webhook.replayed",
        ),
        ("patch", "/v1/admin/webhooks/{webhook_id}"): ({"webhook_id": hook}, {"enabled": False}, "webhook.disabled"),
        ("delete", "/v1/admin/webhooks/{webhook_id}"): ({"webhook_id": hook}, None, "webhook.deleted"),
        ("delete", "/v1/admin/avatars/{avatar_id}"): ({"avatar_id": house.service.look_id}, None, "avatar.deleted"),
    }
    assert set(calls) == {one for one in operations(house) if one[0] != "get"}
    for (method, path), (names, body, action) in calls.items():
        before = await house.get("audit", actor_id=house.admin_key_id)
        answer = await house.admin.request(method, path.format(**names), json=body)
        assert answer.status_code < 300, (path, answer.text)
        after = await house.get("audit", actor_id=house.admin_key_id)
        (entry,) = [one for one in after["entries"] if one not in before["entries"]]
        assert (entry["action"], entry["actor"], entry["address"]) == (action, "key", "127.0.0.1"), path


async def test_the_deletion_of_a_session_is_in_the_audit_log(either: Operated) -> None:
    session_id = await either.session()
    assert (await either.service.client.delete(f"/v1/sessions/{session_id}")).status_code == 200
    (entry,) = (await either.get("audit", subject_id=session_id))["entries"]
    key = await either.service.services.accounts.authenticate(either.service.key)
    assert (entry["action"], entry["actor_id"], entry["account_id"]) == ("session.deleted", key.id, key.account_id)


async def test_a_second_end_and_the_end_of_a_customer_add_no_entry(house: Operated) -> None:
    first, second = await house.session(start=True), await house.session(start=True)
    await house.service.client.post(f"/v1/sessions/{first}/end")
    for session_id in (first, second, second):
        assert (await house.admin.post(f"/v1/admin/sessions/{session_id}/end")).status_code == 200
    assert (await house.get(f"sessions/{first}"))["session"]["reason"] == "ended_by_client"
    entries = (await house.get("audit", actor_id=house.admin_key_id))["entries"]
    assert [one["subject_id"] for one in entries if one["action"] == "session.ended"] == [second]


async def test_the_audit_log_is_read_in_pages(either: Operated) -> None:
    for number in range(5):
        await either.admin.patch("/v1/admin/plans/small", json={"max_concurrency": number})
    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await either.get("audit", subject_id="small", limit="2", **cursor)
        seen += page["entries"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len({one["audit_id"] for one in seen}) == len(seen) == 5
    assert {one["details"]["max_concurrency"] for one in seen} == set(range(5))


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(either: Operated) -> None:
    body = {"name": "reports", "scopes": ["usage:read"], "sources": ["127.0.0.1"], "days": 1}
    made = (await either.admin.post("/v1/admin/keys", json=body)).json()
    secret, key = made["secret"], made["key"]
    assert (key["scopes"], key["sources"], key["state"]) == (["usage:read"], ["127.0.0.1/32"], "active")
    headers = {"x-api-key": secret}
    assert (await either.service.client.get("/v1/usage", headers=headers)).status_code == 200
    assert (await either.service.client.get("/v1/sessions", headers=headers)).status_code == 403
    second = (await either.admin.post(f"/v1/admin/keys/{key['key_id']}/rotate", json={"overlap_hours": 0})).json()
    assert (await either.service.client.get("/v1/usage", headers=headers)).json() == {"error": "API key has expired"}
    assert (await either.service.client.get("/v1/usage", headers={"x-api-key": second["secret"]})).status_code == 200
    revoked = (await either.admin.post(f"/v1/admin/keys/{second['key']['key_id']}/revoke")).json()["key"]
    assert revoked["state"] == "revoked" and revoked["revoked_at"] is not None
    answer = await either.service.client.get("/v1/usage", headers={"x-api-key": second["secret"]})
    assert answer.json() == {"error": "API key has been deactivated"}
    listed = await either.admin.get("/v1/admin/keys", params={"account_id": key["account"]["account_id"]})
    assert {one["state"] for one in listed.json()["keys"]} == {"expired", "revoked"}
    assert secret not in listed.text and second["secret"] not in listed.text
    again = await either.admin.post(f"/v1/admin/keys/{key['key_id']}/rotate")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "KEY_NOT_ACTIVE")


NO_KEYS: list[dict[str, Any]] = [
    {},
    {"name": ""},
    {"name": "x", "test": "yes"},
    {"name": "x", "scopes": ["everything"]},
    {"name": "x", "scopes": [{}]},
    {"name": "x", "sources": ["nowhere"]},
    {"name": "x", "days": -1},
    {"name": "x", "days": True},
    {"name": "x", "account_id": "acct_0"},
]


async def test_a_key_that_makes_no_sense_is_not_made(house: Operated) -> None:
    before = await house.get("keys")
    for body in NO_KEYS:
        answer = await house.admin.post("/v1/admin/keys", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST"), body
        assert (await house.get("keys"))["keys"] == before["keys"], body


async def test_a_plan_holds_at_once(house: Operated) -> None:
    key = await house.service.services.accounts.authenticate(house.service.key)
    plan = (await house.admin.patch("/v1/admin/plans/small", json={"max_concurrency": 1, "name": "Small"})).json()
    assert plan["plan"]["max_concurrency"] == 1 and plan["plan"]["included_minutes"] is None
    changed = await house.admin.patch(f"/v1/admin/accounts/{key.account_id}", json={"plan": "small"})
    assert changed.json()["account"]["plan"] == changed.json()["usage"]["plan"]["key"] == "small"
    await house.session(start=True)
    refused = await house.service.client.post(f"/v1/sessions/{await house.session()}/start")
    assert refused.json()["error"]["code"] == "CONCURRENCY_LIMIT_REACHED"
    raised = await house.admin.patch("/v1/admin/plans/small", json={"max_concurrency": None})
    assert raised.json()["plan"]["name"] == "Small"
    assert (await house.service.client.post(f"/v1/sessions/{await house.session()}/start")).status_code == 200
    for body in ({"max_concurrency": -1}, {"included_minutes": 1.5}, {"max_session_minutes": 0}, {"name": 1}):
        assert (await house.admin.patch("/v1/admin/plans/small", json=body)).status_code == 400, body
    assert (await house.admin.patch("/v1/admin/plans/Odd", json={})).status_code == 400


async def test_purchased_minutes_are_added_and_listed(house: Operated) -> None:
    key = await house.service.services.accounts.authenticate(house.service.key)
    path = f"/v1/admin/accounts/{key.account_id}"
    bought = (await house.admin.post(f"{path}/purchases", json={"minutes": 500})).json()["purchase"]
    assert (await house.get(f"accounts/{key.account_id}/purchases"))["purchases"] == [bought]
    assert (await house.get(f"accounts/{key.account_id}"))["usage"]["purchased_minutes"]["total"] == 500
    for minutes in (0, -1, 1.5, True, "5", None, 2**31):
        assert (await house.admin.post(f"{path}/purchases", json={"minutes": minutes})).status_code == 400, minutes


async def test_webhooks_of_both_kinds_of_keys_are_replayed(either: Operated) -> None:
    accounts = either.service.services.accounts
    owner = await accounts.authenticate(either.service.key)
    _, test_key = await accounts.create(name="test", test=True, account_id=owner.account_id)
    made = await either.service.client.post(
        "/v1/webhooks", json={"url": "http://nowhere.invalid/"}, headers={"x-api-key": test_key}
    )
    hook_id = made.json()["webhook"]["webhook_id"]
    (hook,) = (await either.get("webhooks", account_id=owner.account_id))["webhooks"]
    assert (hook["webhook_id"], hook["test"], hook["account"]["account_id"]) == (hook_id, True, owner.account_id)
    assert "secret" not in hook
    path = f"/v1/admin/webhooks/{hook_id}"
    pinged = (await either.admin.post(f"{path}/ping")).json()["delivery"]
    (listed,) = (await either.get(f"webhooks/{hook_id}/deliveries"))["deliveries"]
    assert listed["delivery_id"] == pinged["delivery_id"]
    assert (await either.admin.patch(path, json={"enabled": False})).json()["webhook"]["enabled"] is False
    refused = await either.admin.post(f"{path}/deliveries/{pinged['delivery_id']}/replay")
    assert refused.json()["error"]["code"] == "WEBHOOK_DISABLED"
    assert (await either.admin.patch(path, json={"enabled": True})).json()["webhook"]["enabled"] is True
    again = await either.admin.post(f"{path}/deliveries/{pinged['delivery_id']}/replay")
    assert (again.status_code, again.json()["delivery"]["status"]) == (202, "pending")
    details = (await either.get(f"webhooks/{hook_id}/deliveries/{pinged['delivery_id']}"))["delivery"]
    assert details["event"]["type"] == "ping"


async def test_a_webhook_is_made_for_an_account_and_deleted(either: Operated) -> None:
    owner = await either.service.services.accounts.authenticate(either.service.key)
    body = {"account_id": owner.account_id, "url": "http://nowhere.invalid/", "events": ["session.ended"]}
    made = (await either.admin.post("/v1/admin/webhooks", json=body)).json()
    hook_id = made["webhook"]["webhook_id"]
    assert (made["webhook"]["account"]["account_id"], made["webhook"]["test"]) == (owner.account_id, False)
    (customers,) = (await either.service.client.get("/v1/webhooks")).json()["webhooks"]
    assert (customers["webhook_id"], customers["events"]) == (hook_id, ["session.ended"])
    again = await either.admin.post("/v1/admin/webhooks", json=body)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "WEBHOOK_EXISTS")
    test = (await either.admin.post("/v1/admin/webhooks", json=body | {"test": True})).json()
    assert test["webhook"]["test"] is True
    path = f"/v1/admin/webhooks/{hook_id}"
    rotated = (await either.admin.post(f"{path}/rotate", json={"overlap_hours": 0})).json()
    assert rotated["webhook"] == made["webhook"] and rotated["secret"] != made["secret"]
    assert (await either.admin.delete(path)).json() == {"success": True}
    assert (await either.admin.delete(path)).json()["error"]["code"] == "WEBHOOK_NOT_FOUND"
    assert (await either.service.client.get("/v1/webhooks")).json()["webhooks"] == []


NO_WEBHOOKS: list[tuple[dict[str, Any], str]] = [
    ({"account_id": None}, "INVALID_REQUEST"),
    ({"account_id": "acct_01J8Z3N5K7Q9R2T4V6X8Y0A1E1"}, "ACCOUNT_NOT_FOUND"),
    ({"test": "yes"}, "INVALID_REQUEST"),
    ({"url": None}, "INVALID_REQUEST"),
    ({"url": "http://10.0.0.1/"}, "INVALID_WEBHOOK_URL"),
    ({"events": ["session.other"]}, "INVALID_REQUEST"),
]


async def test_a_webhook_that_makes_no_sense_is_not_made(house: Operated) -> None:
    owner = await house.service.services.accounts.authenticate(house.service.key)
    for change, code in NO_WEBHOOKS:
        body = {"account_id": owner.account_id, "url": "http://127.0.0.1:9/"} | change
        answer = await house.admin.post("/v1/admin/webhooks", json=body)
        assert answer.json()["error"]["code"] == code, change
        assert (await house.get("webhooks"))["webhooks"] == [], change


async def test_avatars_are_listed_with_pictures_and_deleted(tmp_path: Path) -> None:
    async with open_service(tmp_path, portraits=PORTRAITS[:1]) as service:
        house = await operated(service)
        listed = (await house.get("avatars"))["avatars"]
        mine = next(one for one in listed if one["avatar_id"] == service.look_id)
        library = next(one for one in listed if one["account"] is None)
        picture = await house.admin.get(mine["preview_url"].removeprefix("http://visavis.test"))
        assert picture.status_code == 200 and picture.content == b"a face"
        refused = await house.admin.delete(f"/v1/admin/avatars/{library['avatar_id']}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "ACCESS_DENIED")
        assert (await house.admin.delete(f"/v1/admin/avatars/{service.look_id}")).json() == {"success": True}
        assert (await house.admin.delete(f"/v1/admin/avatars/{service.look_id}")).status_code == 404
        assert service.look_id not in {one["avatar_id"] for one in (await house.get("avatars"))["avatars"]}


async def test_lists_of_keys_accounts_webhooks_and_avatars_have_pages(either: Operated) -> None:
    for number in range(3):
        await another_customer(either, name=f"customer {number}")
        await either.service.client.post("/v1/webhooks", json={"url": f"http://nowhere.invalid/{number}"})
        await either.service.client.post("/v1/avatars/upload-face", files={"file": b"a face"})
    for path, id_name in (
        ("keys", "key_id"),
        ("accounts", "account_id"),
        ("webhooks", "webhook_id"),
        ("avatars", "avatar_id"),
    ):
        whole = [one[id_name] for one in (await either.get(path))[path]]
        assert len(whole) >= 3 and whole == sorted(whole, reverse=True), path
        paged: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await either.get(path, limit="2", **cursor)
            paged += [one[id_name] for one in page[path]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert paged == whole, path


async def test_the_load_of_the_server_is_told(house: Operated) -> None:
    await house.session(start=True)
    told = await house.get("capacity")
    assert told["capacity"]["sessions"] == 1 and told["capacity"]["places"][0]["free"] == 99
    (stage,) = told["stages"]
    assert (stage["machine"], stage["cores"], stage["memory_bytes"]) == ("m", 1.25, 1000)
    assert isinstance(told["problems"], list)
