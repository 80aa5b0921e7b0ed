"""GET /v1/usage, and the bills of ended sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.accounts.test_accounts import other_account, second_key
from tests.conftest import Service, open_service
from visavis import timestamps
from visavis.sessions import billing, plan_limits
from visavis.sessions.lifecycle import EndReason
from visavis.sessions.meter import Meter
from visavis.timestamps import end_of_month_ms, format_time, start_of_month_ms

pytestmark = pytest.mark.anyio

JANUARY_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z


async def usage_of(service: Service, headers: dict[str, str] | None = None) -> dict[str, Any]:
    answer = await service.client.get("/v1/usage", headers=headers)
    assert answer.status_code == 200
    usage: dict[str, Any] = answer.json()["usage"]
    return usage


async def put_on(service: Service, **limits: int | None) -> str:
    accounts = service.services.accounts
    account_id = (await accounts.authenticate(service.key)).account_id
    await accounts.set_plan("small", {"name": "Small", **limits})  # type: ignore[typeddict-item]
    await accounts.assign_plan(account_id, "small")
    return account_id


async def start(service: Service, headers: dict[str, str] | None = None) -> str:
    made = await service.client.post("/v1/sessions", json={"avatar": service.look_id}, headers=headers)
    session_id: str = made.json()["session"]["session_id"]
    return session_id


async def test_the_usage_of_an_account(service: Service) -> None:
    account_id = await put_on(service, included_minutes=2, max_concurrency=5, max_session_minutes=30)
    await service.services.accounts.credit(account_id, 10)
    second = await second_key(service)
    sessions = [await start(service), await start(service, second), await start(service)]
    await service.client.put(f"/v1/sessions/{sessions[0]}/end")
    usage = await usage_of(service, second)
    assert list(usage) == [
        "period",
        "included_minutes",
        "purchased_minutes",
        "total_remaining",
        "active_sessions",
        "active_minutes",
        "concurrency",
        "plan",
    ]
    assert usage["included_minutes"] == {"total": 2, "used": 2, "remaining": 0}
    assert usage["purchased_minutes"] == {"total": 10, "remaining": 9}
    assert usage["total_remaining"] == 9
    assert [one["session_id"] for one in usage["active_sessions"]] == sorted(sessions[1:], reverse=True)
    assert [one["minutes"] for one in usage["active_sessions"]] == [1, 1] and usage["active_minutes"] == 2
    assert usage["concurrency"] == {"current": 2, "max": 5, "available": 3}
    assert usage["plan"] == {"key": "small", "name": "Small", "max_session_duration": 30, "will_renew": True}
    stranger = await usage_of(service, await other_account(service))
    assert (stranger["plan"]["key"], stranger["total_remaining"], stranger["active_sessions"]) == (
        "unlimited",
        None,
        [],
    )


async def test_active_sessions_are_told_in_their_dialects_without_what_opens_them(service: Service) -> None:
    made = (
        await service.client.post("/v1/sessions", json={"avatar_id": service.look_id, "metadata": {"a": "b"}})
    ).json()
    hosted = made["session"]
    await service.client.post(f"/v1/sessions/{hosted['session_id']}/start")
    own = (await service.client.post("/v1/sessions", json={"avatar": service.look_id})).json()["session"]
    answer = await service.client.get("/v1/usage")
    newest, oldest = answer.json()["usage"]["active_sessions"]
    assert list(newest.items())[:1] == [("session_id", own["session_id"])]
    assert list(newest) == ["session_id", "status", "started_at", "ended_at", "expiration", "minutes"]
    shown = (await service.client.get(f"/v1/sessions/{hosted['session_id']}")).json()["session"]
    kept = [name for name in shown if name not in ("duration", "daily_room", "metadata")]
    assert list(oldest) == [*kept, "minutes"]
    assert [oldest[name] for name in kept if name != "avatar"] == [shown[name] for name in kept if name != "avatar"]
    assert oldest["avatar"]["url"].partition("?")[0] == shown["avatar"]["url"].partition("?")[0]
    for secret in (hosted["access_token"], hosted["daily_room"]["token"], own["session_token"], own["room"]["token"]):
        assert secret not in answer.text
    account_id = (await service.services.accounts.authenticate(service.key)).account_id
    operator = await service.services.accounts.create(name="operator", scopes=("admin",))
    told = await service.client.get(f"/v1/admin/accounts/{account_id}", headers={"x-api-key": operator[1]})
    ids = [one["session_id"] for one in told.json()["usage"]["active_sessions"]]
    assert ids == [own["session_id"], hosted["session_id"]]


async def test_included_minutes_are_reset_each_month(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    await put_on(service, included_minutes=5)
    await service.client.put(f"/v1/sessions/{await start(service)}/end")
    usage = await usage_of(service)
    assert usage["included_minutes"] == {"total": 5, "used": 1, "remaining": 4}
    now_ms = timestamps.now_ms()
    assert usage["period"] == {
        "start": format_time(start_of_month_ms(now_ms)),
        "end": format_time(end_of_month_ms(now_ms)),
    }
    for module in (plan_limits, billing):
        monkeypatch.setattr(module, "now_ms", lambda: end_of_month_ms(now_ms))
    usage = await usage_of(service)
    assert usage["included_minutes"] == {"total": 5, "used": 0, "remaining": 5}
    assert usage["period"]["start"] == format_time(end_of_month_ms(now_ms))


def test_a_month_ends_where_the_next_one_begins() -> None:
    assert [
        format_time(end_of_month_ms(at_ms)) for at_ms in (JANUARY_MS - 1, JANUARY_MS, JANUARY_MS + 31 * 86_400_000)
    ] == [
        "2024-01-01T00:00:00Z",
        "2024-02-01T00:00:00Z",
        "2024-03-01T00:00:00Z",
    ]


async def test_the_bill_of_a_session_says_where_its_minutes_came_from(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        account_id = await put_on(service, included_minutes=1)
        await service.services.accounts.credit(account_id, 1)
        bills = []
        for _ in range(2):
            session_id = await start(service)
            running = (await service.client.get(f"/v1/sessions/{session_id}")).json()["session"]
            assert "billing" not in running
            await service.client.put(f"/v1/sessions/{session_id}/end")
            bills.append((await service.client.get(f"/v1/sessions/{session_id}")).json()["session"]["billing"])
        assert bills == [
            {"minutes": 1, "included_minutes": 1, "purchased_minutes": 0},
            {"minutes": 1, "included_minutes": 0, "purchased_minutes": 1},
        ]
        listed = (await service.client.get("/v1/sessions?status=ended")).json()["sessions"]
        assert sorted(one["billing"]["purchased_minutes"] for one in listed) == [0, 1]
        assert all(len(one["billing"]) == 3 for one in listed)
        listed = (await service.client.get("/v1/sessions?status=ended&billing=seconds")).json()["sessions"]
        assert all(list(one["billing"])[3:] == ["seconds", "seen_seconds"] for one in listed)
        refused = await service.client.post("/v1/sessions", json={"avatar": service.look_id})
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "INSUFFICIENT_MINUTES")


async def test_the_meter_leaves_a_session_alone_whose_end_is_decided(service: Service) -> None:
    """Its end, and with it its ledger, may be written much later."""
    session_id = await start(service)
    meter: Meter = service.services.meter
    await meter.save()
    assert meter._places.keys() == {session_id}
    service.services.live.table.running[session_id].decide_end(EndReason.CLIENT)
    await meter.save()
    assert meter._places == {}
