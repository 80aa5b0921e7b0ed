"""Usage by days and sessions: everything adds up, in any time zone."""

from __future__ import annotations

import itertools
import random
from dataclasses import fields
from typing import Any

import anyio
import pytest

from tests.conftest import Service
from visavis.errors import InvalidRequest
from visavis.sessions.calendar import read_day, read_month, read_zone
from visavis.store.records import SessionRecord
from visavis.store.sessions import SessionStore

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000
MARCH_MS = 1_709_251_200_000  # 2024-03-01T00:00:00Z


async def add_sessions(service: Service, *, count: int, seed: int = 7) -> list[SessionRecord]:
    """Put sessions that have ended into the ledger: of some seconds to some hours, around March 2024."""
    chance = random.Random(seed)
    key = await service.services.accounts.authenticate(service.key)
    store: SessionStore = service.services.sessions._store
    ended = []
    for number in range(count):
        values: dict[str, Any] = dict.fromkeys(field.name for field in fields(SessionRecord)) | {
            "id": f"sess_{number:026}",
            "account_id": key.account_id,
            "key_id": key.id,
            "test": False,
            "dialect": "own",
            "status": "created",
            "avatar_id": "a",
            "avatar_name": "A",
            "token_hash": "t",
            "room_name": f"room-{number}",
            "metadata": {},
            "created_at_ms": 1,
            "epoch": 0,
        }
        record = SessionRecord(**values)
        await store.add(record)
        began_ms = MARCH_MS + chance.randrange(-30 * HOUR_MS, 33 * 24 * HOUR_MS)
        until_ms = began_ms + chance.choice([0, 60_000, chance.randrange(600_000), chance.randrange(HOUR_MS)])
        started = await store.move(record, to="started", started_at_ms=began_ms, seen_at_ms=began_ms)
        assert started is not None
        last_ms = (began_ms + until_ms) // 2
        end = await store.move(
            started, to="ended", ended_at_ms=until_ms, first_frame_at_ms=began_ms, last_frame_at_ms=last_ms
        )
        assert end is not None
        ended.append(end)
    return ended


async def get(service: Service, address: str) -> dict[str, Any]:
    answer = await service.client.get(address)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def sessions_of_day(service: Service, day: str, zone: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await get(service, f"/v1/usage/sessions?date={day}&time_zone={zone}&limit=3{cursor}")
        assert len(page["sessions"]) <= 3
        found += page["sessions"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"])
async def test_sessions_days_and_months_add_up_in_every_time_zone(service: Service, zone: str) -> None:
    ended = await add_sessions(service, count=15)
    months = [
        (await get(service, f"/v1/usage/days?month={one}&time_zone={zone}"))["usage"]
        for one in ("2024-02", "2024-03", "2024-04")
    ]
    sums = ("minutes", "seconds", "seen_seconds")
    for usage in months:
        assert usage["time_zone"] == zone
        for name in sums:
            assert sum(day[name] for day in usage["days"]) == usage["total"][name]
    by_session: dict[str, dict[str, int]] = {}
    for day in (day for usage in months for day in usage["days"]):
        sessions = await sessions_of_day(service, day["date"], zone)
        assert len(sessions) == day["sessions"]
        for name in sums:
            assert sum(one[name] for one in sessions) == day[name], (day, name)
        for one in sessions:
            total = by_session.setdefault(one["session_id"], dict.fromkeys(sums, 0))
            for name in sums:
                total[name] += one[name]
    assert len(by_session) == len(ended)
    for record in ended:
        shown = (await get(service, f"/v1/sessions/{record.id}?billing=seconds"))["session"]
        used = by_session[record.id]
        assert used == {name: shown["billing"][name] for name in sums} and used["seconds"] == shown["duration"]
        assert record.first_frame_at_ms is not None and record.last_frame_at_ms is not None
        assert used["seen_seconds"] == record.last_frame_at_ms // 1000 - record.first_frame_at_ms // 1000


def test_days_follow_the_clock_changes_of_their_zone() -> None:
    berlin = read_zone("Europe/Berlin")
    days = read_month("2024-03", berlin)
    assert len(days) == 31
    lengths = [(day.span.ended_at_ms - day.span.began_at_ms) // HOUR_MS for day in days]
    assert lengths == [24] * 30 + [23]
    assert all(before.span.ended_at_ms == after.span.began_at_ms for before, after in itertools.pairwise(days))
    assert len(read_month("2024-02", berlin)) == 29
    assert (
        read_day("2024-10-27", berlin).span.ended_at_ms - read_day("2024-10-27", berlin).span.began_at_ms
        == 25 * HOUR_MS
    )


@pytest.mark.parametrize("text", ["", "2024", "2024-13", "1999-12", "2200-01", "2024-1", "２０２４-01", "2024-01-01"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_month(text, read_zone("UTC"))


@pytest.mark.parametrize("text", ["", "2024-02-30", "1999-12-31", "2024-W01-1", "20240101"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_day(text, read_zone("UTC"))


@pytest.mark.parametrize(
    "text", ["", "Berlin", "../../etc/passwd", "/etc/localtime", "Europe", "a" * 65, "Europe/Berlin\n"]
)
def test_what_is_no_time_zone_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_zone(text)


async def test_a_waived_session_is_billed_nothing(service: Service) -> None:
    accounts = service.services.accounts
    account_id = (await accounts.authenticate(service.key)).account_id
    await accounts.set_plan("fair", {"included_minutes": 1, "waives_unwatched": True})
    await accounts.assign_plan(account_id, "fair")
    for watched, minutes in ((False, 0), (True, 1)):
        made = (await service.client.post("/v1/sessions", json={"avatar": service.look_id})).json()["session"]
        session_id = made["session_id"]
        assert (await get(service, "/v1/usage"))["usage"]["included_minutes"]["used"] == 1
        if watched:
            performer = service.performer(session_id)
            await performer.offer(viewer_id="a", sdp="m=video")
            live = service.services.live.table.running[session_id]
            while live.metering(until_ms=live.now_ms())["first_frame_at_ms"] is None:  # noqa: ASYNC110
                await anyio.sleep(0.001)
        await service.client.put(f"/v1/sessions/{session_id}/end")
        shown = (await get(service, f"/v1/sessions/{session_id}"))["session"]
        assert shown["billing"] == {"minutes": minutes, "included_minutes": minutes, "purchased_minutes": 0}
        assert (await get(service, "/v1/usage"))["usage"]["included_minutes"]["used"] == minutes
    assert (await get(service, "/v1/usage/days"))["usage"]["total"]["minutes"] == 1
