"""Live sessions: how they start, who may attach, and every way in which they end, with a real database and a fake
fleet.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.conftest import Service, open_service
from visavis.channel.port import AttachedSession, SessionInit, SessionOver, TakenOver
from visavis.errors import (
    InvalidRequest,
    NotFound,
    Overtaken,
    PackUnreadable,
    SessionEnded,
    SessionNotStarted,
    Unauthorized,
    VisavisError,
)
from visavis.sessions import plan_limits
from visavis.sessions.lifecycle import EndReason
from visavis.sessions.sweep import sweep_sessions
from visavis.stage.port.events import (
    PerformerMetrics,
    PlaybackFinished,
    PlaybackStarted,
    StateChanged,
    ViewerJoined,
    ViewerLeft,
)
from visavis.stage.port.values import Speech
from visavis.store.database import Database
from visavis.store.records import SessionRecord
from visavis.store.sessions import SessionStore

pytestmark = pytest.mark.anyio

TIMEOUT_S = 10.0  # how long a test waits for something that must happen


def speech(pcm: bytes, *, number: int = 1, utterance_id: str | None = None) -> Speech:
    return Speech(pcm=pcm, sample_rate_hz=16_000, number=number, utterance_id=utterance_id)


async def create(service: Service, *, start: bool = True) -> dict[str, Any]:
    answer = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    session: dict[str, Any] = answer.json()["session"]
    if start:
        answer = await service.client.put(f"/v1/sessions/{session['session_id']}/start")
        assert answer.status_code == 200, answer.text
    return session


def init(session: dict[str, Any], **changes: Any) -> SessionInit:
    room = session["daily_room"]
    values = {
        "session_id": session["session_id"],
        "token": session["access_token"],
        "hosted": True,
        "room_platform": "daily",
        "room_url": room["url"],
        "room_token": room["token"],
    }
    return SessionInit(**(values | changes))


async def stored(service: Service, session_id: str) -> SessionRecord:
    record = await store(service).get(session_id)
    assert record is not None
    return record


def store(service: Service) -> SessionStore:
    return service.services.sessions._store


async def wait_for_end(service: Service, session_id: str) -> SessionRecord:
    """Wait until the session has ended. The grace periods of these tests are a few hundredths of a second."""
    with anyio.fail_after(TIMEOUT_S):
        while (record := await stored(service, session_id)).status != "ended":  # noqa: ASYNC110 (the database sends no event)
            await anyio.sleep(0.005)
    return record


async def last_event(attached: AttachedSession) -> Any:
    events = [event async for event in attached.events()]
    return events[-1]


# Starting


async def test_concurrent_starts_allocate_once(service: Service) -> None:
    session = await create(service, start=False)
    answers: list[dict[str, Any]] = []

    async def start() -> None:
        answers.append((await service.client.put(f"/v1/sessions/{session['session_id']}/start")).json())

    service.fleet.gate.clear()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(start)
        await service.fleet.allocation_requested.wait()
        service.fleet.gate.set()
    assert len({answer["ws_uri"] for answer in answers}) == 1
    assert service.fleet.allocations == 1


async def test_a_slow_start_answers_try_again_until_the_performer_is_allocated(tmp_path: Path) -> None:
    async with open_service(tmp_path, start_wait_s=0.01) as service:
        session = await create(service, start=False)
        url = f"/v1/sessions/{session['session_id']}"
        service.fleet.gate.clear()
        first = (await service.client.put(url + "/start")).json()
        assert first == {
            "success": True,
            "ws_uri": "try_again",
            "expiration": None,
            "message": "Session started successfully",
        }
        assert (await service.client.get(url)).json()["session"]["status"] == "created"
        assert (await service.client.get("/v1/sessions?status=started")).json()["sessions"] == []
        service.fleet.gate.set()
        with anyio.fail_after(TIMEOUT_S):
            while (again := (await service.client.put(url + "/start")).json())["ws_uri"] == "try_again":  # noqa: ASYNC110 (as a client does)
                await anyio.sleep(0.005)
        assert again["ws_uri"].endswith(session["session_id"])
        assert service.fleet.allocations == 1


async def test_a_session_that_is_being_started_counts_as_current(service: Service) -> None:
    session = await create(service, start=False)
    service.fleet.gate.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.client.put, f"/v1/sessions/{session['session_id']}/start")
        await service.fleet.allocation_requested.wait()
        usage = (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json()["usage"]
        assert usage["concurrency"]["current"] == 1
        service.fleet.gate.set()


async def test_a_failed_start_can_be_repeated(service: Service) -> None:
    session = await create(service, start=False)
    service.fleet.failure = PackUnreadable("The pack is damaged")
    url = f"/v1/sessions/{session['session_id']}/start"
    assert (await service.client.put(url)).json()["error"]["code"] == "PACK_UNREADABLE"
    service.fleet.failure = None
    assert (await service.client.put(url)).status_code == 200


# Ending


async def test_a_client_ends_a_session(service: Service) -> None:
    session = await create(service)
    attached = await service.services.live.attach(init(session))
    await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    assert await last_event(attached) == SessionOver(reason="ended_by_client")
    assert service.performer(session["session_id"]).ended
    assert (await stored(service, session["session_id"])).end_reason == EndReason.CLIENT
    with pytest.raises(SessionEnded):
        await attached.speak(speech(b""))


async def test_a_session_ends_when_nobody_joins(tmp_path: Path) -> None:
    async with open_service(tmp_path, join_timeout_s=0.02) as service:
        session = await create(service)
        assert (await wait_for_end(service, session["session_id"])).end_reason == EndReason.NOBODY_JOINED


async def test_a_session_ends_when_its_room_has_emptied(tmp_path: Path) -> None:
    async with open_service(tmp_path, room_empty_grace_s=0.02) as service:
        session = await create(service)
        performer = service.performer(session["session_id"])
        performer.emit(ViewerJoined(viewer_id="a", viewers=1))
        performer.emit(ViewerLeft(viewer_id="a", viewers=0))
        assert (await wait_for_end(service, session["session_id"])).end_reason == EndReason.ROOM_EMPTY
        assert performer.ended


async def test_a_session_ends_when_its_channel_does_not_return(tmp_path: Path) -> None:
    async with open_service(tmp_path, channel_grace_s=0.02) as service:
        session = await create(service)
        attached = await service.services.live.attach(init(session))
        await attached.detach()
        await attached.detach()
        assert (await wait_for_end(service, session["session_id"])).end_reason == EndReason.CHANNEL_LOST


async def test_a_session_ends_when_its_performer_is_lost(service: Service) -> None:
    session = await create(service)
    attached = await service.services.live.attach(init(session))
    service.performer(session["session_id"]).die()
    with anyio.fail_after(TIMEOUT_S):
        assert await last_event(attached) == SessionOver(reason="performer_lost")
    assert (await wait_for_end(service, session["session_id"])).end_reason == EndReason.PERFORMER_LOST


async def test_a_session_of_a_test_key_expires_after_a_minute(service: Service) -> None:
    _, key = await service.services.accounts.create(name="test", test=True)
    body = {"image_base64": "YSBmYWNl"}
    look = (await service.client.post("/v1/avatars/upload-face", json=body, headers={"x-api-key": key})).json()[
        "avatar_id"
    ]
    session = (await service.client.post("/v1/sessions", json={"avatar_id": look}, headers={"x-api-key": key})).json()[
        "session"
    ]
    started = (
        await service.client.put(f"/v1/sessions/{session['session_id']}/start", headers={"x-api-key": key})
    ).json()
    record = await stored(service, session["session_id"])
    assert record.started_at_ms is not None and record.expiration_ms == record.started_at_ms + 60_000
    assert started["expiration"] is not None


async def test_a_session_that_expires_ends_at_its_expiration_and_a_test_key_pays_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_limits, "TEST_SESSION_MS", 20)
    _, key = await service.services.accounts.create(name="test", test=True)
    headers = {"x-api-key": key}
    image = {"avatar": "data:image/png;base64,YSBmYWNl"}
    session_id = (await service.client.post("/v1/sessions", json=image, headers=headers)).json()["session"][
        "session_id"
    ]
    record = await wait_for_end(service, session_id)
    assert record.end_reason == EndReason.EXPIRED
    assert record.started_at_ms is not None
    assert record.ended_at_ms == record.expiration_ms == record.started_at_ms + 20
    shown = (await service.client.get(f"/v1/sessions/{session_id}", headers=headers)).json()["session"]
    assert shown["ended_at"] == shown["expiration"]
    assert shown["billing"] == {"minutes": 0, "included_minutes": 0, "purchased_minutes": 0}


async def test_a_clock_that_is_set_back_changes_no_duration(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    hosted = await create(service)
    own = (await service.client.post("/v1/sessions", json={"avatar": service.look_id})).json()["session"]
    real_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() - 3600 * 10**9)
    for _ in range(2):  # while it runs, and after its end
        shown = (await service.client.get(f"/v1/sessions/{own['session_id']}")).json()["session"]
        assert shown["duration"] >= 0
        for session in (hosted, own):
            await sweep_sessions(store(service), service.services.live, created_ttl_s=3600)
            await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    for session in (hosted, own):
        record = await stored(service, session["session_id"])
        assert record.started_at_ms is not None and record.ended_at_ms is not None and record.seen_at_ms is not None
        assert record.started_at_ms <= record.seen_at_ms <= record.ended_at_ms
    assert shown["billing"]["minutes"] == 1
    assert (await service.client.get(f"/v1/sessions/{hosted['session_id']}")).json()["session"]["duration"] >= 0


async def test_every_session_ends_with_the_server(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        session = await create(service)
    async with open_service(tmp_path) as service:
        record = await stored(service, session["session_id"])
        assert (record.status, record.end_reason) == ("ended", EndReason.SERVER_STOPPED)


async def test_a_session_of_a_dead_server_ends_as_of_when_it_was_last_seen(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        session = await create(service, start=False)
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/visavis.db")
    sessions = SessionStore(database)
    record = await sessions.get(session["session_id"])
    assert record is not None
    await sessions.move(record, to="started", started_at_ms=1_000_000, seen_at_ms=1_009_000)
    await database.aclose()
    async with open_service(tmp_path) as service:
        record = await stored(service, session["session_id"])
        assert (record.status, record.end_reason, record.ended_at_ms) == ("ended", EndReason.SERVER_DIED, 1_009_000)


async def test_the_sweep_ends_lost_and_abandoned_sessions(service: Service) -> None:
    session, lost = await create(service, start=False), await create(service, start=False)
    await store(service).move(await stored(service, lost["session_id"]), to="started", started_at_ms=1, seen_at_ms=1)
    living = await create(service)
    await sweep_sessions(store(service), service.services.live, created_ttl_s=3600)
    assert (await stored(service, lost["session_id"])).end_reason == EndReason.PERFORMER_LOST
    assert (await stored(service, session["session_id"])).status == "created"
    await sweep_sessions(store(service), service.services.live, created_ttl_s=-1)
    assert (await stored(service, session["session_id"])).end_reason == EndReason.NEVER_STARTED
    never = (await service.client.get(f"/v1/sessions/{session['session_id']}")).json()["session"]
    assert (never["status"], never["started_at"], never["duration"]) == ("ended", None, None)
    assert (await stored(service, living["session_id"])).status == "started"


async def test_of_several_ends_at_once_one_reason_is_recorded(service: Service) -> None:
    session = await create(service)
    live = service.services.live
    async with anyio.create_task_group() as tasks:
        for reason in (EndReason.EXPIRED, EndReason.CLIENT, EndReason.ROOM_EMPTY):
            tasks.start_soon(live.end, session["session_id"], reason)
    first = await stored(service, session["session_id"])
    await live.end(session["session_id"], EndReason.CHANNEL_LOST)
    assert await stored(service, session["session_id"]) == first


async def test_seconds_are_metered_from_the_first_frame_to_the_last(service: Service) -> None:
    session, unwatched = await create(service), await create(service)
    performer = service.performer(session["session_id"])
    await performer.offer(viewer_id="a", sdp="m=video")
    performer.emit(PerformerMetrics(frames=25, late_frames=0, hurried_frames=0, queued_s=0))
    await performer.remove_viewer("a")
    await performer.speak(speech(b"\0\0", utterance_id="seen"))
    attached = await service.services.live.attach(init(session))
    performer.emit(PlaybackStarted(utterance_id="mark"))
    async for event in attached.events():
        if event == PlaybackStarted(utterance_id="mark"):
            break
    for one in (session, unwatched):
        await service.client.put(f"/v1/sessions/{one['session_id']}/end")
    record = await stored(service, session["session_id"])
    assert (
        record.first_frame_at_ms is not None and record.last_frame_at_ms is not None and record.ended_at_ms is not None
    )
    assert record.first_frame_at_ms <= record.last_frame_at_ms <= record.ended_at_ms
    assert (await stored(service, unwatched["session_id"])).first_frame_at_ms is None


# Attached channels


async def test_a_channel_speaks_and_receives_playback_events(service: Service) -> None:
    session = await create(service)
    attached = await service.services.live.attach(init(session, width_px=640, height_px=480))
    performer = service.performer(session["session_id"])
    assert performer.size_px == (640, 480)
    assert (await attached.speak(speech(b"\1\0", utterance_id="a"))).utterance_id == "a"
    await attached.interrupt(through=1)
    await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    events = [event async for event in attached.events()]
    assert events == [
        StateChanged(state="idle"),
        PlaybackStarted(utterance_id="a"),
        PlaybackFinished(utterance_id="a", position_s=0.0, interrupted=True),
        SessionOver(reason="ended_by_client"),
    ]


async def test_a_second_channel_takes_over_and_the_first_ends_nothing(tmp_path: Path) -> None:
    async with open_service(tmp_path, channel_grace_s=0.01) as service:
        session = await create(service)
        first = await service.services.live.attach(init(session))
        second = await service.services.live.attach(init(session))
        assert await last_event(first) == TakenOver()
        await first.detach()
        await anyio.sleep(0.05)  # longer than the grace period, which must not start here
        assert (await stored(service, session["session_id"])).status == "started"
        await second.speak(speech(b"\0\0", utterance_id="a"))


@pytest.mark.parametrize("look_up", ["session", "key"])
async def test_a_channel_whose_look_up_takes_long_does_not_take_over_from_a_later_one(
    service: Service, monkeypatch: pytest.MonkeyPatch, look_up: str
) -> None:
    session, live = await create(service), service.services.live
    owner, name = {"session": (live._store, "get"), "key": (live._accounts, "is_revoked")}[look_up]
    quick = getattr(owner, name)
    waiting, held = anyio.Event(), anyio.Event()

    async def slow_once(*arguments: Any) -> Any:
        if not waiting.is_set():
            waiting.set()
            await held.wait()
        return await quick(*arguments)

    monkeypatch.setattr(owner, name, slow_once)
    refused: list[VisavisError] = []

    async def attach_first() -> None:
        try:
            await live.attach(init(session, width_px=640, height_px=480))
        except VisavisError as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(attach_first)
        await waiting.wait()
        second = await live.attach(init(session, width_px=1280, height_px=960))
        held.set()
    assert [type(error) for error in refused] == [Overtaken]
    assert service.performer(session["session_id"]).size_px == (1280, 960)
    await second.speak(speech(b"\0\0", utterance_id="a"))
    await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    assert await last_event(second) == SessionOver(reason="ended_by_client")


async def test_who_may_attach(service: Service) -> None:
    live = service.services.live
    session, other, created = await create(service), await create(service), await create(service, start=False)
    for unknown in ("sess_00000000000000000000000000", "odd", "\ud800"):
        with pytest.raises(NotFound):
            await live.attach(init(session, session_id=unknown))
    for token in (other["access_token"], session["daily_room"]["token"], "", "\ud800"):
        with pytest.raises(Unauthorized):
            await live.attach(init(session, token=token))
    with pytest.raises(SessionNotStarted):
        await live.attach(init(created))
    with pytest.raises(Unauthorized):
        await live.attach(init(created, token="x"))
    for url in (other["daily_room"]["url"], "", "no address", "http://[::1/rooms/x", "http://\u2100/rooms/x"):
        with pytest.raises(InvalidRequest):
            await live.attach(init(session, room_url=url))
    for room_token in (other["daily_room"]["token"], session["access_token"], "", "\ud800"):
        with pytest.raises(Unauthorized, match="Invalid room token"):
            await live.attach(init(session, room_token=room_token))
    await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    with pytest.raises(SessionEnded):
        await live.attach(init(session))
    with pytest.raises(Unauthorized):
        await live.attach(init(session, token="x"))
