"""What becomes of a conversation when the avatar does not come, goes, or is not wanted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from livekit import rtc
from livekit.agents import CloseEvent, CloseReason, job
from livekit.plugins import visavis
from livekit.plugins.visavis.avatar import READY_WITHIN_S
from livekit.plugins.visavis.own_voice import OwnVoice
from scene import Scene, User
from scene import voice as spoken
from visavis_client import AsyncVisavis, NoCapacity, Unauthorized, VisavisError

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]
WITHOUT_PICTURE_S = 0.5  # while one avatar takes over from another


def failures_of(avatar: visavis.AvatarSession) -> list[VisavisError]:
    failures: list[VisavisError] = []
    avatar.on("avatar_failed", failures.append)
    return failures


@pytest.mark.parametrize(
    "started_before",
    [
        pytest.param(True, id="before the session"),
        pytest.param(False, id="after the session", marks=pytest.mark.conformance),
    ],
)
async def test_without_the_avatar_the_agent_speaks_itself(scene: Scene, started_before: bool) -> None:
    avatar = visavis.AvatarSession(avatar="iris", api_key="ah_live_" + 32 * "0")
    failures = failures_of(avatar)
    if not started_before:
        await scene.start_session()
    await avatar.start(scene.session, scene.room)
    if started_before:
        await scene.start_session()
    said = scene.say(1.0)
    with pytest.raises(Unauthorized):
        await avatar.wait_ready()
    await said.wait_for_playout()
    assert not said.interrupted and len(failures) == 1
    await scene.user.wait_loud("agent", 0.9)
    await avatar.aclose()
    said = scene.say(0.5)
    await said.wait_for_playout()
    await scene.user.wait_loud("agent", 1.4)


async def test_an_avatar_that_shows_nothing_in_time_is_given_up(scene: Scene) -> None:
    avatar = visavis.AvatarSession(avatar="iris", ready_within_s=0.01)
    failures = failures_of(avatar)
    await avatar.start(scene.session, scene.room)
    await scene.start_session()
    with pytest.raises(visavis.AvatarNotReady, match="Check that the Visavis server"):
        await avatar.wait_ready()
    said = scene.say(0.5)
    await said.wait_for_playout()
    await scene.user.wait_loud("agent", 0.4)
    assert len(failures) == 1
    await avatar.aclose()


async def test_a_server_that_has_no_place_says_so(scene: Scene) -> None:
    """Not that it does not run: the refusal is what the agent's log and its event have."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"success": false, "error": {"message": "All places are taken", "code": "NO_CAPACITY"}}'
        head = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as full:
        url = f"http://127.0.0.1:{full.sockets[0].getsockname()[1]}"
        avatar = visavis.AvatarSession(avatar="avat_1", api_url=url, ready_within_s=0.5)
        failures = failures_of(avatar)
        await avatar.start(scene.session, scene.room)
        await scene.start_session()
        with pytest.raises(NoCapacity, match="All places are taken"):
            await avatar.wait_ready()
        assert len(failures) == 1
        await avatar.aclose()


@pytest.mark.parametrize(
    "answered",
    [
        pytest.param(True, id="answered afterwards"),
        pytest.param(False, id="never answered", marks=pytest.mark.conformance),
    ],
)
async def test_a_session_that_ends_before_its_create_was_answered(
    scene: Scene, client: AsyncVisavis, answered: bool
) -> None:
    """What the create was given up for is told; an answer that comes is that of a session which has ended."""
    may_answer = asyncio.Event()
    async with _slow_create(may_answer) as url:
        within_s = 60.0 if answered else READY_WITHIN_S  # a busy machine is not to give up what is answered
        avatar = visavis.AvatarSession(
            avatar="iris", api_url=url, metadata={"room": scene.name}, ready_within_s=within_s
        )
        failures = failures_of(avatar)
        await avatar.start(scene.session, scene.room)
        await scene.start_session()
        await scene.user.wait_pictures(avatar.avatar_identity)
        assert avatar.session_id is None
        async for session in client.sessions.list(metadata={"room": scene.name}):
            await client.sessions.end(session.id)
        await scene.user.wait_alone_with("agent")
        if answered:
            may_answer.set()
        error = visavis.AvatarLost if answered else visavis.AvatarNotReady
        with pytest.raises(error, match="ended_by_client" if answered else "has not joined the room"):
            await avatar.wait_ready()
        assert len(failures) == 1
        may_answer.set()
        await avatar.aclose()


@asynccontextmanager
async def _slow_create(may_answer: asyncio.Event) -> AsyncIterator[str]:
    """Yield the address of a way to the server that holds the answer to a create until it may come."""
    service = urlsplit(os.environ["VISAVIS_API_URL"])

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(service.hostname, service.port)
        created = False

        async def ask() -> None:
            nonlocal created
            while data := await reader.read(65_536):
                created = created or b"POST /v1/sessions " in data
                back.write(data)
            back.close()

        async def answer() -> None:
            while data := await there.read(65_536):
                if created:
                    await may_answer.wait()
                writer.write(data)
            writer.close()

        await asyncio.gather(ask(), answer(), return_exceptions=True)

    async with await asyncio.start_server(take, "127.0.0.1", 0) as way:
        yield f"http://127.0.0.1:{way.sockets[0].getsockname()[1]}"


async def test_the_agents_own_voice_begins_when_somebody_can_hear_it(scene: Scene) -> None:
    await scene.user.leave()
    scene.user = User()
    await scene.user.join(scene.name, subscribes_after_s=0.6)
    voice = OwnVoice(scene.room)
    async for frame in spoken(0.5):
        await voice.capture_frame(frame)
    voice.flush()
    played = await voice.wait_for_playout()
    assert played.playback_position == pytest.approx(0.5) and not played.interrupted
    await scene.user.wait_loud("agent", 0.45)
    await voice.aclose()


async def test_a_sentence_that_is_broken_off_before_the_first_word_ends(scene: Scene) -> None:
    await scene.user.leave()
    scene.user = User()
    await scene.user.join(scene.name, subscribes_after_s=0.6)
    voice = OwnVoice(scene.room)
    frames = [frame async for frame in spoken(0.5)]
    capturing = asyncio.create_task(voice.capture_frame(frames[0]))
    await asyncio.sleep(0.1)
    capturing.cancel()  # as livekit-agents does
    voice.clear_buffer()
    voice.flush()
    broken_off = await voice.wait_for_playout()
    assert broken_off.interrupted and broken_off.playback_position == 0.0
    for frame in frames:
        await voice.capture_frame(frame)
    voice.flush()
    assert not (await voice.wait_for_playout()).interrupted
    await scene.user.wait_loud("agent", 0.45)
    await voice.aclose()


async def test_the_agents_session_ends_where_that_is_wanted(scene: Scene) -> None:
    avatar = visavis.AvatarSession(avatar="nobody", fallback="end")
    closed: asyncio.Future[CloseEvent] = asyncio.get_running_loop().create_future()
    scene.session.on("close", closed.set_result)
    await avatar.start(scene.session, scene.room)
    await scene.start_session()
    with pytest.raises(visavis.AvatarUnknown, match="Iris"):
        await avatar.wait_ready()
    event = await closed
    assert event.reason == CloseReason.ERROR and event.error is not None
    assert isinstance(event.error.error, visavis.AvatarUnknown)
    await avatar.aclose()


async def test_an_avatar_that_dies_interrupts_the_sentence_and_the_next_is_heard(
    scene: Scene, client: AsyncVisavis
) -> None:
    avatar = visavis.AvatarSession(avatar="iris")
    failures = failures_of(avatar)
    await avatar.start(scene.session, scene.room)
    await scene.start_session()
    await avatar.wait_ready()
    said = scene.say(20.0)
    await scene.user.wait_loud(avatar.avatar_identity, 0.2)
    assert avatar.session_id is not None
    await client.sessions.end(avatar.session_id)
    async with asyncio.timeout(10):
        await said.wait_for_playout()
    assert said.interrupted
    (failure,) = failures
    assert isinstance(failure, visavis.AvatarLost)
    said = scene.say(0.5)
    await said.wait_for_playout()
    assert not said.interrupted
    await scene.user.wait_loud("agent", 0.4)
    await avatar.aclose()


@pytest.mark.conformance
async def test_another_avatar_takes_over_in_the_middle_of_a_sentence(scene: Scene, client: AsyncVisavis) -> None:
    old, new = visavis.AvatarSession(avatar="iris"), visavis.AvatarSession(avatar="leo")
    await old.start(scene.session, scene.room)
    await scene.start_session()
    await old.wait_ready()
    said = scene.say(20.0)
    await scene.user.wait_loud(old.avatar_identity, 0.2)
    await new.start(scene.session, scene.room)
    await scene.session.interrupt()
    await said.wait_for_playout()
    assert said.interrupted
    said = scene.say(1.0)
    await new.wait_ready()
    await old.aclose()  # late: the new one stays
    await said.wait_for_playout()
    assert not said.interrupted
    await scene.user.wait_loud(new.avatar_identity, 0.9)
    assert new.avatar_identity in scene.user.room.remote_participants
    gap_s = scene.user.of(new.avatar_identity).seen_s[0] - scene.user.of(old.avatar_identity).seen_s[-1]
    print(f"the next avatar's first picture {1000 * gap_s:+.0f} ms after the last of the one before")
    assert gap_s <= WITHOUT_PICTURE_S

    failed = asyncio.Event()
    new.on("avatar_failed", lambda _: failed.set())
    assert new.session_id is not None
    await client.sessions.end(new.session_id)
    await failed.wait()  # without any avatar the agent speaks itself
    said = scene.say(0.5)
    await said.wait_for_playout()
    assert not said.interrupted
    await scene.user.wait_loud("agent", 0.4)
    await new.aclose()


@pytest.mark.conformance
async def test_an_avatar_that_is_closed_before_the_next_one_has_come_leaves_it_alone(scene: Scene) -> None:
    old, new = visavis.AvatarSession(avatar="iris"), visavis.AvatarSession(avatar="leo")
    await old.start(scene.session, scene.room)
    await scene.start_session()
    await old.wait_ready()
    await new.start(scene.session, scene.room)
    said = scene.say(1.0)
    await old.aclose()
    await said.wait_for_playout()
    assert not said.interrupted
    await scene.user.wait_loud(new.avatar_identity, 0.9)
    assert new.avatar_identity in scene.user.room.remote_participants
    await new.aclose()


@pytest.mark.conformance
async def test_audio_that_is_switched_off_silences_the_avatar_and_comes_back(scene: Scene) -> None:
    avatar = visavis.AvatarSession(avatar="iris")
    await avatar.start(scene.session, scene.room)
    await scene.start_session()
    await avatar.wait_ready()
    said = scene.say(20.0)
    await scene.user.wait_loud(avatar.avatar_identity, 0.2)
    scene.session.output.set_audio_enabled(False)
    await scene.user.wait_silent(avatar.avatar_identity, 0.3)
    await scene.session.interrupt()
    await said.wait_for_playout()
    scene.session.output.set_audio_enabled(True)
    loud_s = scene.user.of(avatar.avatar_identity).loud_s
    said = scene.say(0.5)
    await said.wait_for_playout()
    assert not said.interrupted
    await scene.user.wait_loud(avatar.avatar_identity, loud_s + 0.4)
    await avatar.aclose()


@pytest.mark.parametrize("mode", ["console", "text"])
async def test_console_and_text_only_start_no_session(
    scene: Scene, mode: str, caplog: pytest.LogCaptureFixture, client: AsyncVisavis
) -> None:
    avatar = visavis.AvatarSession(avatar="iris", metadata={"room": scene.name})
    undo = None
    if mode == "console":
        undo = job._JobContextVar.set(_job(is_fake_job=lambda: True))
    else:
        scene.session.output.set_audio_enabled(False)
    with caplog.at_level("INFO", "livekit.plugins.visavis"):
        await avatar.start(scene.session, scene.room)
        await avatar.wait_ready()
    if undo is not None:
        job._JobContextVar.reset(undo)
    assert len([one for one in caplog.records if "no avatar is started" in one.message]) == 1
    assert scene.session.output.audio is None
    assert [one async for one in client.sessions.list(metadata={"room": scene.name})] == []
    await avatar.aclose()


@pytest.mark.parametrize("kind", ["hidden", "encrypted"])
async def test_rooms_that_do_not_suit_are_refused_before_anything_starts(kind: str) -> None:
    scene = Scene()
    options = rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=b"secret"))
    await scene.open(hidden=kind == "hidden", encryption=options if kind == "encrypted" else None)
    avatar = visavis.AvatarSession(avatar="iris")
    with pytest.raises(visavis.RoomUnsuitable, match=kind):
        await avatar.start(scene.session, scene.room)
    assert scene.session.output.audio is None
    await avatar.aclose()
    await scene.close()


async def test_what_is_missing_is_named_before_anything_starts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    avatar = visavis.AvatarSession(avatar="iris")
    monkeypatch.delenv("LIVEKIT_API_SECRET")
    with pytest.raises(visavis.AvatarError, match="LIVEKIT_API_SECRET"):
        await avatar.start(scene.session, scene.room)
    with pytest.raises(visavis.AvatarError, match="make another one"):
        await avatar.start(scene.session, scene.room)
    assert scene.session.output.audio is None
    unconnected = visavis.AvatarSession(avatar="iris")
    monkeypatch.setenv("LIVEKIT_API_SECRET", "x")
    with pytest.raises(visavis.RoomUnsuitable, match="connect the room"):
        await unconnected.start(scene.session, rtc.Room())
    monkeypatch.delenv("VISAVIS_API_KEY")
    with pytest.raises(VisavisError, match="VISAVIS_API_KEY"):
        visavis.AvatarSession(avatar="iris")
    await avatar.aclose()
    await unconnected.aclose()


async def test_before_the_room_is_connected_the_job_names_room_and_agent() -> None:
    from livekit.plugins.visavis.access import room_and_agent

    assert room_and_agent(rtc.Room(), _job(room="r", identity="a")) == ("r", "a")


def _job(*, room: str = "room", identity: str = "agent", is_fake_job: Any = lambda: False) -> Any:
    """As much of a job as the plug-in needs."""
    return SimpleNamespace(
        job=SimpleNamespace(room=SimpleNamespace(name=room)),
        local_participant_identity=identity,
        is_fake_job=is_fake_job,
    )
