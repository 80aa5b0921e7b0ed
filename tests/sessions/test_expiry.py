"""The end of a session by its plan: at the expiration that its client was told, whatever happens to plan, minutes and
server meanwhile. With a real database and fake fleets.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.api.test_usage import put_on, usage_of
from tests.conftest import Service, open_service
from tests.sessions.test_adoption import let_go, successor, with_key
from tests.sessions.test_live_sessions import TIMEOUT_S, create, init, last_event, stored, wait_for_end
from visavis.channel.port import AttachedSession, Expiring, SessionOver
from visavis.sessions import deadlines
from visavis.sessions.lifecycle import EndReason
from visavis.sessions.metering import SessionClock
from visavis.store.last_seen import LastSeen, Seen

pytestmark = pytest.mark.anyio
MINUTE_MS = 60_000


def age(service: Service, session_id: str, *, by_s: float) -> None:
    """Let a session have begun earlier, as far as its own clock tells."""
    live = service.services.live.table.running[session_id]
    live.clock = SessionClock(started_at_ms=live.clock.started_at_ms, started_s=live.clock.started_s - by_s)


async def test_a_session_goes_on_when_the_minutes_of_its_account_are_used_up(service: Service) -> None:
    """The contract ends no session for it; the next start is refused."""
    await put_on(service, included_minutes=1)
    session = await create(service)
    age(service, session["session_id"], by_s=130.0)
    await service.services.meter.save()
    assert (await usage_of(service))["total_remaining"] == 0
    attached = await service.services.live.attach(init(session))
    refused = await service.client.post("/v1/sessions", json={"avatar": service.look_id})
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "INSUFFICIENT_MINUTES")
    await attached.detach()
    assert (await service.client.put(f"/v1/sessions/{session['session_id']}/end")).status_code == 200
    record = await stored(service, session["session_id"])
    assert record.end_reason == EndReason.CLIENT and record.ended_at_ms is not None and record.started_at_ms is not None
    assert 130_000 <= record.ended_at_ms - record.started_at_ms < 2 * MINUTE_MS + 20_000
    bills = await service.services.billing.bills_of([record])
    assert (bills[record.id].included_minutes, bills[record.id].purchased_minutes) == (3, 0)


async def test_an_edited_plan_changes_the_expiration_of_later_sessions_alone(service: Service) -> None:
    await put_on(service, max_session_minutes=30)
    before = await stored(service, (await create(service))["session_id"])
    await service.services.accounts.set_plan("small", {"max_session_minutes": 1})
    later = await stored(service, (await create(service))["session_id"])
    again = await stored(service, before.id)
    assert before.started_at_ms is not None and later.started_at_ms is not None
    assert before.expiration_ms == again.expiration_ms == before.started_at_ms + 30 * MINUTE_MS
    assert later.expiration_ms == later.started_at_ms + MINUTE_MS
    await service.services.accounts.set_plan("small", {"max_session_minutes": None})
    assert (await stored(service, later.id)).expiration_ms == later.expiration_ms


@pytest.mark.parametrize("performed_s", [59.9, 75.0], ids=["before it", "after it"])
async def test_a_session_expires_though_its_server_was_killed_and_its_plan_was_edited(
    tmp_path: Path, performed_s: float
) -> None:
    async with open_service(tmp_path) as first:
        await put_on(first, max_session_minutes=1)
        session = await create(first)
        performer = first.performer(session["session_id"])
        await first.services.accounts.set_plan("small", {"max_session_minutes": 30})
        await let_go(first)
    again, fleet = successor(performer, performed_s=performed_s)
    async with open_service(tmp_path, fleet=fleet) as second:
        record = await wait_for_end(second, session["session_id"])
        assert record.end_reason == EndReason.EXPIRED and record.started_at_ms is not None
        assert record.ended_at_ms == record.expiration_ms == record.started_at_ms + MINUTE_MS
        with anyio.fail_after(TIMEOUT_S):
            while not again.ended:  # noqa: ASYNC110 (the row is written before)
                await anyio.sleep(0.005)
        client = with_key(second, first)
        shown = (await client.get(f"/v1/sessions/{session['session_id']}")).json()["session"]
        assert shown["status"] == "ended"


async def test_a_session_that_nobody_performs_any_more_has_not_outlived_its_expiration(tmp_path: Path) -> None:
    """Server and stage died, and the next server starts long after."""
    async with open_service(tmp_path) as first:
        await put_on(first, max_session_minutes=1)
        session_id = (await create(first))["session_id"]
        record = await stored(first, session_id)
        await let_go(first)
    assert record.started_at_ms is not None
    seen = LastSeen(tmp_path)
    for _ in range(2):
        seen.write({session_id: Seen(seen_at_ms=record.started_at_ms + 90_000)})
    seen.close()
    async with open_service(tmp_path) as second:
        ended = await stored(second, session_id)
        assert (ended.end_reason, ended.ended_at_ms) == (EndReason.SERVER_DIED, record.expiration_ms)


async def test_the_channel_is_warned_twice_and_then_told_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the servers that follow. The times are those of the contract, ten times and thirty times as long."""
    monkeypatch.setattr(deadlines, "WARNINGS_S", (600.0, 300.0))
    async with open_service(tmp_path) as first:
        await put_on(first, max_session_minutes=10)
        session = await create(first)
        attached = await first.services.live.attach(init(session))
        assert await first_warning(attached) == Expiring(seconds_left=600)
        performer = first.performer(session["session_id"])
        await let_go(first)
    _, fleet = successor(performer, performed_s=301.0)
    async with open_service(tmp_path, fleet=fleet) as second:
        attached = await second.services.live.attach(init(session))
        warned = await first_warning(attached)
        assert isinstance(warned, Expiring) and 0 < warned.seconds_left <= 299
        live = second.services.live.table.running[session["session_id"]]
        live._deadlines._deadlines[EndReason.EXPIRED] = anyio.current_time()
        live._deadlines_changed.set()
        assert await last_event(attached) == SessionOver(reason=EndReason.EXPIRED.value)
        record = await wait_for_end(second, session["session_id"])
        assert (record.end_reason, record.ended_at_ms) == (EndReason.EXPIRED, record.expiration_ms)


async def first_warning(attached: AttachedSession) -> Expiring | None:
    async for event in attached.events():
        if isinstance(event, Expiring):
            return event
    return None
