"""The avatar in a Daily room, on a double of daily-python: joining, media, people, and how a room is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import numpy as np
import pytest

from tests.rooms.daily.module import daily
from tests.rooms.media import Feed, RecordedEvents
from visavis.errors import RoomPlatformUnavailable, RoomRefused, RoomUnreachable, VisavisError
from visavis.rooms.daily import library, room
from visavis.rooms.daily.ends import join_error, room_end
from visavis.rooms.daily.library import Library
from visavis.rooms.daily.room import DailyRoom
from visavis.rooms.port import RawPicture
from visavis.rooms.spec import DailyRoomSpec

pytestmark = pytest.mark.anyio

URL, TOKEN = "https://visavis.daily.co/hello", "a meeting token"
LIBRARY = cast(Library, daily)


@pytest.fixture
def meeting() -> daily.Meeting:
    daily.devices.clear()
    daily.meetings.clear()
    meeting = daily.meetings[URL] = daily.Meeting(token=TOKEN)
    return meeting


@pytest.fixture
def events() -> RecordedEvents:
    return RecordedEvents()


async def join(events: RecordedEvents, *, token: str = TOKEN, name: str = "Iris") -> DailyRoom:
    spec = DailyRoomSpec(url=URL, token=token, name=name)
    return await DailyRoom.open(spec, events, size_px=(64, 48), library=LIBRARY)


@pytest.fixture
async def joined(meeting: daily.Meeting, events: RecordedEvents) -> AsyncIterator[DailyRoom]:
    opened = await join(events)
    yield opened
    await opened.aclose()
    assert meeting.clients == []


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # threads of a library tell no event
            await asyncio.sleep(0.005)


async def test_the_avatar_joins_with_its_name_hears_nobody_and_publishes(
    joined: DailyRoom, meeting: daily.Meeting, events: RecordedEvents
) -> None:
    (client,) = meeting.clients
    assert client.name == "Iris" and client.profiles["base"] == {"camera": "unsubscribed", "microphone": "unsubscribed"}
    assert client.inputs["microphone"]["settings"]["customConstraints"]["noiseSuppression"] == {"exact": False}
    feed = Feed(joined, events)
    await feed.until(lambda: client.camera.frames >= 5)
    assert (client.camera.width, client.camera.height) == (64, 48)
    assert client.microphone.sample_rate == 48_000 and client.microphone.samples % 960 == 0
    assert client.camera.greys == sorted(client.camera.greys)
    assert events.first_frames == 1 and events.newest_sent > 0


async def test_the_name_can_be_changed(joined: DailyRoom, meeting: daily.Meeting) -> None:
    joined.show_name("AI Avatar (AH)")
    await until(lambda: meeting.clients[0].name == "AI Avatar (AH)")
    await joined.aclose()
    joined.show_name("Nobody")  # a session that ends meanwhile: no effect, no error


async def test_another_size_is_another_camera(
    joined: DailyRoom, meeting: daily.Meeting, events: RecordedEvents
) -> None:
    (client,) = meeting.clients
    await Feed(joined, events).until(lambda: client.camera.frames >= 2)
    before = client.camera
    joined.publish(RawPicture(pixels=np.full((120, 128), 7, np.uint8), position=48_000))
    await until(lambda: client.camera is not before and client.camera.frames == 1)
    assert (client.camera.width, client.camera.height) == (128, 80)
    assert client.inputs["microphone"]["isEnabled"]


async def test_people_are_told_once_each(joined: DailyRoom, meeting: daily.Meeting, events: RecordedEvents) -> None:
    meeting.enter("ann")
    meeting.enter("bob")
    meeting.leave("ann")
    (client,) = meeting.clients
    client.call_back("on_participant_joined", {"id": "me", "info": {"isLocal": True}})
    for odd in (None, {}, {"id": 5}, {"id": "ann"}):
        client.call_back("on_participant_left", odd, "leftCall")
    await until(lambda: len(events.viewers) == 3)
    assert events.viewers == [("joined", "ann", 1), ("joined", "bob", 2), ("left", "ann", 1)]


async def test_those_who_were_there_before_are_told(meeting: daily.Meeting, events: RecordedEvents) -> None:
    meeting.enter("ann")
    opened = await join(events)
    assert events.viewers == [("joined", "ann", 1)]
    await opened.aclose()


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("meeting-full", RoomRefused, "The Daily room is full: meeting-full"),
        ("The meeting has ended", RoomRefused, "The Daily room is gone: The meeting has ended"),
        ("exp-token", RoomRefused, "Daily does not admit the token: exp-token"),
        ("Connection\nerror", RoomUnreachable, "Daily cannot be reached: Connection error"),
        ("out of luck", RoomRefused, "Daily does not admit the avatar: out of luck"),
    ],
)
async def test_a_refused_join_is_a_typed_error_and_leaves_nothing(
    meeting: daily.Meeting, events: RecordedEvents, said: str, kind: type[VisavisError], told: str
) -> None:
    meeting.error = said
    with pytest.raises(kind) as refused:
        await join(events)
    assert refused.value.message == told
    assert meeting.clients == [] and events.ends == []


async def test_a_wrong_token_and_a_room_that_is_not_there(meeting: daily.Meeting, events: RecordedEvents) -> None:
    with pytest.raises(RoomRefused, match="does not admit the token"):
        await join(events, token="another")
    daily.meetings.clear()
    with pytest.raises(RoomRefused, match="is gone"):
        await join(events)


async def test_a_daily_that_does_not_answer(
    meeting: daily.Meeting, events: RecordedEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "JOINED_WITHIN_S", 0.05)
    meeting.answers = False
    with pytest.raises(RoomUnreachable, match=r"does not answer within 0\.05 s"):
        await join(events)


@pytest.mark.parametrize(
    ("error", "end"),
    [
        ("Meeting has ended", "room_deleted"),
        ("The room has expired", "room_deleted"),
        ("You were ejected", "avatar_removed"),
        ("signalling connection lost", "room_lost"),
        (None, "room_lost"),
    ],
)
async def test_a_room_that_is_over_ends_the_session_once(
    joined: DailyRoom,
    meeting: daily.Meeting,
    events: RecordedEvents,
    error: str | None,
    end: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "REASON_WITHIN_S", 0.01)
    meeting.end(error)
    await until(lambda: events.ends)
    assert [one for one, _ in events.ends] == [end] and not joined.watched
    meeting.end("again")
    await joined.aclose()
    assert len(events.ends) == 1


async def test_writes_that_fail_are_logged_once_and_the_next_ones_go(
    joined: DailyRoom, meeting: daily.Meeting, events: RecordedEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    (client,) = meeting.clients
    feed = Feed(joined, events)
    failures = 0

    def fail(frame: bytes) -> None:
        nonlocal failures
        failures += 1
        raise OSError("no device")

    camera = client.camera
    with monkeypatch.context() as patch:
        patch.setattr(camera, "write_frame", fail)
        await feed.until(lambda: failures >= 3)
    await feed.until(lambda: camera.frames >= 3)
    assert events.ends == []


def test_without_the_library_there_are_no_daily_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    library.load.cache_clear()

    def lacking(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", lacking)
    with pytest.raises(RoomPlatformUnavailable, match="no daily rooms") as refused:
        library.load()
    assert refused.value.suggestion is not None and "visavis[daily]" in refused.value.suggestion


def test_the_library_is_set_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    library.load.cache_clear()
    monkeypatch.setattr("importlib.import_module", lambda name: daily)
    daily.initialised.clear()
    assert library.load() is library.load() and len(daily.initialised) == 1
    library.load.cache_clear()


def test_long_and_odd_words_of_daily_are_cut() -> None:
    told = join_error("\x00\n" + "x" * 10_000).message
    assert len(told) < 260 and told.isprintable()
    assert room_end("") == "room_lost"
