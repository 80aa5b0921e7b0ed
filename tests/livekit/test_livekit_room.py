"""The avatar in a room of a real livekit-server, with an agent that speaks as livekit-agents does to avatars."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from livekit import rtc
from visavis_client import AsyncSession, AsyncVisavis, Event, Other, PlaybackFinished, Refused, ServerFault

from tests.livekit.agent import Agent, Finished
from tests.livekit.conftest import start
from tests.sweeps import assert_whole, places_s
from tools.livekit.server import LiveKitServer, running
from visavis.server import RunningServer

# The first test waits until the server is built.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

OF_A_TONE_S = -0.02  # places in a sweep of 0.4 s below this are of the agent's tones


async def ended(client: AsyncVisavis, session: AsyncSession) -> None:
    """Wait until the session has ended."""
    while (await client.sessions.get(session.id)).status != "ended":  # noqa: ASYNC110  # polls the server
        await asyncio.sleep(0.05)


async def test_the_avatar_publishes_before_any_speech(session: AsyncSession, agent: Agent) -> None:
    assert session.room is None and session.watch_url is None
    await agent.wait_seen(pictures=3)
    assert agent.seen.size == (1280, 1280)
    sources = {publication.source for publication in agent.avatar().track_publications.values()}
    assert len(sources) == 2 and agent.avatar().attributes["lk.publish_on_behalf"] == agent.identity
    assert agent.finished == [] and agent.loud_s() == 0


async def test_three_turns_are_heard_and_finish_once_with_their_positions(session: AsyncSession, agent: Agent) -> None:
    for turn, (seconds, rate_hz) in enumerate(((0.8, 24_000), (0.5, 8_000), (0.6, 48_000)), start=1):
        await agent.speak(seconds, rate_hz=rate_hz)
        ends = await agent.wait_finished(turn)
        assert ends[-1] == Finished(pytest.approx(seconds, abs=0.02), False)  # type: ignore[arg-type]
        await agent.wait_quiet(0.2)
        assert statistics.median(agent.seen.pitches_hz) == pytest.approx(440, rel=0.005)
        agent.seen.pitches_hz.clear()
    assert agent.started == 3 and len(agent.finished) == 3
    await agent.wait_seen(loud_s=1.7)
    assert agent.loud_s() < 2.1


async def test_speech_from_the_room_has_motion_metrics_and_a_record_as_that_of_a_channel(
    client: AsyncVisavis, server: RunningServer, livekit: LiveKitServer, agent: Agent
) -> None:
    session = await start(client, livekit, agent, features=["motion"])
    async with session, asyncio.TaskGroup() as group:  # its channel is open, too
        listening = group.create_task(all_of(session))
        await agent.speak(0.4)
        await agent.wait_finished(1)
        await agent.speak(4.0)
        await agent.wait_started(2)
        await agent.clear()
        whole, cut = await agent.wait_finished(2)
        headers = {"x-api-key": server.api_key}
        async with httpx.AsyncClient(base_url=server.base_url, headers=headers) as http:
            while True:  # the stage tells metrics once in a second
                metrics = (await http.get(f"/v1/sessions/{session.id}/metrics")).json()["metrics"]
                if len(metrics["utterances"]) == 2:
                    break
                await asyncio.sleep(0.1)
        await session.end()
    events = listening.result()
    ends = [one for one in events if isinstance(one, PlaybackFinished)]
    assert [one.interrupted for one in ends] == [whole.interrupted, cut.interrupted] == [False, True]
    assert [one.position_s for one in ends] == [pytest.approx(one.position_s, abs=0.002) for one in (whole, cut)]
    assert [one["utterance_id"] for one in metrics["utterances"]] == [one.utterance_id for one in ends]
    assert metrics["speech"]["interrupted"] == metrics["interrupts"]["count"] == 1

    motion = [one.data for one in events if isinstance(one, Other) and one.type == "agent.motion"]
    first = [one for one in motion if one["utterance_id"] == ends[0].utterance_id]
    rows = {round(50 * one["position_s"]) + at for one in first for at in range(len(one["coefficients"]))}
    assert rows == set(range(20)), "0.4 s at 50 a second"
    cuts = [one.data for one in events if isinstance(one, Other) and one.type == "agent.motion.cut"]
    assert [one["utterance_id"] for one in cuts] == [ends[1].utterance_id]

    with closing(sqlite3.connect(server.services.settings.data_dir / "visavis.db", timeout=10)) as database:
        ((record,),) = database.execute("SELECT played FROM sessions WHERE id = ?", (session.id,))
    played = json.loads(record)
    assert (played["utterances"], played["interrupted"]) == (2, 1)
    assert played["seconds"] == pytest.approx(whole.position_s + cut.position_s, abs=0.002)


async def all_of(session: AsyncSession) -> list[Event]:
    """Return what the channel tells until the session ends."""
    return [event async for event in session.events()]


async def test_barge_ins_leave_nothing_over(session: AsyncSession, agent: Agent) -> None:
    for turn in range(1, 11):
        started = agent.started
        await agent.speak(4.0)
        await agent.wait_started(started + 1)
        assert await agent.clear() == "ok"
        end = (await agent.wait_finished(turn))[-1]
        assert end.interrupted and end.position_s < 4.0
    assert len(agent.finished) == 10
    await agent.speak(0.3)
    assert (await agent.wait_finished(11))[-1] == Finished(pytest.approx(0.3, abs=0.02), False)  # type: ignore[arg-type]


async def test_a_clear_at_the_first_sample_and_a_new_stream_right_after(session: AsyncSession, agent: Agent) -> None:
    assert await agent.clear() == "ok"  # nothing was captured: nothing finishes
    stream = await agent.open()
    await agent.clear()
    await stream.aclose()
    assert await agent.wait_finished(1) == [Finished(0.0, True)]
    for turn, wait_s in enumerate((0.0, 0.01, 0.05, 0.15), start=2):
        await agent.speak(3.0)
        await asyncio.sleep(wait_s)
        await agent.clear()
        assert (await agent.wait_finished(turn))[-1].interrupted
    await agent.speak(0.4, sweeps=True)
    ends = await agent.wait_finished(6)
    assert len(ends) == 6 and ends[-1] == Finished(pytest.approx(0.4, abs=0.02), False)  # type: ignore[arg-type]
    await agent.wait_quiet(0.3)
    heard_s = places_s(agent.seen.pitches_hz, 0.4)
    begins = next(at for at, place_s in enumerate(heard_s) if place_s > OF_A_TONE_S)
    assert_whole(heard_s[begins:], 0.4)
    assert min(heard_s[begins:]) > OF_A_TONE_S, "nothing of before is heard once it has begun"


async def test_an_open_stream_is_one_segment_and_a_lost_trailer_kills_nothing(
    session: AsyncSession, agent: Agent
) -> None:
    stream = await agent.speak(0.3, close=False)
    await asyncio.sleep(1.0)  # the agent thinks: silence is no end
    assert agent.finished == []
    await agent.speak(0.2)  # its stream begins another segment; the first one has no trailer
    ends = await agent.wait_finished(2)
    assert [end.interrupted for end in ends] == [False, False]
    assert [end.position_s for end in ends] == [pytest.approx(0.3, abs=0.02), pytest.approx(0.2, abs=0.02)]
    await stream.aclose()


async def test_a_stream_that_is_refused_or_open_at_the_end_finishes_once(session: AsyncSession, agent: Agent) -> None:
    stream = await agent.open(rate_hz=96_000)
    await stream.write(bytes(9_600))
    assert await agent.wait_finished(1) == [Finished(0.0, True)]
    assert {"state": "error", "reason": "sample_rate must be 8000 to 48000"} in agent.states
    await stream.aclose()
    await agent.speak(4.0, close=False)
    await agent.wait_started(1)
    await session.end()
    end = (await agent.wait_finished(2))[1]
    assert end.interrupted and 0.0 < end.position_s < 4.0
    assert len(agent.finished) == 2


async def test_a_user_who_leaves_and_comes_back_finds_the_session(
    session: AsyncSession, agent: Agent, livekit: LiveKitServer, client: AsyncVisavis
) -> None:
    for _ in range(2):
        user = Agent(livekit, agent.room_name, "user")
        await user.join(livekit.token(agent.room_name, "user"))
        await user.wait_seen(pictures=3)
        await user.leave()
        await agent.speak(0.3)
    assert [end.interrupted for end in await agent.wait_finished(2)] == [False, False]
    assert (await client.sessions.get(session.id)).status == "started"


async def test_a_telephone_that_is_answered_late_hears_the_greeting_from_its_first_sample(
    client: AsyncVisavis, livekit: LiveKitServer, agent: Agent
) -> None:
    session = await start(client, livekit, agent, hold_for_viewer_s=30)
    await agent.speak(0.6)  # nobody is there but the agent
    rings, telephone = Agent(livekit, agent.room_name, "rings"), Agent(livekit, agent.room_name, "telephone")
    await rings.join(
        livekit.token(agent.room_name, "rings", kind="sip", **{"sip.callStatus": "ringing"}), watches=False
    )
    await asyncio.sleep(1.0)
    assert agent.started == 0
    token = livekit.token(agent.room_name, "telephone", kind="sip", **{"sip.callStatus": "active"})
    await telephone.join(token)
    assert await agent.wait_finished(1) == [Finished(pytest.approx(0.6, abs=0.02), False)]  # type: ignore[arg-type]
    await telephone.wait_quiet(0.3)
    assert telephone.loud_s() > 0.54  # more on a machine that is overloaded: late sound is stretched
    await agent.speak(0.2)  # no sentence but the first one waits
    await agent.wait_finished(2)
    for one in (rings, telephone):
        await one.leave()
    await session.end()


async def test_all_is_heard_of_what_was_played_when_the_session_ends(session: AsyncSession, agent: Agent) -> None:
    """The avatar's tracks stay while a listener still plays what has come of them."""
    gone = asyncio.Event()
    agent.room.on("participant_disconnected", lambda _: gone.set())
    await agent.wait_seen(pictures=1)
    await agent.speak(0.4)
    await agent.wait_finished(1)
    await session.end()
    await gone.wait()
    assert agent.loud_s() > 0.34


async def test_the_agents_leaving_ends_the_session(session: AsyncSession, agent: Agent, client: AsyncVisavis) -> None:
    await agent.leave()
    await ended(client, session)


async def test_a_session_ends_whose_agent_never_comes_whoever_else_is_there(
    client: AsyncVisavis, livekit: LiveKitServer, agent: Agent
) -> None:
    session = await start(client, livekit, agent, of="absent", join_timeout=1)
    await ended(client, session)


async def test_the_rooms_end_and_the_avatars_removal_end_the_session(
    client: AsyncVisavis, livekit: LiveKitServer, agent: Agent
) -> None:
    session = await start(client, livekit, agent)
    await livekit.call("RemoveParticipant", room=agent.room_name, identity="avatar")
    await ended(client, session)
    session = await start(client, livekit, agent)
    await livekit.call("DeleteRoom", room=agent.room_name)
    await ended(client, session)


async def test_a_session_that_ends_leaves_the_room(session: AsyncSession, agent: Agent) -> None:
    gone = asyncio.Event()
    agent.room.on("participant_disconnected", lambda one: gone.set() if one.identity == "avatar" else None)
    await session.end()
    await gone.wait()


async def test_what_is_wrong_with_a_room_is_told_to_the_caller(
    client: AsyncVisavis, livekit: LiveKitServer, agent: Agent
) -> None:
    avatar = (await client.avatars.public())[0].id
    token = livekit.token(agent.room_name, "avatar")
    wrong: list[tuple[dict[str, str], str]] = [
        ({"url": livekit.url, "token": "wrong"}, "ROOM_REFUSED"),
        ({"url": "ws://127.0.0.1:9", "token": token}, "ROOM_UNREACHABLE"),
        ({"url": "ftp://127.0.0.1", "token": token}, "INVALID_REQUEST"),
        ({"url": livekit.url, "token": ""}, "INVALID_REQUEST"),
        ({"url": livekit.url}, "INVALID_REQUEST"),
    ]
    for room, code in wrong:
        with pytest.raises(Refused) as refused:
            await client.sessions.create(avatar=avatar, room={"platform": "livekit"} | room)
        assert refused.value.code == code
    started = [one async for one in client.sessions.list(status="started")]
    assert started == []


async def test_a_caller_behind_a_proxy_cannot_name_a_private_server(
    server: RunningServer, client: AsyncVisavis, livekit: LiveKitServer, agent: Agent
) -> None:
    """A program on this machine can: that is what all other tests here do."""
    avatar = (await client.avatars.public())[0].id
    room = {"platform": "livekit", "url": livekit.url, "token": livekit.token(agent.room_name, "avatar")}
    headers = {"x-api-key": server.api_key, "x-forwarded-for": "203.0.113.7"}
    async with httpx.AsyncClient(base_url=server.base_url, headers=headers) as caller:
        answer = await caller.post("/v1/sessions", json={"avatar": avatar, "room": room})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ROOM_URL_REFUSED")


async def test_the_avatar_is_never_taken_for_the_user(
    client: AsyncVisavis, livekit: LiveKitServer, agent: Agent
) -> None:
    """A token that names no agent: the avatar says for whom it speaks where it may, before it publishes."""
    avatar = (await client.avatars.public())[0].id
    room = {"platform": "livekit", "url": livekit.url}
    with pytest.raises(Refused, match="names no agent") as refused:
        await client.sessions.create(avatar=avatar, room=room | {"token": livekit.token(agent.room_name, "avatar")})
    assert refused.value.code == "ROOM_REFUSED"
    on_behalf: list[str | None] = []
    agent.room.on("track_published", lambda _, one: on_behalf.append(one.attributes.get("lk.publish_on_behalf")))
    token = livekit.token(agent.room_name, "avatar", "canUpdateOwnMetadata")
    session = await client.sessions.create(avatar=avatar, room=room | {"token": token}, aspect_ratio="1:1")
    await agent.speak(0.3)
    await agent.wait_finished(1)
    assert on_behalf == [agent.identity] * 2
    await session.end()


async def test_a_subscriber_that_was_paused_has_a_picture_at_once(session: AsyncSession, agent: Agent) -> None:
    await agent.wait_seen(pictures=3)
    (video,) = [one for one in agent.avatar().track_publications.values() if one.kind == rtc.TrackKind.KIND_VIDEO]
    await agent.stop_seeing(video)
    await asyncio.sleep(0.5)  # meanwhile the server sends nothing of it
    loop = asyncio.get_running_loop()
    seen, asked_s = agent.seen.pictures, loop.time()
    video.set_subscribed(True)
    await agent.wait_seen(pictures=seen + 1)
    print(f"a picture {1000 * (loop.time() - asked_s):.0f} ms after the subscription")  # 500 ms on an idle machine


async def test_a_server_that_takes_media_over_tcp_alone_is_refused_by_name(
    client: AsyncVisavis, livekit: LiveKitServer, tmp_path: Path
) -> None:
    avatar = (await client.avatars.public())[0].id
    with running(tmp_path, udp=False) as over_tcp:
        room = {"platform": "livekit", "url": over_tcp.url, "token": over_tcp.token("room", "avatar", kind="agent")}
        with pytest.raises(ServerFault) as refused:
            await client.sessions.create(avatar=avatar, room=room)
    assert refused.value.code == "ROOM_UNREACHABLE" and "ICE over TCP alone" in str(refused.value)


async def test_strangers_neither_speak_nor_interrupt(
    session: AsyncSession, agent: Agent, livekit: LiveKitServer
) -> None:
    stranger = Agent(livekit, agent.room_name, "stranger")
    await stranger.join()
    await stranger.speak(0.5)
    await agent.speak(0.3)
    ends = await agent.wait_finished(1)
    assert ends == [Finished(pytest.approx(0.3, abs=0.02), False)]  # type: ignore[arg-type]
    assert stranger.finished == []
    await stranger.leave()


async def test_the_agent_calls_the_avatar_and_strangers_are_refused(
    session: AsyncSession, agent: Agent, livekit: LiveKitServer
) -> None:
    assert await agent.call("visavis.state", '{"state": "thinking"}') == "ok"
    shown = json.loads(await agent.call("visavis.output", '{"emotion": "happy", "framing": {"zoom": 1.2}}'))
    assert shown["emotion"]["name"] == "happy" and shown["framing"] == {"zoom": 1.2}
    with pytest.raises(rtc.RpcError) as refused:
        await agent.call("visavis.output", '{"emotion": "bored"}')
    assert refused.value.data == "INVALID_EMOTION"
    stranger = Agent(livekit, agent.room_name, "stranger")
    await stranger.join()
    for method in ("visavis.state", "visavis.output", "visavis.pause", "visavis.resume"):
        with pytest.raises(rtc.RpcError, match="agent"):
            await stranger.call(method, '{"state": "listening", "emotion": "sad"}')
    await stranger.leave()


async def test_a_pause_keeps_the_sentence(session: AsyncSession, agent: Agent) -> None:
    await agent.speak(2.0)
    await agent.wait_seen(loud_s=0.5)
    assert await agent.call("visavis.pause") == "ok"
    await agent.wait_quiet(0.4)
    assert agent.finished == []
    assert await agent.call("visavis.resume") == "ok"
    assert await agent.wait_finished(1) == [Finished(pytest.approx(2.0, abs=0.02), False)]  # type: ignore[arg-type]
    await agent.wait_seen(loud_s=1.9)
    assert agent.loud_s() < 2.1
    await agent.wait_active("avatar")


async def test_the_room_is_told_why_the_session_ends(session: AsyncSession, agent: Agent) -> None:
    await agent.wait_seen(pictures=1)
    await session.end()
    while len(agent.states) < 2:  # noqa: ASYNC110  # told by a packet
        await asyncio.sleep(0.02)
    assert agent.states == [{"state": "ready"}, {"state": "ended", "reason": "ended_by_client"}]


async def test_an_encrypted_room_is_refused(client: AsyncVisavis, livekit: LiveKitServer) -> None:
    agent = Agent(livekit, "encrypted")
    await agent.join(encryption=rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=b"secret")))
    await agent.publish_sound()
    with pytest.raises(Refused) as refused:
        await start(client, livekit, agent)
    assert refused.value.code == "ROOM_ENCRYPTED"
    await agent.leave()
