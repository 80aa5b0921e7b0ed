"""Who is in a LiveKit room, and whether the avatar's agent was seen."""

from __future__ import annotations

from livekit.protocol import models

from visavis.rooms.livekit.agents import ON_BEHALF, People


def person(identity: str, *, is_agent: bool = False, gone: bool = False, of: str = "") -> models.ParticipantInfo:
    kinds, states = models.ParticipantInfo.Kind, models.ParticipantInfo.State
    return models.ParticipantInfo(
        identity=identity,
        kind=kinds.AGENT if is_agent else kinds.STANDARD,
        state=states.DISCONNECTED if gone else states.ACTIVE,
        attributes={ON_BEHALF: of} if of else {},
    )


def people_of(agent: str) -> People:
    people = People()
    people.take_own(person("avatar", of=agent))
    return people


def test_an_agent_that_is_named_is_awaited() -> None:
    people = people_of("agent")
    people.take([person("user")])
    assert not people.agent_was_seen and people.present == ["user"]
    people.take([person("agent", is_agent=True)])
    assert people.agent_was_seen
    (left,) = people.take([person("agent", gone=True)])
    assert left.is_agent and not left.came and not people.agent_was_seen


def test_a_hidden_agent_is_seen_by_what_it_sends() -> None:
    people = people_of("agent")
    assert not people.may_speak("user") and not people.agent_was_seen
    assert people.may_speak("agent") and people.agent_was_seen


def test_nobody_is_awaited_where_no_agent_is_named() -> None:
    people = People(own="avatar")
    assert people.agent_was_seen
    people.take([person("user"), person("agent", is_agent=True)])
    assert people.agent == "agent" and people.agent_was_seen
