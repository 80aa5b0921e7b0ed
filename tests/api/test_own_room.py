"""The own-room dialect over the embedded room."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import func, select

from tests.accounts.test_plans import put_on_plan
from tests.api.test_output import png
from tests.api.test_session_lifecycle import TIME, ordered
from tests.conftest import Service, open_service
from tests.fakes import fake_prepare
from visavis.engine.portrait.points import SevenPoints
from visavis.errors import PerformerLost
from visavis.rooms.spec import DailyRoomSpec, LiveKitRoomSpec
from visavis.store.models import avatars, sessions

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
            "room": (shown := {"url": f"http://visavis.test/rooms/{room['name']}", **room}),
        },
        "room": shown,
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


def files_of(service: Service) -> set[Path]:
    folder = service.services.settings.data_dir
    return {path for name in ("avatars", "sessions") for path in (folder / name).rglob("*") if path.is_file()}


async def rows_of(service: Service) -> list[int]:
    async with service.services.sessions._store._database.read() as connection:
        return [
            (await connection.execute(select(func.count()).select_from(one))).scalar_one()
            for one in (avatars, sessions)
        ]


@pytest.mark.parametrize("reason", ["no place", "no minutes", "no machine answers"])
async def test_nothing_is_left_of_a_session_that_found_no_performer(service: Service, reason: str) -> None:
    if reason == "no place":
        service.fleet.places = 0
    elif reason == "no minutes":
        await put_on_plan(service, included_minutes=0)
    else:
        service.fleet.failure = PerformerLost("The stage is gone")
    files, rows = files_of(service), await rows_of(service)
    image = base64.b64encode(b"a face of more than a few letters" * 10).decode()
    for avatar in (service.look_id, image, f"data:image/png;base64,{image}"):
        body = {"avatar": avatar, "output": {"background": {"type": "image", "image": png()}}}
        assert (await service.client.post("/v1/sessions", json=body)).status_code in (402, 503)
    assert (await service.client.get("/v1/sessions")).json()["sessions"] == []
    assert len((await service.client.get("/v1/avatars?view=flat")).json()["my_avatars"]) == 1
    assert (files_of(service), await rows_of(service)) == (files, rows)


async def test_a_photo_is_not_prepared_for_a_session_that_could_not_start(tmp_path: Path) -> None:
    prepared: list[bytes] = []

    async def prepare(image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
        prepared.append(image)
        await fake_prepare(image, out_dir, points=points)

    async with open_service(tmp_path, prepare=prepare) as service:
        await put_on_plan(service, included_minutes=0)
        answer = await service.client.post("/v1/sessions", json={"avatar": "data:image/png;base64,YSBmYWNl"})
        assert answer.status_code == 402
    assert prepared == [b"a face"]


async def test_a_create_that_is_cancelled_when_its_session_has_started_ends_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = service.services.live
    start = live.start

    async def start_and_break(*arguments: Any, **named: Any) -> Any:
        await start(*arguments, **named)
        raise RuntimeError("the request is gone")

    monkeypatch.setattr(live, "start", start_and_break)
    with structlog.testing.capture_logs():
        assert (await service.client.post("/v1/sessions", json={"avatar": service.look_id})).status_code == 500
    (session,) = (await service.client.get("/v1/sessions")).json()["sessions"]
    assert session["status"] == "ended" and service.performer(session["session_id"]).ended


BAD_CREATES: list[tuple[dict[str, Any], int, str]] = [
    ({"avatar": "avat_00000000000000000000000000"}, 404, "AVATAR_NOT_FOUND"),
    ({"avatar": 5}, 400, "AVATAR_REQUIRED"),
    ({"room": {"platform": "embedded"}}, 400, "AVATAR_REQUIRED"),
    ({"avatar": "LOOK", "aspect_ratio": "2:1"}, 400, "INVALID_ASPECT_RATIO"),
    ({"avatar": "LOOK", "aspect_ratio": 1}, 400, "INVALID_ASPECT_RATIO"),
    ({"avatar": "LOOK", "room": {"platform": "zoom"}}, 400, "INVALID_ROOM_PLATFORM"),
    ({"avatar": "LOOK", "room": []}, 400, "INVALID_ROOM_PLATFORM"),
    ({"avatar": "LOOK", "room": {"platform": "zoom", "hold_for_viewer_s": 5}}, 400, "INVALID_ROOM_PLATFORM"),
    ({"avatar": "LOOK", "room": {"platform": "proxy", "hold_for_viewer_s": 5}}, 400, "INVALID_REQUEST"),
    ({"avatar": "LOOK", "room": {"platform": "embedded", "hold_for_viewer_s": 5}}, 400, "INVALID_REQUEST"),
    (
        {"avatar": "LOOK", "room": {"platform": "daily", "url": "https://x", "token": "y"}},
        400,
        "ROOM_PLATFORM_UNAVAILABLE",
    ),
    ({"avatar": "LOOK", "metadata": []}, 400, "INVALID_METADATA"),
    ({"avatar": "data:image/png;base64,***"}, 400, "IMAGE_UNREADABLE"),
    ({"avatar": "http://127.0.0.1/a.jpg"}, 400, "IMAGE_URL_REFUSED"),
]


async def test_a_bad_create_is_refused(service: Service) -> None:
    for bad, status, code in BAD_CREATES:
        body = {name: service.look_id if value == "LOOK" else value for name, value in bad.items()}
        answer = await service.client.post("/v1/sessions", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), bad
        assert (await service.client.get("/v1/sessions")).json()["sessions"] == [], bad


async def test_the_first_speech_in_a_livekit_room_may_wait_for_a_user(service: Service) -> None:
    room = {"platform": "livekit", "url": "wss://livekit.example.com", "token": "eyJ"}
    for wrong in (0, -1, 60.5, "5", True, [5]):
        body = {"avatar": service.look_id, "room": room | {"hold_for_viewer_s": wrong}}
        refused = await service.client.post("/v1/sessions", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_REQUEST"), wrong
    for given, hold_s in (({}, None), ({"hold_for_viewer_s": None}, None), ({"hold_for_viewer_s": 5}, 5.0)):
        answer = await service.client.post("/v1/sessions", json={"avatar": service.look_id, "room": room | given})
        assert answer.status_code == 201, answer.text
        spec = service.performer(answer.json()["session"]["session_id"]).spec.room
        assert isinstance(spec, LiveKitRoomSpec) and spec.hold_for_viewer_s == hold_s


async def test_a_session_in_a_daily_room_of_the_callers(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.api.sessions.daily_is_installed", lambda: True)
    room = {"platform": "daily", "url": "https://visavis.daily.co/hello", "token": "a meeting token"}
    answer = await service.client.post("/v1/sessions", json={"avatar": service.look_id, "room": room})
    assert answer.status_code == 201, answer.text
    session = answer.json()["session"]
    assert "room" not in answer.json() and "room" not in session
    spec = service.performer(session["session_id"]).spec.room
    assert spec == DailyRoomSpec(url=room["url"], token=room["token"])
    for wrong in (
        {"url": "https://visavis.daily.co"},
        {"url": "http://visavis.daily.co/hello"},
        {"url": "https://daily.co.example.org/hello"},
        {"url": "https://user@visavis.daily.co/hello"},
        {"url": None},
        {"token": ""},
        {"token": None},
    ):
        refused = await service.client.post("/v1/sessions", json={"avatar": service.look_id, "room": room | wrong})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_REQUEST"), wrong
