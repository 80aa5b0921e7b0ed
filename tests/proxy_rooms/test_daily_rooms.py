"""Daily rooms of hosted sessions: over a real HTTP server that answers as Daily's REST API is documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import jwt
import pytest

from tests.conftest import Service, open_service
from tests.proxy_rooms.daily_api import DOMAIN, KEY, DailyApi, daily_api
from visavis.channel.port import SessionInit
from visavis.errors import InvalidRoomUrl, RoomPlatformUnavailable, RoomUnreachable, Unauthorized
from visavis.proxy_rooms.daily import PAGE, DailyKey, DailyServer
from visavis.proxy_rooms.daily_rooms import DailyRoomDoor, DailyRooms, DoorSeal
from visavis.rooms.spec import DailyRoomSpec

pytestmark = pytest.mark.anyio

ONE, TWO = "vv-" + "1" * 20, "vv-" + "2" * 20


class Sessions:
    def __init__(self, **statuses: str) -> None:
        self.statuses = statuses

    async def statuses_by_room(self, room_names: Any) -> dict[str, str]:
        return {name: status for name, status in self.statuses.items() if name in room_names}


@pytest.fixture(scope="module")
def running_api() -> Iterator[DailyApi]:
    with daily_api() as api:
        yield api


@pytest.fixture
def api(running_api: DailyApi) -> DailyApi:
    running_api.rooms.clear()
    running_api.tokens.clear()
    running_api.calls.clear()
    running_api.mode = "answers"
    return running_api


def settings(api: DailyApi, **more: Any) -> dict[str, Any]:
    return {"room_provider": "daily", "daily_api_key": KEY, "daily_api_url": api.url, **more}


async def create(service: Service) -> httpx.Response:
    return await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})


async def until_gone(api: DailyApi, names: set[str]) -> None:
    with anyio.fail_after(10):
        while set(api.rooms) & names:  # noqa: ASYNC110  # another task deletes them over HTTP
            await anyio.sleep(0.01)


def init(session: dict[str, Any], url: str, token: str) -> SessionInit:
    return SessionInit(
        session_id=session["session_id"],
        token=session["access_token"],
        hosted=True,
        room_platform="daily",
        room_url=url,
        room_token=token,
    )


async def test_a_hosted_session_has_a_private_daily_room_which_ends_with_it(api: DailyApi, tmp_path: Path) -> None:
    async with open_service(tmp_path, **settings(api)) as service:
        session = (await create(service)).json()["session"]
        room = session["daily_room"]
        (name,) = api.rooms
        assert (room["url"], room["name"]) == (f"{DOMAIN}/{name}", name)
        assert api.rooms[name]["privacy"] == "private" and api.rooms[name]["properties"]["eject_at_room_exp"]
        assert jwt.decode(room["token"], KEY, algorithms=["HS256"]) == {"r": name, "o": False}

        started = await service.client.put(f"/v1/sessions/{session['session_id']}/start")
        assert started.status_code == 200, started.text
        spec = service.performer(session["session_id"]).spec.room
        assert isinstance(spec, DailyRoomSpec) and spec.url == room["url"] and spec.name == "Professional Avatar (Look)"
        assert jwt.decode(spec.token, KEY, algorithms=["HS256"]) == {"r": name, "o": True}
        assert [one.get("user_name") for one in api.tokens] == [None, "Professional Avatar (Look)"]

        live = service.services.live
        for url, token, kind in (
            ("https://visavis.daily.co/another", room["token"], InvalidRoomUrl),
            (f"http://visavis.test/rooms/{name}", room["token"], InvalidRoomUrl),
            (room["url"], spec.token, Unauthorized),
            (room["url"], "", Unauthorized),
        ):
            with pytest.raises(kind):
                await live.attach(init(session, url, token))
        await live.attach(init(session, room["url"] + "/", room["token"]))
        assert service.performer(session["session_id"]).name == ""
        await live.attach(replace(init(session, room["url"], room["token"]), display_name="AI Avatar (AH)"))
        assert service.performer(session["session_id"]).name == "AI Avatar (AH)"

        await service.client.put(f"/v1/sessions/{session['session_id']}/end")
        await until_gone(api, {name})
        shown = (await service.client.get(f"/v1/sessions/{session['session_id']}")).json()["session"]
        assert shown["daily_room"] == room


async def test_a_session_that_is_deleted_or_not_created_leaves_no_room(api: DailyApi, tmp_path: Path) -> None:
    async with open_service(tmp_path, **settings(api, max_created_sessions_per_account=1)) as service:
        session = (await create(service)).json()["session"]
        refused = await create(service)
        assert refused.status_code == 429 and len(api.rooms) == 1
        assert (await service.client.delete(f"/v1/sessions/{session['session_id']}")).status_code == 200
        await until_gone(api, set(api.rooms))


def bytes_below(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def test_the_callers_token_is_encrypted_in_the_database(api: DailyApi, tmp_path: Path) -> None:
    async with open_service(tmp_path, **settings(api)) as service:
        created = (await create(service)).json()["session"]
        shown = (await service.client.get(f"/v1/sessions/{created['session_id']}")).json()["session"]
        assert shown["daily_room"] == created["daily_room"]
        (listed,) = (await service.client.get("/v1/sessions")).json()["sessions"]
        assert listed["daily_room"] == created["daily_room"]
    kept = bytes_below(tmp_path)
    assert created["daily_room"]["name"].encode() in kept
    assert created["daily_room"]["token"].encode() not in kept


def test_a_door_that_an_earlier_build_has_kept_in_clear_is_read() -> None:
    door = DailyRoomDoor(url=f"{DOMAIN}/{ONE}", token="t")
    assert DoorSeal(b"secret").open({"url": door.url, "token": "t"}) == door
    assert DoorSeal(b"secret").open(DoorSeal(b"secret").seal(door)) == door


async def test_own_rooms_stay_with_this_server(api: DailyApi, tmp_path: Path) -> None:
    async with open_service(tmp_path, **settings(api)) as service:
        created = await service.client.post("/v1/sessions", json={"avatar": service.look_id})
        assert created.json()["room"]["url"].startswith("http://visavis.test/rooms/") and api.rooms == {}


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("limits", "Daily answered 429: "),
        ("breaks", "Daily answered 500: "),
        ("rambles", "Daily answered 200: "),
    ],
)
async def test_what_is_wrong_with_daily_is_told_and_leaves_no_session(
    api: DailyApi, tmp_path: Path, mode: str, told: str
) -> None:
    async with open_service(tmp_path, **settings(api)) as service:
        api.mode = mode
        refused = await create(service)
        assert refused.status_code == 503 and refused.json()["error"]["code"] == "ROOM_UNREACHABLE"
        assert refused.json()["error"]["message"].startswith(told)
        assert (await service.client.get("/v1/sessions")).json()["sessions"] == []


async def test_a_wrong_key_and_a_daily_that_is_away(api: DailyApi, tmp_path: Path) -> None:
    async with open_service(tmp_path, **settings(api, daily_api_key="wrong")) as service:
        error = (await create(service)).json()["error"]
        assert error["message"] == "Daily does not admit the key of this service"
        assert error["suggestion"] == "Have the operator check VISAVIS_DAILY_API_KEY"
    away = DailyServer(DailyKey(url="http://127.0.0.1:9/v1", api_key=KEY))
    with pytest.raises(RoomUnreachable, match="Daily cannot be reached"):
        await away.create(ONE)
    await away.aclose()


async def test_a_room_whose_token_fails_is_deleted_and_a_session_starts_only_with_the_key(api: DailyApi) -> None:
    rooms = DailyRooms(api.server(), Sessions(), b"secret", carry_hosted=True)

    async def fail(*_: object, **__: object) -> str:
        raise RoomUnreachable("no token")

    assert rooms._server is not None
    rooms._server.token = fail  # type: ignore[method-assign]
    with pytest.raises(RoomUnreachable):
        await rooms.make(ONE)
    assert set(api.rooms) == {ONE}
    await rooms.kept.aclose()
    assert api.rooms == {}
    door = DailyRoomDoor(url=f"{DOMAIN}/{ONE}", token="t")
    with pytest.raises(RoomPlatformUnavailable) as lacking:
        await DailyRooms(None, Sessions(), b"secret", carry_hosted=False).spec(ONE, door, avatar_name="Iris")
    assert lacking.value.suggestion == "Have the operator set VISAVIS_DAILY_API_KEY"


async def test_the_rooms_that_a_killed_server_has_left_are_found_on_every_page(api: DailyApi) -> None:
    server = api.server()
    for name in (ONE, *(f"theirs-{number}" for number in range(PAGE + 5)), TWO):
        api.rooms[name] = {"name": name, "privacy": "private", "properties": {}}
    unknown = "vv-" + "3" * 20  # of another Visavis on the same domain
    api.rooms[unknown] = api.rooms[TWO]
    rooms = DailyRooms(server, Sessions(**{ONE: "ended", TWO: "started"}), b"secret", carry_hosted=True)
    await rooms.kept.delete_left()
    assert ONE not in api.rooms and TWO in api.rooms and unknown in api.rooms
    assert api.calls.count("GET rooms") == 2
    rooms.kept.release(TWO)  # a session that the server has gone on with
    await rooms.kept.aclose()
    assert TWO not in api.rooms and len(api.rooms) == PAGE + 6
    assert json.dumps(api.calls).count("DELETE") == 2
