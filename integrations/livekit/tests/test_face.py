"""What an agent has its avatar show: emotion, background, states; and pauses for interruptions that were none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from livekit.agents import AgentStateChangedEvent, UserStateChangedEvent
from livekit.plugins import visavis
from scene import Scene

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture
async def avatar(scene: Scene) -> AsyncIterator[visavis.AvatarSession]:
    """An avatar that is ready."""
    opened = visavis.AvatarSession(avatar="iris", aspect_ratio="1:1", emotion="sad")
    await opened.start(scene.session, scene.room)
    await scene.start_session()
    await opened.wait_ready()
    yield opened
    await opened.aclose()


async def test_the_agent_changes_what_the_avatar_shows(avatar: visavis.AvatarSession) -> None:
    shown = await avatar.set_emotion("happy")
    assert shown["emotion"] == {"name": "happy", "weight": 1.0}
    shown = await avatar.update(background={"type": "color", "color": "#102030"}, framing={"zoom": 1.2})
    assert shown["background"] == {"type": "color", "color": "#102030"}
    assert shown["framing"] == {"zoom": 1.2} and shown["emotion"]["name"] == "happy"
    with pytest.raises(visavis.AvatarRefused, match="emotion must be one of") as refused:
        await avatar.set_emotion("bored")
    assert refused.value.code == "INVALID_EMOTION"


async def test_the_avatar_shows_what_agent_and_user_do(
    scene: Scene, avatar: visavis.AvatarSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    assert avatar._calls is not None

    def send(method: str, members: Mapping[str, Any] | None = None) -> None:
        shown.append((method, members))

    monkeypatch.setattr(avatar._calls, "send", send)
    scene.session.emit("user_state_changed", UserStateChangedEvent(old_state="listening", new_state="speaking"))
    scene.session.emit("user_state_changed", UserStateChangedEvent(old_state="speaking", new_state="listening"))
    scene.session.emit("agent_state_changed", AgentStateChangedEvent(old_state="listening", new_state="thinking"))
    scene.session.emit("agent_state_changed", AgentStateChangedEvent(old_state="thinking", new_state="speaking"))
    scene.session.emit("agent_state_changed", AgentStateChangedEvent(old_state="thinking", new_state="listening"))
    assert shown == [("visavis.state", {"state": state}) for state in ("listening", "thinking", "listening")]


async def test_the_server_takes_the_states(avatar: visavis.AvatarSession) -> None:
    assert avatar._calls is not None
    for state in ("thinking", "listening"):
        assert await avatar._calls.call("visavis.state", {"state": state}) == "ok"


@pytest.mark.conformance  # on a machine that is overloaded, calls come late: seconds
async def test_a_false_interruption_pauses_and_the_sentence_goes_on(
    scene: Scene, avatar: visavis.AvatarSession
) -> None:
    said = scene.say(3.0)
    output = scene.session.output.audio
    assert output is not None and output.can_pause
    heard = scene.user.of(avatar.avatar_identity)
    await scene.user.wait_loud(avatar.avatar_identity, 1.0)
    output.pause()
    await scene.user.wait_silent(avatar.avatar_identity, 0.4)
    assert heard.loud_s < 2.5
    output.resume()
    await said.wait_for_playout()
    assert not said.interrupted
    await scene.user.wait_loud(avatar.avatar_identity, 2.9)
    assert heard.loud_s < 3.1

    said = scene.say(3.0)
    await scene.user.wait_loud(avatar.avatar_identity, 3.5)
    output.pause()
    await scene.session.interrupt()  # it was a real one
    await said.wait_for_playout()
    assert said.interrupted
    said = scene.say(0.4)
    await said.wait_for_playout()
    assert not said.interrupted, "a pause ends with the speech that it has stopped"
