"""A server that is killed -9 in the middle of a session and started again: each event comes at least once, and every
viewer who has joined leaves once.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.faults.restarts import Session, place
from tests.webhooks.receiver import receiving

pytestmark = pytest.mark.anyio


async def test_events_outlive_a_killed_server(tmp_path: Path) -> None:
    settings = {"VISAVIS_WEBHOOK_NETWORKS": '["127.0.0.0/8"]', "VISAVIS_WEBHOOK_TIMEOUT_S": "1"}
    with receiving() as receiver, place(tmp_path, **settings) as here:
        here.start()
        await here.ready()
        async with httpx.AsyncClient(base_url=here.base_url, headers=here.headers) as client:
            made = await client.post("/v1/webhooks", json={"url": receiver.url})
        assert made.status_code == 201, made.text
        receiver.status = 503  # nothing is delivered before the server is killed
        session = await Session.start(here)
        async with session.viewer() as first:
            await receiver.until(1, "session.participant_joined")
            here.kill()
            receiver.status = 204
            here.start()
            await here.ready()
            async with session.viewer() as second:
                await receiver.until(2, "session.participant_joined")
                assert await second.leave() == 200
            assert await first.leave() == 200
        await session.end()
        await receiver.until(1, "session.ended")
        await receiver.until(2, "session.participant_left")
        await here.stop()
    told = {one.event_id: one.event for one in receiver.received}  # an event may come twice, under one id
    events = sorted(told.values(), key=lambda event: event["data"]["number"])
    assert [event["data"]["number"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events[:2]] == ["session.created", "session.started"]
    assert events[-1]["type"] == "session.ended"
    viewers: dict[str, list[str]] = {}
    for event in events:
        if "viewer_id" in event["data"]:
            viewers.setdefault(event["data"]["viewer_id"], []).append(event["type"].rpartition("_")[2])
    assert list(viewers.values()) == [["joined", "left"]] * 2
