"""The limits of plans, through the API."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from sqlalchemy import insert, update

from tests.conftest import Service
from visavis.channel.port import SessionInit
from visavis.store.database import Database
from visavis.store.models import accounts, plans
from visavis.store.records import KeyRecord
from visavis.timestamps import now_ms

pytestmark = pytest.mark.anyio


async def put_on_plan(service: Service, **limits: int) -> None:
    values = {
        "included_minutes": None,
        "max_concurrency": None,
        "max_session_minutes": None,
        "waives_unwatched": False,
    } | limits
    database: Database = service.services.sessions._store._database
    async with database.write() as connection:
        await connection.execute(insert(plans).values(key="small", name="Small", **values))
        await connection.execute(update(accounts).values(plan_key="small"))


async def start(service: Service) -> tuple[str, int, dict[str, object]]:
    session_id = (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json()["session"][
        "session_id"
    ]
    answer = await service.client.put(f"/v1/sessions/{session_id}/start")
    return session_id, answer.status_code, answer.json()


async def test_concurrency_is_limited_at_start_and_created_sessions_do_not_count(service: Service) -> None:
    await put_on_plan(service, max_concurrency=1)
    first, status, _ = await start(service)
    assert status == 200
    created = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    assert created.json()["usage"]["concurrency"] == {"current": 1, "max": 1, "available": 0}
    _, status, body = await start(service)
    assert status == 429
    assert body["error"]["code"] == "CONCURRENCY_LIMIT_REACHED"  # type: ignore[index]
    details = body["error"]["details"]  # type: ignore[index]
    assert details["concurrency"] == {"current": 1, "max": 1, "available": 0}
    assert (await service.client.put(f"/v1/sessions/{first}/start")).status_code == 200
    await service.client.put(f"/v1/sessions/{first}/end")
    assert (await start(service))[1] == 200


async def test_a_refusal_tells_who_holds_the_places(service: Service) -> None:
    await put_on_plan(service, max_concurrency=3, max_session_minutes=5)
    watched, _, body = await start(service)
    performer = service.performer(watched)
    await performer.offer(viewer_id="a", sdp="m=video")
    own = (await service.client.post("/v1/sessions", json={"avatar": service.look_id})).json()["session"]
    await service.services.live.attach(
        SessionInit(session_id=own["session_id"], token=own["session_token"], hosted=False)
    )
    service.fleet.gate.clear()
    waiting = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    waiting_id = waiting.json()["session"]["session_id"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.client.put, f"/v1/sessions/{waiting_id}/start")
        table, limits, key = service.services.live.table, service.services.sessions.limits, await key_of(service)
        while (await limits.usage_of(key)).current < 3 or table.running[watched].viewers == 0:  # noqa: ASYNC110
            await anyio.sleep(0.001)
        _, status, refusal = await start(service)
        service.fleet.gate.set()
    details = refusal["error"]["details"]  # type: ignore[index]
    assert status == 429 and details["soonest_release"] == body["expiration"]
    holders = {one["session_id"]: (one["viewers"], one["channel"]) for one in details["holders"]}
    assert holders == {watched: (1, False), own["session_id"]: (0, True), waiting_id: (0, False)}
    assert [one["started_at"] is None for one in details["holders"]] == [False, False, True]


async def test_concurrent_starts_cannot_share_one_place(service: Service) -> None:
    await put_on_plan(service, max_concurrency=2)
    statuses: list[int] = []

    async def try_one() -> None:
        statuses.append((await start(service))[1])

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(try_one)
    assert sorted(statuses) == [200, 200, 429, 429, 429, 429]


async def test_the_plans_maximum_duration_sets_the_expiration(service: Service) -> None:
    await put_on_plan(service, max_session_minutes=5)
    session_id, _, body = await start(service)
    session = (await service.client.get(f"/v1/sessions/{session_id}")).json()["session"]
    assert session["expiration"] == body["expiration"] is not None
    assert session["expiration"][:13] >= session["started_at"][:13] and session["expiration"] != session["started_at"]


async def test_minutes_of_running_sessions_count(service: Service) -> None:
    """Three sessions at once do not fit on a plan of one minute."""
    await put_on_plan(service, included_minutes=1)
    created = [
        (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json() for _ in range(3)
    ]
    assert [answer["usage"]["minutes"]["total_remaining"] for answer in created] == [1, 1, 1]
    statuses: list[int] = []

    async def start(session_id: str) -> None:
        statuses.append((await service.client.put(f"/v1/sessions/{session_id}/start")).status_code)

    async with anyio.create_task_group() as tasks:
        for answer in created:
            tasks.start_soon(start, answer["session"]["session_id"])
    assert sorted(statuses) == [200, 402, 402]
    answer = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    assert answer.status_code == 402


async def test_a_session_that_starts_during_the_count_of_minutes_counts_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is being started when the database is read, and has started when the answer comes; and the other way round."""
    await put_on_plan(service, included_minutes=5)
    places, key = service.services.sessions.limits._places, await key_of(service)
    read = places.of_account
    for early in (True, False):
        service.fleet.gate.clear()
        before = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
        url = f"/v1/sessions/{before.json()['session']['session_id']}"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.client.put, f"{url}/start")
            while not (await read(key.account_id, at_ms=now_ms())).balance.uncharged:  # noqa: ASYNC110
                await anyio.sleep(0.001)

            async def finish_start(url: str = url) -> None:
                service.fleet.gate.set()
                while (await service.client.get(url)).json()["session"]["status"] != "started":  # noqa: ASYNC110
                    await anyio.sleep(0.001)

            async def read_meanwhile(*arguments: Any, **named: Any) -> Any:
                monkeypatch.setattr(places, "of_account", read)
                if early:  # noqa: B023
                    await finish_start()
                found = await read(*arguments, **named)
                if not early:  # noqa: B023
                    await finish_start()
                return found

            monkeypatch.setattr(places, "of_account", read_meanwhile)
            left = (await service.services.sessions.limits.usage_of(key)).minutes_remaining
        assert left == (4 if early else 3)


async def key_of(service: Service) -> KeyRecord:
    return await service.services.accounts.authenticate(service.key)


async def test_a_session_that_several_requests_start_has_one_place_and_one_minute(service: Service) -> None:
    await put_on_plan(service, included_minutes=1, max_concurrency=1)
    created = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    url = f"/v1/sessions/{created.json()['session']['session_id']}/start"
    statuses: list[int] = []

    async def start() -> None:
        statuses.append((await service.client.put(url)).status_code)

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(start)
    assert statuses == [200] * 4


async def test_without_minutes_left_the_answer_is_the_published_402(service: Service) -> None:
    await put_on_plan(service, included_minutes=1)
    created = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    assert created.json()["usage"]["minutes"] == {"total_remaining": 1}
    session_id, _, _ = await start(service)
    await service.client.put(f"/v1/sessions/{session_id}/end")
    answer = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    assert (answer.status_code, answer.json()) == (
        402,
        {
            "success": False,
            "error": {
                "code": "INSUFFICIENT_MINUTES",
                "message": "No minutes remaining. Please purchase additional minutes or upgrade your plan.",
                "details": {"minutes": {"total_remaining": 0}},
            },
        },
    )
