"""The own-room dialect over the embedded room."""

from __future__ import annotations

import base64

import pytest

from tests.api.test_session_lifecycle import TIME, ordered
from tests.conftest import Service

pytestmark = pytest.mark.anyio


async def test_create_starts_at_once_and_answers_its_own_shape(service: Service) -> None:
    answer = await service.client.post(
        "/v1/sessions", json={"avatar": service.look_id, "aspect_ratio": "3:4", "metadata": {"a": "b"}}
    )
    assert answer.status_code == 201
    body = answer.json()
    session, room = body["session"], body["room"]
    expected = {
        "success": True,
        "session": {
            "session_id": session["session_id"],
            "status": "started",
            "session_token": session["session_token"],
            "started_at": session["started_at"],
            "ended_at": None,
            "expiration": None,
            "metadata": {"a": "b"},
            "aspect_ratio": "3:4",
        },
        "room": {"url": f"http://visavis.test/rooms/{room['name']}", "name": room["name"], "token": room["token"]},
        "usage": {"concurrency": {"current": 1, "max": None, "available": None}, "minutes": {"total_remaining": None}},
        "message": "Session created successfully",
    }
    assert ordered(body) == ordered(expected)
    assert TIME.fullmatch(session["started_at"])
    assert service.performer(session["session_id"]).size_px == (960, 1280)


async def test_get_and_end_answer_in_the_dialect(service: Service) -> None:
    session = (
        await service.client.post("/v1/sessions", json={"avatar": service.look_id, "room": {"platform": "embedded"}})
    ).json()["session"]
    url = f"/v1/sessions/{session['session_id']}"
    live = (await service.client.get(url)).json()["session"]
    assert list(live) == ["session_id", "status", "started_at", "ended_at", "expiration", "duration", "metadata"]
    assert isinstance(live["duration"], int)
    ended = [
        (await service.client.request(method, url + "/end", content=b"not json")).json() for method in ("POST", "PUT")
    ]
    assert ended[0] == ended[1]
    assert list(ended[0]) == ["success", "session"]
    assert list(ended[0]["session"]) == ["session_id", "status", "started_at", "ended_at"]
    after = (await service.client.get(url)).json()["session"]
    assert list(after) == [*live, "billing"]
    assert after["billing"] == {"minutes": 1, "included_minutes": 1, "purchased_minutes": 0}


async def test_an_image_becomes_an_avatar_first(service: Service) -> None:
    image = base64.b64encode(b"a face of more than a few letters" * 10).decode()
    for text in (f"data:image/png;base64,{image}", image):
        assert (await service.client.post("/v1/sessions", json={"avatar": text})).status_code == 201
    assert len((await service.client.get("/v1/avatars?view=flat")).json()["my_avatars"]) == 3


async def test_a_character_stands_for_its_look(service: Service) -> None:
    character = (await service.client.get("/v1/avatars")).json()["avatars"][0]["avatar_id"]
    answer = await service.client.post("/v1/sessions", json={"avatar": character})
    assert service.performer(
        answer.json()["session"]["session_id"]
    ).spec.pack == await service.services.avatars.pack_ref(service.look_id)


async def test_nothing_is_left_of_a_session_that_found_no_performer(service: Service) -> None:
    service.fleet.places = 0
    assert (await service.client.post("/v1/sessions", json={"avatar": service.look_id})).status_code == 503
    assert (await service.client.get("/v1/sessions?status=started")).json()["sessions"] == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"avatar": "avat_00000000000000000000000000"}, 404, "AVATAR_NOT_FOUND"),
        ({"avatar": 5}, 400, "AVATAR_REQUIRED"),
        ({"room": {"platform": "embedded"}}, 400, "AVATAR_REQUIRED"),
        ({"avatar": "LOOK", "aspect_ratio": "2:1"}, 400, "INVALID_ASPECT_RATIO"),
        ({"avatar": "LOOK", "aspect_ratio": 1}, 400, "INVALID_ASPECT_RATIO"),
        ({"avatar": "LOOK", "room": {"platform": "zoom"}}, 400, "INVALID_ROOM_PLATFORM"),
        ({"avatar": "LOOK", "room": []}, 400, "INVALID_ROOM_PLATFORM"),
        (
            {"avatar": "LOOK", "room": {"platform": "livekit", "url": "wss://x", "token": "y"}},
            400,
            "ROOM_PLATFORM_UNAVAILABLE",
        ),
        ({"avatar": "LOOK", "metadata": []}, 400, "INVALID_METADATA"),
        ({"avatar": "data:image/png;base64,***"}, 400, "IMAGE_UNREADABLE"),
        ({"avatar": "http://127.0.0.1/a.jpg"}, 400, "IMAGE_URL_REFUSED"),
    ],
)
async def test_a_bad_create_is_refused(service: Service, body: dict[str, object], status: int, code: str) -> None:
    body = {name: service.look_id if value == "LOOK" else value for name, value in body.items()}
    answer = await service.client.post("/v1/sessions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert (await service.client.get("/v1/sessions")).json()["sessions"] == []
