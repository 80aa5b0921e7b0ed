"""An avatar in an agent's room: it joins, speaks, is interrupted, and goes."""

from __future__ import annotations

import asyncio
import os

import pytest
from livekit import rtc
from livekit.agents import Agent
from livekit.agents.voice.room_io import RoomOptions
from livekit.plugins import visavis
from scene import Scene, User
from visavis_client import AsyncVisavis

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


class Successor(Agent):
    """An agent that another one has handed the conversation to, once it has `entered`."""

    def __init__(self, *, instructions: str) -> None:
        super().__init__(instructions=instructions)
        self.entered = asyncio.Event()

    async def on_enter(self) -> None:
        self.entered.set()


async def wait_ended(client: AsyncVisavis, session_id: str) -> None:
    while (await client.sessions.get(session_id)).status != "ended":  # noqa: ASYNC110  # polls the server
        await asyncio.sleep(0.05)


async def test_join_first_picture_one_turn_and_ten_barge_ins(scene: Scene, client: AsyncVisavis) -> None:
    avatar = visavis.AvatarSession(avatar="iris", aspect_ratio="1:1")
    await avatar.start(scene.session, scene.room)
    await scene.start_session()
    await avatar.wait_ready()
    await scene.user.wait_pictures(avatar.avatar_identity, 3)

    participant = scene.user.room.remote_participants[avatar.avatar_identity]
    assert participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
    assert participant.attributes["lk.publish_on_behalf"] == "agent"
    sources = sorted(publication.source for publication in participant.track_publications.values())
    assert sources == sorted([rtc.TrackSource.SOURCE_CAMERA, rtc.TrackSource.SOURCE_MICROPHONE])

    said = scene.say(1.0)
    await said.wait_for_playout()
    assert not said.interrupted
    await scene.user.wait_loud(avatar.avatar_identity, 0.9)
    agent = scene.user.room.remote_participants["agent"]
    assert not any(one.kind == rtc.TrackKind.KIND_AUDIO for one in agent.track_publications.values())

    for _ in range(10):
        loud_s = scene.user.of(avatar.avatar_identity).loud_s
        said = scene.say(5.0)
        await scene.user.wait_loud(avatar.avatar_identity, loud_s + 0.1)
        await scene.session.interrupt()
        await said.wait_for_playout()
        assert said.interrupted
        await scene.user.wait_silent(avatar.avatar_identity, 0.1)
    said = scene.say(0.4)
    await said.wait_for_playout()
    assert not said.interrupted

    assert avatar.session_id is not None
    await avatar.aclose()
    await avatar.aclose()
    await wait_ended(client, avatar.session_id)


async def test_speech_waits_for_the_avatar_and_is_heard_whole(scene: Scene) -> None:
    await scene.start_session()
    avatar = visavis.AvatarSession(avatar="iris", aspect_ratio="1:1")
    await avatar.start(scene.session, scene.room)
    said = scene.say(1.0)  # the avatar has not even joined
    await said.wait_for_playout()
    assert not said.interrupted
    await scene.user.wait_loud(avatar.avatar_identity, 0.9)
    await avatar.aclose()


@pytest.mark.conformance
async def test_the_first_sentence_waits_for_a_user(scene: Scene) -> None:
    await scene.user.leave()
    scene.user = User()
    avatar = visavis.AvatarSession(avatar="iris", aspect_ratio="1:1", hold_for_viewer_s=30)
    await avatar.start(scene.session, scene.room)
    await scene.start_session()
    await avatar.wait_ready()
    said = scene.say(1.0)
    await asyncio.sleep(1.5)
    assert not said.done()
    await scene.user.join(scene.name)
    await said.wait_for_playout()
    assert not said.interrupted
    await scene.user.wait_loud(avatar.avatar_identity, 0.9)
    await avatar.aclose()


async def test_a_start_that_is_broken_off_leaves_no_session(scene: Scene, client: AsyncVisavis) -> None:
    for wait_s in (0.0, 0.02, 0.1, 0.3):
        avatar = visavis.AvatarSession(avatar="iris", metadata={"room": scene.name})
        await avatar.start(scene.session, scene.room)
        await asyncio.sleep(wait_s)
        await avatar.aclose()
    left = [one async for one in client.sessions.list(status="started", metadata={"room": scene.name})]
    assert left == []
    await scene.user.wait_alone_with("agent")


@pytest.mark.conformance
@pytest.mark.timeout(180)
async def test_one_agent_process_serves_ten_rooms_in_a_row_and_three_at_once(client: AsyncVisavis) -> None:
    async def serve() -> str:
        """Serve one room for one turn. Return the identity of its avatar. A small machine has places for two."""
        scene = Scene()
        await scene.open()
        avatar = visavis.AvatarSession(avatar="iris", aspect_ratio="1:1", ready_within_s=60.0)
        try:
            await avatar.start(scene.session, scene.room)
            await scene.start_session()
            said = scene.say(0.5)
            await said.wait_for_playout()
            assert not said.interrupted
            await scene.user.wait_loud(avatar.avatar_identity, 0.4)
        finally:
            await avatar.aclose()
            await scene.close()
        assert avatar.session_id is not None
        await wait_ended(client, avatar.session_id)
        return avatar.avatar_identity

    in_a_row = [await serve() for _ in range(10)]
    at_once = await asyncio.gather(*(serve() for _ in range(3)))
    assert len({*in_a_row, *at_once}) == 13


@pytest.mark.conformance
async def test_a_hand_off_to_another_agent_keeps_the_avatar(scene: Scene) -> None:
    avatar = visavis.AvatarSession(avatar="iris", aspect_ratio="1:1")
    await avatar.start(scene.session, scene.room)
    await scene.start_session()
    await avatar.wait_ready()
    heard = scene.user.of(avatar.avatar_identity)
    for turn in range(1, 4):
        said = scene.say(0.8)
        await said.wait_for_playout()
        assert not said.interrupted
        await scene.user.wait_loud(avatar.avatar_identity, 0.8 * turn - 0.1)
        agent = Successor(instructions=f"another one, {turn}")
        scene.session.update_agent(agent)
        await agent.entered.wait()
    await scene.user.wait_silent(avatar.avatar_identity, 0.3)
    assert heard.loud_s < 2.6
    assert [name for name in scene.user.room.remote_participants if name.startswith("visavis-")] == [
        avatar.avatar_identity
    ]
    await avatar.aclose()


@pytest.mark.conformance
async def test_a_user_who_reloads_finds_agent_and_avatar_again(scene: Scene) -> None:
    avatar = visavis.AvatarSession(avatar="iris", aspect_ratio="1:1")
    await avatar.start(scene.session, scene.room)
    await scene.start_session(room_options=RoomOptions(close_on_disconnect=False))
    await avatar.wait_ready()
    await scene.user.wait_pictures(avatar.avatar_identity)
    session_id = avatar.session_id
    await scene.user.leave()
    scene.user = User()
    await scene.user.join(scene.name)
    await scene.user.wait_pictures(avatar.avatar_identity)
    said = scene.say(0.5)
    await said.wait_for_playout()
    await scene.user.wait_loud(avatar.avatar_identity, 0.4)
    assert not said.interrupted and avatar.session_id == session_id


@pytest.mark.conformance
async def test_the_end_of_the_agents_session_ends_the_avatars(scene: Scene, client: AsyncVisavis) -> None:
    avatar = visavis.AvatarSession(avatar="iris")
    await avatar.start(scene.session, scene.room)
    await scene.start_session()
    await avatar.wait_ready()
    assert avatar.session_id is not None
    await scene.session.aclose()
    await wait_ended(client, avatar.session_id)


@pytest.mark.conformance
async def test_an_agent_that_is_gone_ends_the_avatars_session(client: AsyncVisavis) -> None:
    scene = Scene()
    await scene.open()
    avatar = visavis.AvatarSession(avatar="iris")
    await avatar.start(scene.session, scene.room)
    await avatar.wait_ready()
    assert avatar.session_id is not None
    await scene.room.disconnect()
    await wait_ended(client, avatar.session_id)
    await avatar.aclose()
    await scene.close()


@pytest.mark.conformance  # studying a photo takes seconds
async def test_a_photo_of_pil_becomes_an_avatar(scene: Scene) -> None:
    from io import BytesIO

    import httpx
    from PIL import Image

    headers = {"x-api-key": os.environ["VISAVIS_API_KEY"]}
    async with httpx.AsyncClient(base_url=os.environ["VISAVIS_API_URL"], headers=headers) as http:
        listed = (await http.get("/v1/avatars", params={"view": "flat"})).json()["public_avatars"]
        photo = Image.open(BytesIO((await http.get(listed[0]["image_url"])).content))
    avatar = visavis.AvatarSession(avatar=photo, aspect_ratio="1:1", ready_within_s=50)
    await avatar.start(scene.session, scene.room)
    await avatar.wait_ready()
    await scene.user.wait_pictures(avatar.avatar_identity)
    await avatar.aclose()
