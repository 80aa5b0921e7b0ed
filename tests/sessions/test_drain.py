"""How sessions end when the server stops: in silence at once, in speech when it is over or the time is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog.testing

from tests.conftest import Service, open_service
from tests.sessions.test_live_sessions import TIMEOUT_S, create, init, speech, stored, wait_for_end
from visavis.channel.port import Expiring, SessionOver
from visavis.errors import ServerStopping
from visavis.sessions import live_session
from visavis.sessions.drain import CHECK_EVERY_S, drain
from visavis.sessions.lifecycle import EndReason
from visavis.stage.port.events import PlaybackFinished, SegmentsOpen, StateChanged

pytestmark = pytest.mark.anyio

LONG_S = 600.0


def not_forced() -> bool:
    return False


@pytest.fixture(autouse=True)
def _speech_starts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_session, "SPEECH_STARTS_WITHIN_S", 0.0)


async def speaking(service: Service) -> tuple[dict[str, Any], Any]:
    """Return a session that speaks, and its channel."""
    session = await create(service)
    attached = await service.services.live.attach(init(session))
    await attached.speak(speech(b"\0\0" * 1600, utterance_id="a"))
    service.performer(session["session_id"]).emit(StateChanged(state="speaking"))
    await anyio.wait_all_tasks_blocked()
    return session, attached


async def test_a_silent_session_ends_at_once_and_a_speaking_one_when_it_is_silent(service: Service) -> None:
    silent = await create(service)
    session, attached = await speaking(service)
    performer = service.performer(session["session_id"])
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: drain(service.services.live, within_s=LONG_S, is_forced=not_forced))
            assert (await wait_for_end(service, silent["session_id"])).end_reason == EndReason.SERVER_STOPPED
            assert (await stored(service, session["session_id"])).status == "started"
            performer.emit(PlaybackFinished(utterance_id="a", position_s=0.1, interrupted=False))
            performer.emit(StateChanged(state="idle"))
    assert (await stored(service, session["session_id"])).end_reason == EndReason.SERVER_STOPPED
    assert performer.interrupts == []
    assert [event async for event in attached.events()][-4:] == [
        Expiring(seconds_left=600),
        PlaybackFinished(utterance_id="a", position_s=0.1, interrupted=False),
        StateChanged(state="idle"),
        SessionOver(reason="server_stopped"),
    ]


@pytest.mark.parametrize("why", ["it waits for a viewer", "its sender pauses", "the room's agent sends it"])
async def test_accepted_speech_that_does_not_play_now_is_not_lost(service: Service, why: str) -> None:
    if why == "its sender pauses":
        session, _ = await speaking(service)
        service.performer(session["session_id"]).emit(StateChanged(state="idle"))
    else:
        session = await create(service)
    performer = service.performer(session["session_id"])
    if why == "it waits for a viewer":
        attached = await service.services.live.attach(init(session, hold_for_viewer_s=30.0))
        await attached.speak(speech(b"\0\0" * 1600, utterance_id="a"))
    if why == "the room's agent sends it":
        performer.emit(SegmentsOpen(agents={"a": "agent"}))
    await anyio.wait_all_tasks_blocked()
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: drain(service.services.live, within_s=LONG_S, is_forced=not_forced))
            await anyio.sleep(4 * CHECK_EVERY_S)
            assert (await stored(service, session["session_id"])).status == "started"
            performer.emit(PlaybackFinished(utterance_id="a", position_s=0.1, interrupted=False))
    assert (await stored(service, session["session_id"])).end_reason == EndReason.SERVER_STOPPED


@pytest.mark.parametrize("step_s", [-3600, 3600])
async def test_a_clock_that_is_set_during_a_drain_changes_neither_its_length_nor_that_of_its_sessions(
    service: Service, monkeypatch: pytest.MonkeyPatch, step_s: int
) -> None:
    session, attached = await speaking(service)
    real_ns = time.time_ns
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: drain(service.services.live, within_s=LONG_S, is_forced=not_forced))
            await anyio.sleep(CHECK_EVERY_S)
            monkeypatch.setattr(time, "time_ns", lambda: real_ns() + step_s * 10**9)
            await anyio.sleep(4 * CHECK_EVERY_S)
            assert (await stored(service, session["session_id"])).status == "started"
            await attached.speak(speech(b"\0\0" * 1600, number=2, utterance_id="a"))
            end = PlaybackFinished(utterance_id="a", position_s=0.2, interrupted=False)
            service.performer(session["session_id"]).emit(end)
            service.performer(session["session_id"]).emit(StateChanged(state="idle"))
    record = await stored(service, session["session_id"])
    assert record.end_reason == EndReason.SERVER_STOPPED
    assert record.started_at_ms is not None and record.ended_at_ms is not None
    assert 0 < record.ended_at_ms - record.started_at_ms < 1000 * TIMEOUT_S


@pytest.mark.parametrize("forced", [False, True])
async def test_speech_that_takes_too_long_is_cut_and_finishes_before_the_channel_closes(
    service: Service, forced: bool
) -> None:
    session, attached = await speaking(service)
    with anyio.fail_after(TIMEOUT_S):
        await drain(service.services.live, within_s=LONG_S if forced else 0.1, is_forced=lambda: forced)
    assert (await stored(service, session["session_id"])).end_reason == EndReason.SERVER_STOPPED
    finished, over = [event async for event in attached.events()][-2:]
    assert isinstance(finished, PlaybackFinished) and finished.interrupted and finished.utterance_id == "a"
    assert over == SessionOver(reason="server_stopped")


async def test_nothing_starts_any_more_and_what_is_being_started_does_not(service: Service) -> None:
    session = await create(service, start=False)
    service.fleet.gate.clear()
    answers: list[dict[str, Any]] = []

    async def start() -> None:
        answers.append((await service.client.put(f"/v1/sessions/{session['session_id']}/start")).json())

    with structlog.testing.capture_logs():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start)
            await service.fleet.allocation_requested.wait()
            await drain(service.services.live, within_s=LONG_S, is_forced=not_forced)
            service.fleet.gate.set()
    assert answers[0]["error"]["code"] == ServerStopping.code
    assert service.performer(session["session_id"]).ended
    assert (await stored(service, session["session_id"])).status == "created"


async def test_a_channel_that_opens_in_the_last_minute_is_warned_at_once(service: Service) -> None:
    _, key = await service.services.accounts.create(name="test", test=True)  # its sessions last 60 s
    headers = {"x-api-key": key}
    image = {"avatar": "data:image/png;base64,YSBmYWNl"}
    session = (await service.client.post("/v1/sessions", json=image, headers=headers)).json()["session"]
    attached = await service.services.live.attach(
        init(
            {"daily_room": {"url": "", "token": ""}, "access_token": session["session_token"], **session}, hosted=False
        )
    )
    await service.client.put(f"/v1/sessions/{session['session_id']}/end", headers=headers)
    first, warning, *_ = [event async for event in attached.events()]
    assert first == StateChanged(state="idle")
    assert isinstance(warning, Expiring) and 50 <= warning.seconds_left <= 60


async def test_a_start_takes_no_longer_than_its_timeout_and_says_so_to_whoever_asks_next(tmp_path: Path) -> None:
    async with open_service(tmp_path, start_wait_s=0.01, start_timeout_s=0.1) as service:
        session = await create(service, start=False)
        url = f"/v1/sessions/{session['session_id']}/start"
        service.fleet.gate.clear()
        with structlog.testing.capture_logs() as logs:
            assert (await service.client.put(url)).json()["ws_uri"] == "try_again"
            with anyio.fail_after(TIMEOUT_S):
                while service.services.live.table.starting:  # noqa: ASYNC110 (nobody waits for it)
                    await anyio.sleep(0.01)
            refused = await service.client.put(url)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "NO_CAPACITY")
        assert refused.headers["Retry-After"] == "5"
        assert ("session_start_refused", "NO_CAPACITY") in [(log["event"], log.get("code")) for log in logs]
        service.fleet.gate.set()
        with anyio.fail_after(TIMEOUT_S):
            while (await service.client.put(url)).json().get("ws_uri", "try_again") == "try_again":  # noqa: ASYNC110 (as a client does)
                await anyio.sleep(0.01)
