"""What webhooks are told of sessions and avatars, with a real database, a fake fleet and a real receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.api.test_usage import put_on
from tests.conftest import Service, open_service
from tests.sessions.test_adoption import let_go, successor, with_key
from tests.sessions.test_live_sessions import create, init
from tests.webhooks.receiver import Receiver, receiving
from visavis.errors import NoFace
from visavis.sessions import deadlines
from visavis.stage.port.events import (
    FirstFrameSent,
    PerformanceMoved,
    PlaybackFinished,
    PlaybackStarted,
    ViewerJoined,
    ViewerLeft,
)
from visavis.webhooks.verification import verify_webhook

pytestmark = pytest.mark.anyio

LOOPBACK: dict[str, Any] = {"webhook_networks": ("127.0.0.0/8",)}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with open_service(tmp_path, **LOOPBACK) as opened:
        yield opened


async def hook(service: Service, receiver: Receiver, **body: Any) -> dict[str, Any]:
    """Make a webhook; return its answer."""
    answer = await service.client.post("/v1/webhooks", json={"url": receiver.url, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def end(service: Service, session: dict[str, Any]) -> None:
    assert (await service.client.put(f"/v1/sessions/{session['session_id']}/end")).status_code == 200


def numbers(receiver: Receiver) -> list[int]:
    """The numbers of the events, in the order in which things happened."""
    return sorted(one.event["data"]["number"] for one in receiver.received)


def in_order(receiver: Receiver) -> list[dict[str, Any]]:
    return sorted((one.event for one in receiver.received), key=lambda event: event["data"]["number"])


async def test_the_life_of_a_session_is_told_in_numbered_and_signed_events(
    service: Service, receiver: Receiver
) -> None:
    made = await hook(service, receiver)
    session = await create(service)
    performer = service.performer(session["session_id"])
    performer.emit(ViewerJoined(viewer_id="view_a", viewers=1))
    performer.emit(FirstFrameSent())
    performer.emit(PlaybackStarted(utterance_id="u"))
    performer.emit(PlaybackFinished(utterance_id="u", position_s=1.25, interrupted=False))
    performer.emit(FirstFrameSent())  # a room that is full again sends one again
    performer.emit(ViewerLeft(viewer_id="view_a", viewers=0))
    await receiver.until(6)
    await end(service, session)
    await receiver.until(7)
    told = in_order(receiver)
    assert [event["type"] for event in told] == [
        "session.created",
        "session.started",
        "session.participant_joined",
        "session.first_frame",
        "session.utterance_finished",
        "session.participant_left",
        "session.ended",
    ]
    assert [event["data"]["number"] for event in told] == list(range(1, 8))
    assert {event["data"]["session_id"] for event in told} == {session["session_id"]}
    assert told[2]["data"]["viewer_id"] == told[5]["data"]["viewer_id"] == "view_a"
    assert (told[4]["data"]["utterance_id"], told[4]["data"]["played_s"]) == ("u", 1.25)
    ended = told[6]["data"]
    assert (ended["reason"], ended["usage"]["minutes"], ended["metadata"]) == ("ended_by_client", 1, {})
    document = (await service.client.get(f"/v1/sessions/{session['session_id']}")).json()["session"]
    assert (ended["ended_at"], ended["usage"]["seconds"]) == (document["ended_at"], document["duration"])
    for one in receiver.received:
        assert verify_webhook(one.body, one.headers, made["secret"]).type == one.event["type"]


async def test_utterances_that_the_end_cuts_off_are_told_before_it(service: Service, receiver: Receiver) -> None:
    await hook(service, receiver)
    session = await create(service)
    performer = service.performer(session["session_id"])
    performer.ends_speech = True
    performer.queued.extend(["first", "second"])
    await end(service, session)
    await receiver.until(5)
    told = in_order(receiver)
    assert [event["type"] for event in told[-3:]] == [*["session.utterance_finished"] * 2, "session.ended"]
    assert [event["data"]["utterance_id"] for event in told[-3:-1]] == ["first", "second"]


async def test_a_webhook_gets_the_types_that_it_asks_for(service: Service, receiver: Receiver) -> None:
    await hook(service, receiver, events=["session.ended", "avatar.ready"])
    await end(service, await create(service))
    await service.client.post("/v1/avatars/upload-face", json={"image_base64": "YSBmYWNl", "name": "Ann"})
    await receiver.until(2)
    assert sorted(receiver.types) == ["avatar.ready", "session.ended"]
    (ready,) = receiver.of_type("avatar.ready")
    assert ready.event["data"]["name"] == "Ann (Look)" and "number" not in ready.event["data"]


async def test_a_photo_that_cannot_become_an_avatar_is_told_with_its_reason(tmp_path: Path, receiver: Receiver) -> None:
    refused: list[NoFace] = []

    async def prepare(image: bytes, out_dir: Path, **_: object) -> None:
        if refused:
            raise refused[0]
        for name in ("pack.npz", "image.jpg", "preview.jpg"):
            (out_dir / name).write_bytes(image)

    async with open_service(tmp_path, prepare=prepare, **LOOPBACK) as service:
        await hook(service, receiver)
        refused.append(NoFace("No face can be seen"))
        answer = await service.client.post(
            "/v1/avatars/upload-face", json={"image_base64": "YSBmYWNl", "name": "Nobody"}
        )
        assert answer.status_code == 400
        (failed,) = await receiver.until(1)
    assert failed.event["type"] == "avatar.failed"
    assert failed.event["data"] == {
        "name": "Nobody",
        "error": {"code": "NO_FACE", "message": "No face can be seen", "suggestion": None},
    }


async def test_events_of_test_keys_go_to_test_webhooks_alone(service: Service) -> None:
    owner = await service.services.accounts.authenticate(service.key)
    _, test_key = await service.services.accounts.create(name="t", test=True, account_id=owner.account_id)
    with receiving() as live, receiving() as test:
        await hook(service, live)
        headers = {"x-api-key": test_key}
        made = await service.client.post("/v1/webhooks", json={"url": test.url}, headers=headers)
        assert made.json()["webhook"]["test"] is True
        body = {"avatar_id": service.look_id}
        assert (await service.client.post("/v1/sessions", json=body, headers=headers)).status_code == 201
        await test.until(1)
        assert (await service.client.post("/v1/sessions", json=body)).status_code == 201
        await live.until(1)
        assert test.received[0].event["data"]["session_id"] != live.received[0].event["data"]["session_id"]
        assert len(live.received) == len(test.received) == 1
        shown = await service.client.get(f"/v1/webhooks/{made.json()['webhook']['webhook_id']}")
        assert shown.json()["error"]["code"] == "WEBHOOK_NOT_FOUND"


async def test_an_own_room_session_that_does_not_start_is_never_told(service: Service, receiver: Receiver) -> None:
    await hook(service, receiver)
    service.fleet.places = 0
    assert (await service.client.post("/v1/sessions", json={"avatar": service.look_id})).status_code == 503
    service.fleet.places = 100
    assert (await service.client.post("/v1/sessions", json={"avatar": service.look_id})).status_code == 201
    await receiver.until(2)
    assert [event["type"] for event in in_order(receiver)] == ["session.created", "session.started"]
    assert len({event["data"]["session_id"] for event in in_order(receiver)}) == 1


# Every one who joins leaves, once


def pairs(receiver: Receiver) -> dict[str, list[str]]:
    """What was told of each viewer, in order."""
    told: dict[str, list[str]] = {}
    for event in in_order(receiver):
        if event["type"].startswith("session.participant_"):
            told.setdefault(event["data"]["viewer_id"], []).append(event["type"].rpartition("_")[2])
    return told


async def test_viewers_who_are_there_at_the_end_leave_before_it(service: Service, receiver: Receiver) -> None:
    await hook(service, receiver)
    session = await create(service)
    performer = service.performer(session["session_id"])
    for count, name in enumerate("abc", start=1):
        performer.emit(ViewerJoined(viewer_id=f"view_{name}", viewers=count))
    performer.emit(ViewerLeft(viewer_id="view_b", viewers=2))
    performer.emit(ViewerLeft(viewer_id="view_never", viewers=2))  # a join that was broken off
    await receiver.until(1, "session.participant_left")
    await end(service, session)
    performer.emit(ViewerLeft(viewer_id="view_a", viewers=0))
    await receiver.until(1, "session.ended")
    await receiver.until(3, "session.participant_left")
    assert pairs(receiver) == {f"view_{name}": ["joined", "left"] for name in "abc"}
    assert in_order(receiver)[-1]["type"] == "session.ended"


async def test_viewers_of_a_lost_stage_leave_and_come_back_as_others(service: Service, receiver: Receiver) -> None:
    await hook(service, receiver)
    session = await create(service)
    performer = service.performer(session["session_id"])
    performer.emit(ViewerJoined(viewer_id="view_a", viewers=1))
    performer.emit(PerformanceMoved(after_s=0.4))
    performer.emit(ViewerLeft(viewer_id="view_a", viewers=0))
    performer.emit(ViewerJoined(viewer_id="view_b", viewers=1))
    await receiver.until(2, "session.participant_joined")
    await end(service, session)
    await receiver.until(1, "session.ended")
    await receiver.until(2, "session.participant_left")
    assert pairs(receiver) == {"view_a": ["joined", "left"], "view_b": ["joined", "left"]}


async def test_viewers_who_came_and_went_while_there_was_no_server_are_told_by_the_next_one(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with open_service(tmp_path, **LOOPBACK) as first:
        await hook(first, receiver)
        session = await create(first)
        performer = first.performer(session["session_id"])
        performer.emit(ViewerJoined(viewer_id="view_a", viewers=1))
        performer.emit(ViewerJoined(viewer_id="view_b", viewers=2))
        await receiver.until(2, "session.participant_joined")
        await let_go(first)
    again, fleet = successor(performer, viewers=("view_b", "view_c"))
    async with open_service(tmp_path, fleet=fleet, **LOOPBACK) as second:
        again.emit(ViewerJoined(viewer_id="view_b", viewers=2))  # the stage gives it again
        again.emit(ViewerLeft(viewer_id="view_a", viewers=1))
        await receiver.until(3, "session.participant_joined")
        await receiver.until(1, "session.participant_left")
        await with_key(second, first).put(f"/v1/sessions/{session['session_id']}/end")
        await receiver.until(1, "session.ended")
        await receiver.until(3, "session.participant_left")
    assert pairs(receiver) == {f"view_{name}": ["joined", "left"] for name in "abc"}


async def test_an_end_that_a_stage_gives_again_is_told_once_but_an_id_may_be_used_twice(
    tmp_path: Path, receiver: Receiver
) -> None:
    finished = PlaybackFinished(utterance_id="u", position_s=1.0, interrupted=False)
    async with open_service(tmp_path, **LOOPBACK) as first:
        await hook(first, receiver)
        session = await create(first)
        performer = first.performer(session["session_id"])
        performer.emit(PlaybackStarted(utterance_id="u"))
        performer.emit(finished)
        await receiver.until(1, "session.utterance_finished")
        assert finished not in performer.acknowledged, "the client has not got it"
        await let_go(first)
    again, fleet = successor(performer)
    async with open_service(tmp_path, fleet=fleet, **LOOPBACK):
        again.emit(PlaybackFinished(utterance_id="u", position_s=1.0, interrupted=False))
        again.emit(PlaybackStarted(utterance_id="u"))
        again.emit(PlaybackFinished(utterance_id="u", position_s=1.0, interrupted=False))
        again.emit(PlaybackFinished(utterance_id="v", position_s=2.0, interrupted=True))
        await receiver.until(3, "session.utterance_finished")
    told = [event["data"]["utterance_id"] for event in in_order(receiver) if "utterance_id" in event["data"]]
    assert told == ["u", "u", "v"]


async def test_an_event_is_acknowledged_when_it_is_in_the_database(service: Service, receiver: Receiver) -> None:
    await hook(service, receiver)
    session = await create(service)
    performer = service.performer(session["session_id"])
    joined = ViewerJoined(viewer_id="view_a", viewers=1)
    async with service.services.webhooks._store._database.write():  # nobody else can write
        performer.emit(joined)
        await anyio.wait_all_tasks_blocked()
        assert joined not in performer.acknowledged
    with anyio.fail_after(10):
        while joined not in performer.acknowledged:  # noqa: ASYNC110 (a list tells nobody)
            await anyio.sleep(0.005)


async def test_each_warning_comes_once_whatever_servers_die(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "WARNINGS_S", (600.0, 300.0))
    async with open_service(tmp_path, **LOOPBACK) as first:
        await hook(first, receiver, events=["session.expiring"])
        await put_on(first, max_session_minutes=10)
        session = await create(first)
        performer = first.performer(session["session_id"])
        await receiver.until(1, "session.expiring")
        await let_go(first)
    for performed_s in (100.0, 301.0, 350.0):
        performer, fleet = successor(performer, performed_s=performed_s)
        async with open_service(tmp_path, fleet=fleet, **LOOPBACK) as following:
            await following.services.live.attach(init(session))
            await let_go(following)
            await receiver.until(1 if performed_s < 300 else 2, "session.expiring")
    lefts = [one.event["data"]["seconds_left"] for one in receiver.received]
    assert lefts[0] == 600 and len(lefts) == 2 and lefts[1] <= 299
