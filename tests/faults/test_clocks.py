"""A clock that is set while sessions run: what was minted before is accepted after, and durations stay right."""

from __future__ import annotations

import time

import pytest

from tests.conftest import Service
from tests.sessions.test_live_sessions import create, init, speech, stored

pytestmark = pytest.mark.anyio

OFFER = "v=0\r\nm=video\r\n"


@pytest.mark.parametrize("skew_s", [-30, 30])
async def test_half_a_minute_of_skew_changes_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch, skew_s: int
) -> None:
    """All that was minted before the step is used after it: keys, session tokens, room tokens, idempotency keys."""
    session, waiting = await create(service), await create(service, start=False)
    room = session["daily_room"]
    real_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + skew_s * 10**9)
    attached = await service.services.live.attach(init(session))
    await attached.speak(speech(b"\0\0", utterance_id="a"))
    joined = await service.client.post(
        f"/rooms/{room['name']}/whep",
        content=OFFER,
        headers={"Authorization": f"Bearer {room['token']}", "Content-Type": "application/sdp"},
    )
    assert joined.status_code == 201, joined.text
    assert (await service.client.put(f"/v1/sessions/{waiting['session_id']}/start")).status_code == 200
    for one in (session, waiting):
        ended = await service.client.put(f"/v1/sessions/{one['session_id']}/end")
        assert ended.status_code == 200
        record = await stored(service, one["session_id"])
        assert record.started_at_ms is not None and record.ended_at_ms is not None
        assert 0 <= record.ended_at_ms - record.started_at_ms < 20_000, "a duration is no difference of clocks"
        shown = (await service.client.get(f"/v1/sessions/{one['session_id']}")).json()["session"]
        assert 0 <= shown["duration"] < 20
