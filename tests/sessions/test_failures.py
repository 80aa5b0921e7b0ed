"""What breaks beneath a session: it ends or can be started again, its row tells the truth, and nothing else is hurt."""

from __future__ import annotations

import anyio
import pytest
import structlog.testing

from tests.conftest import Service
from tests.fakes import FakePerformer
from tests.sessions.test_live_sessions import SOON, create, ended, init, kept, last_event, said, store
from visavis.channel.port import SessionOver
from visavis.errors import PerformerLost
from visavis.sessions import live_session
from visavis.sessions.attachment import EVENTS_HELD
from visavis.sessions.lifecycle import EndReason
from visavis.stage.port.events import PlaybackStarted

pytestmark = pytest.mark.anyio


async def test_a_start_that_breaks_is_a_lost_performer_and_can_be_tried_again(service: Service) -> None:
    session = await create(service, start=False)
    url = f"/v1/sessions/{session['session_id']}/start"
    service.fleet.failure = ZeroDivisionError("a fault of ours")
    with structlog.testing.capture_logs() as logs:
        answer = await service.client.put(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (PerformerLost.status, PerformerLost.code)
    assert "a fault of ours" not in answer.text
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["session_start_failed"]
    assert (await kept(service, session["session_id"])).status == "created"
    service.fleet.failure = None
    assert (await service.client.put(url)).status_code == 200


async def test_a_start_that_another_server_has_made_first_gives_its_performer_back(service: Service) -> None:
    session = await create(service, start=False)
    record = await kept(service, session["session_id"])
    answers = []

    async def start() -> None:
        answers.append((await service.client.put(f"/v1/sessions/{record.id}/start")).json())

    service.fleet.gate.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)
        await service.fleet.asked.wait()
        assert await store(service).move(record, to="started", started_at_ms=1, seen_at_ms=1)
        service.fleet.gate.set()
    assert answers[0]["success"] and answers[0]["ws_uri"].endswith(record.id)
    assert service.performer(record.id).ended
    assert (await kept(service, record.id)).started_at_ms == 1


async def test_a_session_that_was_ended_while_it_was_being_built_does_not_start(service: Service) -> None:
    session = await create(service, start=False)
    record = await kept(service, session["session_id"])
    answers = []

    async def start() -> None:
        answers.append((await service.client.put(f"/v1/sessions/{record.id}/start")).json())

    service.fleet.gate.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)
        await service.fleet.asked.wait()
        assert await store(service).move(record, to="ended", ended_at_ms=1, end_reason=EndReason.CLIENT)
        service.fleet.gate.set()
    assert answers[0]["error"]["code"] == "SESSION_ENDED"
    assert service.performer(record.id).ended


async def test_a_session_that_breaks_is_ended_as_one_that_lost_its_performer(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: live_session.LiveSession) -> None:
        raise ZeroDivisionError("a fault of ours")

    other = await create(service)
    monkeypatch.setattr(live_session.LiveSession, "run", broken)
    with structlog.testing.capture_logs() as logs:
        session = await create(service)
        assert (await ended(service, session["session_id"])).end_reason == EndReason.PERFORMER_LOST
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["live_session_failed"]
    assert (await kept(service, other["session_id"])).status == "started"


@pytest.mark.parametrize("fault", ["breaks", "never returns"])
async def test_a_performer_that_does_not_end_keeps_no_session_alive(
    service: Service, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    async def end(self: FakePerformer) -> None:
        if fault == "breaks":
            raise ZeroDivisionError("a fault of the stage")
        await anyio.sleep_forever()

    monkeypatch.setattr(live_session, "_END_TIMEOUT_S", 0.02)
    session = await create(service)
    attached = await service.services.live.attach(init(session))
    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(FakePerformer, "end", end)
        answer = await service.client.put(f"/v1/sessions/{session['session_id']}/end")
        assert answer.status_code == 200
    assert (await kept(service, session["session_id"])).end_reason == EndReason.CLIENT
    with anyio.fail_after(SOON):
        assert await last_event(attached) == SessionOver(reason=EndReason.CLIENT)
    failed = "performer_end_failed" if fault == "breaks" else "performer_end_timed_out"
    assert failed in [log["event"] for log in logs]


async def test_a_channel_that_takes_nothing_loses_events_and_still_hears_of_the_end(service: Service) -> None:
    session = await create(service)
    attached = await service.services.live.attach(init(session))
    performer = service.performer(session["session_id"])
    with structlog.testing.capture_logs() as logs:
        for number in range(EVENTS_HELD + 10):
            performer.tell(PlaybackStarted(utterance_id=str(number)))
        await attached.speak(said(b"\0\0"))
        await anyio.wait_all_tasks_blocked()
        await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    events = [event async for event in attached.events()]
    assert len(events) == EVENTS_HELD + 1 and events[-1] == SessionOver(reason=EndReason.CLIENT)
    told = [event.utterance_id for event in events if isinstance(event, PlaybackStarted)]
    assert told == [str(number) for number in range(len(told))], "the oldest are kept, in order"
    assert "channel_event_dropped" in [log["event"] for log in logs]
