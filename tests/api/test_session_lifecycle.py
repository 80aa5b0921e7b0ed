"""A session from create to end over HTTP, in the hosted-room dialect: exact bodies, key order included."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conftest import Service

pytestmark = pytest.mark.anyio

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


async def create(service: Service, **body: Any) -> dict[str, Any]:
    answer = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def ordered(value: Any) -> Any:
    """Like the value, but equal only to one whose objects have their keys in the same order."""
    if isinstance(value, dict):
        return [(name, ordered(inner)) for name, inner in value.items()]
    return [ordered(inner) for inner in value] if isinstance(value, list) else value


async def test_create_answers_the_published_shape(service: Service) -> None:
    answer = await create(service, metadata={"user_name": "John Doe"})
    session = answer["session"]
    assert re.fullmatch("sess_[0-9A-Z]{26}", session["session_id"])
    assert TIME.fullmatch(session["created_at"])
    assert len(session["access_token"]) >= 32
    room = session["daily_room"]
    picture, _, signature = session["avatar"]["url"].partition("?")
    assert picture == f"http://visavis.test/media/avatars/{service.look_id}/image.jpg" and signature
    expected = {
        "success": True,
        "session": {
            "session_id": session["session_id"],
            "avatar": {
                "avatar_id": service.look_id,
                "name": "Professional Avatar (Look)",
                "url": session["avatar"]["url"],
            },
            "session_type": "webrtc_video",
            "status": "created",
            "access_token": session["access_token"],
            "started_at": None,
            "ended_at": None,
            "expiration": None,
            "daily_room": {
                "url": f"http://visavis.test/rooms/{room['name']}",
                "name": room["name"],
                "token": room["token"],
            },
            "created_at": session["created_at"],
            "metadata": {"user_name": "John Doe"},
        },
        "usage": {"concurrency": {"current": 0, "max": None, "available": None}, "minutes": {"total_remaining": None}},
        "message": "Session created successfully",
    }
    assert ordered(answer) == ordered(expected)


async def test_get_answers_the_founding_document_in_all_three_states(service: Service) -> None:
    created = (await create(service, metadata={"custom_field": "any value"}))["session"]
    url = f"/v1/sessions/{created['session_id']}"
    expected = {name: value for name, value in created.items() if name != "access_token"}
    order = [
        "session_id",
        "avatar",
        "session_type",
        "status",
        "started_at",
        "ended_at",
        "expiration",
        "duration",
        "daily_room",
        "created_at",
        "metadata",
    ]
    expected = {name: expected.get(name) for name in order}

    assert ordered((await service.client.get(url)).json()) == ordered({"success": True, "session": expected})

    await service.client.put(url + "/start")
    started = (await service.client.get(url)).json()["session"]
    assert TIME.fullmatch(started["started_at"])
    assert ordered(started) == ordered(expected | {"status": "started", "started_at": started["started_at"]})

    await service.client.put(url + "/end")
    ended = (await service.client.get(url)).json()["session"]
    assert TIME.fullmatch(ended["ended_at"])
    assert ordered(ended) == ordered(
        started | {"status": "ended", "ended_at": ended["ended_at"], "duration": ended["duration"]}
    )
    assert isinstance(ended["duration"], int)


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_start_answers_the_channel_address_and_again_the_same(service: Service, method: str) -> None:
    session_id = (await create(service))["session"]["session_id"]
    first = await service.client.request(method, f"/v1/sessions/{session_id}/start")
    again = await service.client.request(method, f"/v1/sessions/{session_id}/start")
    expected = {
        "success": True,
        "ws_uri": f"ws://visavis.test/v1/channel/{session_id}",
        "expiration": None,
        "message": "Session started successfully",
    }
    assert first.status_code == again.status_code == 200
    assert ordered(first.json()) == ordered(again.json()) == ordered(expected)
    assert service.fleet.allocations == 1


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_second_end_answers_the_first(service: Service, method: str) -> None:
    session = (await create(service))["session"]
    url = f"/v1/sessions/{session['session_id']}"
    await service.client.put(url + "/start")
    first = await service.client.request(method, url + "/end")
    again = await service.client.request(method, url + "/end")
    shape = first.json()["session"]
    expected = {
        "success": True,
        "session": {
            "session_id": session["session_id"],
            "avatar": session["avatar"],
            "session_type": "webrtc_video",
            "status": "ended",
            "started_at": shape["started_at"],
            "ended_at": shape["ended_at"],
            "created_at": session["created_at"],
        },
        "message": "Session ended successfully",
    }
    assert ordered(first.json()) == ordered(again.json()) == ordered(expected)
    assert TIME.fullmatch(shape["ended_at"])
    assert service.performer(session["session_id"]).ended
