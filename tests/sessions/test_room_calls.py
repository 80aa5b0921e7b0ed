"""What the service does for the agent in a LiveKit room: it changes the output, and tells what becomes of it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.conftest import Service
from tests.fakes import FakePerformer
from visavis.stage.port.events import RoomCalled, RoomEnded
from visavis.stage.port.messages import AnswerCall

pytestmark = pytest.mark.anyio

ROOM = {"platform": "livekit", "url": "wss://livekit.example.com", "token": "eyJ"}


async def started(service: Service, **members: Any) -> tuple[str, FakePerformer]:
    body = {"avatar": service.look_id, "room": ROOM, **members}
    answer = (await service.client.post("/v1/sessions", json=body)).json()
    session_id: str = answer["session"]["session_id"]
    return session_id, service.performer(session_id)


async def answers(performer: FakePerformer, count: int) -> list[AnswerCall]:
    with anyio.fail_after(5):
        while len(performer.answers) < count:  # noqa: ASYNC110  # the fake has no event for it
            await anyio.sleep(0.001)
    return performer.answers


async def test_the_agent_changes_what_the_avatar_shows(service: Service) -> None:
    _, performer = await started(service)
    performer.emit(RoomCalled(call_id="a", method="visavis.output", payload='{"emotion": "happy"}'))
    (answer,) = await answers(performer, 1)
    assert answer.call_id == "a" and '"name": "happy"' in answer.payload and not answer.problem
    assert performer.output.mood.happy == 1.0


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("", "INVALID_JSON"),
        ("[" * 100, "INVALID_JSON"),
        ("[]", "INVALID_OUTPUT"),
        ('{"emotion": "bored"}', "INVALID_EMOTION"),
        ('{"framing": {"zoom": 9}}', "INVALID_FRAMING"),
        ('{"background": {"type": "image", "image": "http://127.0.0.1/x.jpg"}}', "INVALID_BACKGROUND"),
    ],
)
async def test_a_wrong_output_is_refused_and_nothing_changes(service: Service, payload: str, code: str) -> None:
    _, performer = await started(service)
    before = performer.output
    performer.emit(RoomCalled(call_id="a", method="visavis.output", payload=payload))
    (answer,) = await answers(performer, 1)
    assert (answer.call_id, answer.code) == ("a", code) and answer.problem
    assert performer.output == before


async def test_the_room_is_told_the_end_and_its_reason(service: Service) -> None:
    session_id, performer = await started(service)
    await service.client.post(f"/v1/sessions/{session_id}/end")
    assert performer.told == [("ended", "ended_by_client", None)]
    session_id, performer = await started(service)
    performer.emit(RoomEnded(end="agent_left"))
    with anyio.fail_after(5):
        while not performer.told:  # noqa: ASYNC110
            await anyio.sleep(0.001)
    assert performer.told == [("ended", "agent_left", None)]


async def test_the_room_is_told_before_the_session_expires(service: Service) -> None:
    _, performer = await started(service, options={"max_duration": 10})  # the warning of 60 s is due at once
    with anyio.fail_after(5):
        while not performer.told:  # noqa: ASYNC110
            await anyio.sleep(0.001)
    state, reason, seconds_left = performer.told[0]
    assert (state, reason) == ("expiring", "expired") and seconds_left is not None and seconds_left <= 10


async def test_a_room_of_this_server_is_told_nothing(service: Service) -> None:
    body = {"avatar": service.look_id, "options": {"max_duration": 10}}
    session_id = (await service.client.post("/v1/sessions", json=body)).json()["session"]["session_id"]
    await service.client.post(f"/v1/sessions/{session_id}/end")
    assert service.performer(session_id).told == []
