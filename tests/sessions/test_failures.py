"""Failures of a fleet or a performer: the session ends or can be started again, and no other session is affected."""

from __future__ import annotations

import asyncio

import anyio
import pytest
import structlog.testing

from tests.conftest import Service
from tests.fakes import FakePerformer
from tests.sessions.test_live_sessions import TIMEOUT_S, create, init, last_event, store, stored, wait_for_end
from visavis.channel.port import SessionOver
from visavis.errors import PerformerLost
from visavis.sessions import live_session
from visavis.sessions.attachment import MAX_QUEUED_EVENTS
from visavis.sessions.lifecycle import EndReason
from visavis.stage.port.events import PerformerMetrics, PlaybackStarted
from visavis.store.records import SessionRecord

pytestmark = pytest.mark.anyio


async def test_a_start_with_an_unexpected_error_is_a_lost_performer_and_can_be_repeated(
    service: Service,
) -> None:
    session = await create(service, start=False)
    url = f"/v1/sessions/{session['session_id']}/start"
    service.fleet.failure = ZeroDivisionError("a fault of ours")
    with structlog.testing.capture_logs() as logs:
        answer = await service.client.put(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (PerformerLost.status, PerformerLost.code)
    assert "a fault of ours" not in answer.text
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["session_start_failed"]
    assert (await stored(service, session["session_id"])).status == "created"
    service.fleet.failure = None
    assert (await service.client.put(url)).status_code == 200


async def test_a_session_that_another_server_has_started_first_gives_its_performer_back(service: Service) -> None:
    session = await create(service, start=False)
    record = await stored(service, session["session_id"])
    answers = []

    async def start() -> None:
        answers.append((await service.client.put(f"/v1/sessions/{record.id}/start")).json())

    service.fleet.gate.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)
        await service.fleet.allocation_requested.wait()
        claimed = await stored(service, record.id)
        assert await store(service).move(claimed, to="started", started_at_ms=1, seen_at_ms=1)
        service.fleet.gate.set()
    assert answers[0]["success"] and answers[0]["ws_uri"].endswith(record.id)
    assert service.performer(record.id).ended
    assert (await stored(service, record.id)).started_at_ms == 1


async def test_a_session_that_was_deleted_while_it_was_being_started_is_not_found(service: Service) -> None:
    session_id = (await create(service, start=False))["session_id"]
    answers = []

    async def start() -> None:
        answers.append(await service.client.put(f"/v1/sessions/{session_id}/start"))

    service.fleet.gate.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)
        await service.fleet.allocation_requested.wait()
        assert await store(service).delete(session_id), "as another server does it"
        service.fleet.gate.set()
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (404, "SESSION_NOT_FOUND")
    assert service.performer(session_id).ended


async def test_of_two_deletions_at_once_the_second_finds_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = (await create(service, start=False))["session_id"]
    sessions, find, found, both_found = service.services.sessions, service.services.sessions.find, 0, anyio.Event()

    async def find_both_first(name: str) -> SessionRecord:
        nonlocal found
        record, found = await find(name), found + 1
        if found == 2:
            both_found.set()
        await both_found.wait()
        return record

    monkeypatch.setattr(sessions, "find", find_both_first)
    codes = []

    async def remove() -> None:
        codes.append((await service.client.delete(f"/v1/sessions/{session_id}")).json().get("error", {}).get("code"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(remove)
        tasks.start_soon(remove)
    assert sorted(codes, key=str) == [None, "SESSION_NOT_FOUND"]


async def test_a_session_that_was_ended_while_it_was_being_started_does_not_start(service: Service) -> None:
    session = await create(service, start=False)
    record = await stored(service, session["session_id"])
    answers = []

    async def start() -> None:
        answers.append((await service.client.put(f"/v1/sessions/{record.id}/start")).json())

    service.fleet.gate.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)
        await service.fleet.allocation_requested.wait()
        assert await store(service).move(record, to="ended", ended_at_ms=1, end_reason=EndReason.CLIENT)
        service.fleet.gate.set()
    assert answers[0]["error"]["code"] == "SESSION_ENDED"
    assert service.performer(record.id).ended


async def test_an_unexpected_error_in_a_session_ends_it_as_performer_lost(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: live_session.LiveSession) -> None:
        raise ZeroDivisionError("a fault of ours")

    other = await create(service)
    monkeypatch.setattr(live_session.LiveSession, "run", broken)
    with structlog.testing.capture_logs() as logs:
        session = await create(service)
        assert (await wait_for_end(service, session["session_id"])).end_reason == EndReason.PERFORMER_LOST
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["live_session_failed"]
    assert (await stored(service, other["session_id"])).status == "started"


@pytest.mark.parametrize("fault", ["breaks", "never returns"])
async def test_a_session_ends_even_if_its_performer_does_not(
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
    assert (await stored(service, session["session_id"])).end_reason == EndReason.CLIENT
    with anyio.fail_after(TIMEOUT_S):
        assert await last_event(attached) == SessionOver(reason=EndReason.CLIENT)
    failed = "performer_end_failed" if fault == "breaks" else "performer_end_timed_out"
    assert failed in [log["event"] for log in logs]


async def test_a_channel_that_reads_no_events_loses_metrics_but_no_playback_and_not_the_end(service: Service) -> None:
    session = await create(service)
    attached = await service.services.live.attach(init(session))
    performer = service.performer(session["session_id"])
    with structlog.testing.capture_logs() as logs:
        for number in range(MAX_QUEUED_EVENTS + 10):
            performer.emit(PlaybackStarted(utterance_id=str(number)))
            performer.emit(PerformerMetrics(frames=25, late_frames=0, queued_s=0.0))
        await anyio.wait_all_tasks_blocked()
        await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    events = [event async for event in attached.events()]
    assert events[-1] == SessionOver(reason=EndReason.CLIENT)
    started = [event.utterance_id for event in events if isinstance(event, PlaybackStarted)]
    assert started == [str(number) for number in range(MAX_QUEUED_EVENTS + 10)], "all of them, in order"
    assert sum(isinstance(event, PerformerMetrics) for event in events) < MAX_QUEUED_EVENTS
    assert "channel_event_dropped" in [log["event"] for log in logs]


async def test_a_channel_that_leaves_a_session_whose_stage_is_gone_leaves_in_order(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(self: FakePerformer, on: bool) -> None:
        if not on:
            raise PerformerLost("The stage that performed this session is gone")

    monkeypatch.setattr(FakePerformer, "stream_motion", lost)
    session = await create(service)
    attached = await service.services.live.attach(init(session, features=frozenset({"motion"})))
    await attached.detach()


@pytest.mark.parametrize("where", ["its task", "its events"])
async def test_a_session_that_cancels_itself_ends_alone(
    service: Service, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A future that was cancelled raises CancelledError in whoever waits for it; a task group takes it for its end."""

    async def wait_for_a_cancelled_future(*_: object) -> None:
        never = asyncio.get_running_loop().create_future()
        never.cancel()
        await never

    other = await create(service)
    with monkeypatch.context() as patch, structlog.testing.capture_logs():
        patch.setattr(
            live_session.LiveSession, "run" if where == "its task" else "_consume_events", wait_for_a_cancelled_future
        )
        session = await create(service)
        assert (await wait_for_end(service, session["session_id"])).end_reason == EndReason.PERFORMER_LOST
    assert (await stored(service, other["session_id"])).status == "started"
    assert (await stored(service, (await create(service))["session_id"])).status == "started"
    assert service.services.vitals.failed is None
