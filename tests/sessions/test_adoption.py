"""Sessions that outlive their server: what the next server on the same data folder takes up again, with a real database
and fake fleets.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest

from tests.conftest import Service, open_service
from tests.fakes import FakeFleet, FakePerformer
from tests.sessions.test_live_sessions import TIMEOUT_S, create, init, speech, store, stored, wait_for_end
from visavis.channel.port import ServerChanges, TextFailed
from visavis.errors import HandOverBegun
from visavis.fleet.port import Adopted
from visavis.rooms.spec import LiveKitRoomSpec
from visavis.sessions.handover import hand_over
from visavis.sessions.lifecycle import EndReason
from visavis.sessions.played import Played
from visavis.sessions.session_memo import SessionMemo
from visavis.sessions.sweep import sweep_sessions
from visavis.stage.port.events import FirstFrameSent, PlaybackFinished, PlaybackStarted, StateChanged, ViewerJoined
from visavis.stage.port.held import HeldSession, HeldUtterance
from visavis.stage.port.line import KeptLine
from visavis.stage.port.so_far import PerformanceSoFar
from visavis.store.deliveries import DeliveryStore
from visavis.store.last_seen import LastSeen, Seen
from visavis.store.records import SessionRecord
from visavis.voice.port import TextPiece

pytestmark = pytest.mark.anyio


async def let_go(service: Service) -> None:
    await hand_over(service.services.live, service.services.conversations)
    await service.fleet.let_go()


def successor(before: FakePerformer, *, told_ago_s: float = 0.0, **held: object) -> tuple[FakePerformer, FakeFleet]:
    """Return a performer that goes on with the session of another one, and the fleet that has found it. `told_ago_s`:
    how long ago its stage has told what it holds.
    """
    performer, fleet = FakePerformer(before.spec), FakeFleet()
    fleet.performers[before.session_id] = performer
    values = {"spec": before.spec, "performed_s": 30.0, "memo": before.memo, "notes": before.notes.all()} | held
    told = HeldSession(**values)  # type: ignore[arg-type]
    fleet.adopted = [Adopted(performer=performer, held=told, told_s=time.monotonic() - told_ago_s)]
    return performer, fleet


def with_key(service: Service, other: Service) -> httpx.AsyncClient:
    """Let the second service be called with the first one's key."""
    service.client.headers["x-api-key"] = other.key
    return service.client


async def test_a_session_is_live_again_with_its_start_its_viewers_and_its_channel(tmp_path: Path) -> None:
    async with open_service(tmp_path) as first:
        session = await create(first)
        await (await first.services.live.attach(init(session))).detach()
        before = await stored(first, session["session_id"])
        performer = first.performer(session["session_id"])
        assert SessionMemo.unpacked(performer.memo).had_channel
        performer.emit(FirstFrameSent())
        await anyio.wait_all_tasks_blocked()
        await let_go(first)
    assert not performer.ended
    again, fleet = successor(performer, told_ago_s=20.0, performed_s=10.0, viewers=("viewer",), state="listening")
    async with open_service(tmp_path, fleet=fleet) as second:
        client = with_key(second, first)
        document = (await client.get(f"/v1/sessions/{session['session_id']}")).json()["session"]
        assert document["status"] == "started"
        live = second.services.live.table.running[session["session_id"]]
        assert live.viewers == 1 and second.services.live.has_viewer(session["session_id"], "viewer")
        assert live.clock.started_at_ms == before.started_at_ms
        assert 30.0 <= (live.now_ms() - live.clock.started_at_ms) / 1000 < 40.0
        attached = await second.services.live.attach(init(session))
        await attached.speak(speech(b"\0\0" * 1600, utterance_id="a"))
        events = attached.events()
        assert [await anext(events), await anext(events)] == [
            StateChanged(state="listening"),
            PlaybackStarted(utterance_id="a"),
        ]
        assert again.spoken
        await client.put(f"/v1/sessions/{session['session_id']}/end")
        after = await stored(second, session["session_id"])
        assert (after.end_reason, after.first_frame_at_ms) == (EndReason.CLIENT, live.seen().first_frame_at_ms)
        assert after.ended_at_ms is not None and 30_000 <= after.ended_at_ms - live.clock.started_at_ms < 40_000


@pytest.mark.parametrize("waits_for", ["database", "stage"])
async def test_a_channel_that_still_attaches_when_the_hand_over_begins_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch, waits_for: str
) -> None:
    session = await create(service)
    live, performer = service.services.live, service.performer(session["session_id"])
    attaching, handed_over = anyio.Event(), anyio.Event()

    async def get(session_id: str) -> SessionRecord | None:
        record = await find(session_id)
        await wait()
        return record

    async def wait(_: float = 0.0) -> None:
        attaching.set()
        await handed_over.wait()

    async def attach() -> None:
        with pytest.raises(HandOverBegun):
            await live.attach(init(session, hold_for_viewer_s=1.0))

    find = live._store.get
    if waits_for == "database":
        monkeypatch.setattr(live._store, "get", get)
    else:
        monkeypatch.setattr(performer, "hold_for_viewer", wait)
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attach)
            await attaching.wait()
            await hand_over(live, service.services.conversations)
            handed_over.set()


@pytest.mark.parametrize(
    ("held", "settings", "reason"),
    [
        ({"memo": SessionMemo(had_channel=True).packed(), "viewers": ("v",)}, {}, EndReason.CHANNEL_LOST),
        ({"first_frame_s": 5.0}, {}, EndReason.ROOM_EMPTY),
        ({}, {"join_timeout_s": 0.05}, EndReason.NOBODY_JOINED),
    ],
)
async def test_deadlines_go_on(
    tmp_path: Path, held: dict[str, Any], settings: dict[str, Any], reason: EndReason
) -> None:
    async with open_service(tmp_path) as first:
        session = await create(first)
        performer = first.performer(session["session_id"])
        await let_go(first)
    again, fleet = successor(performer, **held)
    short: dict[str, Any] = {"channel_grace_s": 0.05, "room_empty_grace_s": 0.05} | settings
    async with open_service(tmp_path, fleet=fleet, **short) as second:
        assert (await wait_for_end(second, session["session_id"])).end_reason == reason
        assert again.ended


@pytest.mark.parametrize(("viewers", "reason"), [(0, EndReason.NOBODY_JOINED), (1, EndReason.ROOM_EMPTY)])
async def test_a_room_of_another_server_is_empty_only_after_somebody_was_there(
    tmp_path: Path, viewers: int, reason: EndReason
) -> None:
    async with open_service(tmp_path) as first:
        session = await create(first)
        performer = first.performer(session["session_id"])
        await let_go(first)
        await store(first).update(session["session_id"], played=Played(viewers=viewers).plain())
    room = LiveKitRoomSpec(url="ws://127.0.0.1:9", token="token")
    _, fleet = successor(performer, spec=msgspec.structs.replace(performer.spec, room=room), first_frame_s=5.0)
    short: dict[str, Any] = {"join_timeout_s": 0.05, "room_empty_grace_s": 0.05}
    async with open_service(tmp_path, fleet=fleet, **short) as second:
        assert (await wait_for_end(second, session["session_id"])).end_reason == reason


async def test_an_utterance_that_the_dead_server_knew_has_one_end(tmp_path: Path) -> None:
    async with open_service(tmp_path) as first:
        session = await create(first)
        performer = first.performer(session["session_id"])
        await let_go(first)
    utterances = (
        HeldUtterance(utterance_id="playing", received_s=9.0, played_s=2.0),
        HeldUtterance(utterance_id="waiting", received_s=1.0),
    )
    again, fleet = successor(performer, utterances=utterances, state="speaking")
    async with open_service(tmp_path, fleet=fleet) as second:
        attached = await second.services.live.attach(init(session))
        again.emit(PlaybackFinished(utterance_id="playing", position_s=9.0, interrupted=False))
        again.die()
        with anyio.fail_after(TIMEOUT_S):
            ends = [event async for event in attached.events() if isinstance(event, PlaybackFinished)]
    assert ends == [
        PlaybackFinished(utterance_id="playing", position_s=9.0, interrupted=False),
        PlaybackFinished(utterance_id="waiting", position_s=0.0, interrupted=True),
    ]


async def test_text_that_the_dead_server_had_taken_is_said_or_its_client_is_told_that_it_is_not(tmp_path: Path) -> None:
    async with open_service(tmp_path) as first:  # its speech endpoint cannot be reached
        session = await create(first)
        performer = first.performer(session["session_id"])
        attached = await first.services.live.attach(init(session))
        piece = TextPiece(text="Never spoken. And this neither.", number=1, utterance_id="text", message=7)
        assert await attached.say(piece) == "text"
        (waiting,) = performer.line.so_far().waiting
        line = performer.line.so_far()
        await let_go(first)
    again, fleet = successor(performer, performance=PerformanceSoFar(spec=performer.spec, line=line))
    again.line = KeptLine(line)
    async with open_service(tmp_path, fleet=fleet) as second:
        with anyio.fail_after(TIMEOUT_S):
            while not again.spoken:  # noqa: ASYNC110 (the line tells nobody)
                await anyio.sleep(0.01)
        assert [(name, speech.pcm, speech.final) for name, speech in again.spoken] == [("text", b"", True)]
        assert again.line.so_far().waiting == () and waiting.place == 1
        attached = await second.services.live.attach(init(session))
        assert await attached.say(piece) == "text", "the client may send it again, and nothing is said twice"
        assert again.line.so_far().waiting == ()
        events = attached.events()
        with anyio.fail_after(TIMEOUT_S):
            while not isinstance(event := await anext(events), TextFailed):
                pass
        assert (event.utterance_id, event.code) == ("text", "VOICE_FAILED")


async def test_events_are_acknowledged_when_the_client_has_them_and_others_at_once(service: Service) -> None:
    session = await create(service)
    performer = service.performer(session["session_id"])
    joined, started = ViewerJoined(viewer_id="v", viewers=1), PlaybackStarted(utterance_id="a")
    performer.emit(joined)
    performer.emit(started)
    await anyio.wait_all_tasks_blocked()
    assert performer.acknowledged == [joined]
    attached = await service.services.live.attach(init(session))
    async for event in attached.events():
        if event is started:
            attached.delivered(event)
            break
    assert performer.acknowledged == [joined, started]


async def test_the_stage_knows_what_a_client_was_told_while_webhooks_still_need_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = anyio.Event()
    write = DeliveryStore.write

    async def write_later(store: DeliveryStore, *news: Any, **more: Any) -> None:
        await written.wait()
        await write(store, *news, **more)

    monkeypatch.setattr(DeliveryStore, "write", write_later)
    session = await create(service)
    performer = service.performer(session["session_id"])
    attached = await service.services.live.attach(init(session))
    end = PlaybackFinished(utterance_id="a", position_s=1.0, interrupted=False)
    performer.emit(end)
    async for event in attached.events():
        if event is end:
            attached.delivered(event)
            break
    assert performer.told_events == [end] and performer.acknowledged == []
    written.set()
    with anyio.fail_after(TIMEOUT_S):
        while not performer.acknowledged:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    assert performer.acknowledged == [end]


async def test_what_the_dead_server_has_told_its_client_is_news_for_webhooks_alone(service: Service) -> None:
    session = await create(service)
    performer = service.performer(session["session_id"])
    attached = await service.services.live.attach(init(session))
    told, new = (PlaybackFinished(utterance_id=name, position_s=1.0, interrupted=False) for name in "ab")
    performer.client_told(told)
    performer.emit(told)
    performer.emit(new)
    events = attached.events()
    with anyio.fail_after(TIMEOUT_S):
        assert [await anext(events), await anext(events)] == [StateChanged(state="idle"), new]
        while told not in performer.acknowledged:  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def test_a_session_that_is_not_found_ends_as_of_when_it_was_last_seen(tmp_path: Path) -> None:
    async with open_service(tmp_path) as first:
        session = await create(first)
        started_ms = (await stored(first, session["session_id"])).started_at_ms
        assert started_ms is not None
        await let_go(first)
    file = LastSeen(tmp_path)
    file.write(
        {
            session["session_id"]: Seen(
                seen_at_ms=started_ms + 7_250,
                first_frame_at_ms=started_ms + 100,
                last_frame_at_ms=started_ms + 7_000,
            )
        }
    )
    async with open_service(tmp_path) as second:
        record = await stored(second, session["session_id"])
    assert (record.status, record.end_reason, record.ended_at_ms) == ("ended", "server_died", started_ms + 7_250)
    assert (record.first_frame_at_ms, record.last_frame_at_ms) == (started_ms + 100, started_ms + 7_000)


async def test_an_end_that_the_database_had_not_taken_keeps_its_reason_and_its_performer_ends(tmp_path: Path) -> None:
    async with open_service(tmp_path) as first:
        session = await create(first)
        performer = first.performer(session["session_id"])
        started_ms = (await stored(first, session["session_id"])).started_at_ms
        assert started_ms is not None
        await let_go(first)
    seen = Seen(seen_at_ms=started_ms + 3_000, end_reason=EndReason.CLIENT)
    LastSeen(tmp_path).write({session["session_id"]: seen})
    again, fleet = successor(performer)
    async with open_service(tmp_path, fleet=fleet) as second:
        record = await stored(second, session["session_id"])
        assert (record.end_reason, record.ended_at_ms) == ("ended_by_client", started_ms + 3_000)
        with anyio.fail_after(TIMEOUT_S):
            while not again.ended:  # noqa: ASYNC110 (it ends in the background)
                await anyio.sleep(0.005)


async def test_a_performer_whose_session_has_not_been_started_ends(tmp_path: Path) -> None:
    async with open_service(tmp_path) as first:
        session = await create(first)
        performer = first.performer(session["session_id"])
        await store(first).update(session["session_id"], status="created", started_at_ms=None)
        await let_go(first)
    again, fleet = successor(performer)
    async with open_service(tmp_path, fleet=fleet) as second:
        with anyio.fail_after(TIMEOUT_S):
            while not again.ended:  # noqa: ASYNC110 (it ends in the background)
                await anyio.sleep(0.005)
        assert (await stored(second, session["session_id"])).status == "created"


async def test_a_server_that_has_let_go_ends_nothing_and_attaches_nobody(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        session = await create(service)
        performer = service.performer(session["session_id"])
        attached = await service.services.live.attach(init(session))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(let_go, service)
            with anyio.fail_after(TIMEOUT_S):
                events = [event async for event in attached.events()]
            assert events[-1] == ServerChanges()
            await attached.detach()
        with pytest.raises(HandOverBegun):
            await service.services.live.attach(init(session))
        room = session["daily_room"]
        headers = {"authorization": f"Bearer {room['token']}", "content-type": "application/sdp"}
        for answer in (
            await service.client.put(f"/v1/sessions/{session['session_id']}/end"),
            await service.client.get(f"{room['url']}/picture", headers=headers),
            await service.client.get(f"{room['url']}/whep/view_1", headers=headers),
            await service.client.post(f"{room['url']}/whep", content="v=0", headers=headers),
            await service.client.get(f"/v1/sessions/{session['session_id']}/metrics"),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "PERFORMER_LOST"), "it has not ended"
        await service.services.live.end(session["session_id"], EndReason.CLIENT)
        await sweep_sessions(store(service), service.services.live, created_ttl_s=60)
    assert not performer.ended
    async with open_service(tmp_path, fleet=successor(performer)[1]) as second:
        assert (await stored(second, session["session_id"])).status == "started"


async def test_last_seen_is_written_while_sessions_run(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        session = await create(service)
        with anyio.fail_after(TIMEOUT_S):
            while session["session_id"] not in LastSeen(tmp_path).read():  # noqa: ASYNC110 (a file tells nobody)
                await anyio.sleep(0.02)
        seen = LastSeen(tmp_path).read()[session["session_id"]]
        assert abs(seen.seen_at_ms / 1000 - time.time()) < TIMEOUT_S
