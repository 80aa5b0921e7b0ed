"""Which proxy rooms are deleted and when, against a LiveKit server's API in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import jwt
import pytest
import structlog.testing

from tests.proxy_rooms.double import KEY, LiveKitDouble
from visavis.errors import RoomPlatformUnavailable, RoomUnreachable
from visavis.proxy_rooms.rooms import ProxyRooms

pytestmark = pytest.mark.anyio

SECRET = b"the secret of a service"
ONE, TWO, THREE, FOUR = (f"vv-{number * 20}" for number in "1234")


class Sessions:
    def __init__(self, **statuses: str) -> None:
        self.statuses = statuses

    async def statuses_by_room(self, room_names: Collection[str]) -> dict[str, str]:
        return {name: status for name, status in self.statuses.items() if name in room_names}


@asynccontextmanager
async def running(rooms: ProxyRooms) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rooms.kept.run)
        yield
        tasks.cancel_scope.cancel()
    await rooms.kept.aclose()


async def until(double: LiveKitDouble, names: set[str]) -> None:
    with anyio.fail_after(5):
        while set(double.rooms) != names:
            await anyio.lowlevel.checkpoint()


async def test_a_room_is_made_for_a_session_and_deleted_after_it() -> None:
    double = LiveKitDouble()
    rooms = ProxyRooms(double.server(), Sessions(), SECRET)
    spec = await rooms.open(ONE, avatar_name="Iris")
    await rooms.open(TWO, avatar_name="Iris")
    claims = jwt.decode(spec.token, KEY.api_secret, algorithms=["HS256"])
    assert (spec.url, spec.ends_by_silence) == (KEY.url, True)
    assert (claims["sub"], claims["name"], claims["kind"]) == ("agenthuman-avatar-agent", "Iris", "agent")
    assert claims["attributes"] == {"lk.publish_on_behalf": "caller"} and claims["video"]["room"] == ONE
    double.rooms |= {"theirs": ""}
    sessions_of_others = Sessions(**{ONE: "started", TWO: "started"})
    rooms.kept._sessions = sessions_of_others
    async with running(rooms):
        rooms.kept.release(ONE)
        rooms.kept.release("vv-of another session")
        await until(double, {TWO, "theirs"})


async def test_the_callers_token_opens_its_room_alone_and_for_a_day() -> None:
    door = ProxyRooms(LiveKitDouble().server(), Sessions(), SECRET).door(ONE)
    claims = jwt.decode(door.token, KEY.api_secret, algorithms=["HS256"])
    assert door.url == KEY.url and claims["sub"] == "caller" and claims["exp"] - claims["nbf"] < 86_400 + 60
    assert claims["video"] == {
        "roomJoin": True,
        "room": ONE,
        "canPublish": True,
        "canSubscribe": True,
        "canPublishData": True,
    }


async def test_the_rooms_that_a_killed_server_has_left_are_deleted_and_no_others() -> None:
    double = LiveKitDouble()
    before = ProxyRooms(double.server(), Sessions(), SECRET)
    for name in (ONE, TWO, THREE):
        await before.open(name, avatar_name="Iris")
    # FOUR is of another Visavis on the same LiveKit server.
    await ProxyRooms(double.server(), Sessions(), b"another secret").open(FOUR, avatar_name="Iris")
    double.rooms["vv-lookalike"] = double.rooms[ONE]
    after = ProxyRooms(double.server(), Sessions(**{ONE: "ended", TWO: "started"}), SECRET)
    async with running(after):
        await until(double, {TWO, FOUR, "vv-lookalike"})
        after.kept.release(TWO)  # a session that the server has gone on with
        await until(double, {FOUR, "vv-lookalike"})


async def test_a_deletion_that_fails_is_made_up_for() -> None:
    double = LiveKitDouble()
    rooms = ProxyRooms(double.server(), Sessions(), SECRET)
    await rooms.open(ONE, avatar_name="Iris")
    double.mode = "away"
    with structlog.testing.capture_logs() as logs:
        rooms.kept.release(ONE)
        await rooms.kept._delete_released()
        assert set(double.rooms) == {ONE} and logs[0]["event"] == "room_not_deleted"
    double.mode = "answers"
    await rooms.kept.aclose()
    assert double.rooms == {}


@pytest.mark.parametrize(
    ("ahead_s", "named"), [(-29, None), (30, None), (-95, "s behind this server's"), (600, "s ahead of this server's")]
)
async def test_tokens_hold_in_spite_of_half_a_minute_between_the_clocks_and_more_is_named(
    ahead_s: int, named: str | None
) -> None:
    double = LiveKitDouble(ahead_s=ahead_s)
    rooms = ProxyRooms(double.server(), Sessions(), SECRET)
    if named is None:
        await rooms.open(ONE, avatar_name="Iris")
        assert set(double.rooms) == {ONE}
        return
    with pytest.raises(RoomUnreachable, match="does not admit its key") as refused:
        await rooms.open(ONE, avatar_name="Iris")
    assert refused.value.suggestion is not None and named in refused.value.suggestion


async def test_what_is_wrong_with_the_server_is_a_typed_error() -> None:
    double = LiveKitDouble(mode="away")
    rooms = ProxyRooms(double.server(), Sessions(), SECRET)
    with pytest.raises(RoomUnreachable, match="cannot be reached: All connection attempts failed"):
        await rooms.open(ONE, avatar_name="Iris")
    double.mode = "refuses"
    with pytest.raises(RoomUnreachable, match="does not admit its key") as refused:
        await rooms.open(ONE, avatar_name="Iris")
    assert refused.value.suggestion is not None and "VISAVIS_LIVEKIT_API_SECRET" in refused.value.suggestion
    with pytest.raises(RoomPlatformUnavailable) as lacking:
        await ProxyRooms(None, Sessions(), SECRET).open(ONE, avatar_name="Iris")
    assert lacking.value.suggestion is not None and "VISAVIS_LIVEKIT_URL" in lacking.value.suggestion
