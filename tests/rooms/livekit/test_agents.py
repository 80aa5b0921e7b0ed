"""Who is in a LiveKit room, and whether the avatar's agent was seen."""

from __future__ import annotations

import pytest
from livekit.protocol import models

from visavis.rooms.livekit.agents import CALL_STATUS, MAX_OTHERS, ON_BEHALF, People

Kind, State = models.ParticipantInfo.Kind, models.ParticipantInfo.State


def person(identity: str, *, is_agent: bool = False, gone: bool = False, of: str = "") -> models.ParticipantInfo:
    return models.ParticipantInfo(
        identity=identity,
        kind=Kind.AGENT if is_agent else Kind.STANDARD,
        state=State.DISCONNECTED if gone else State.ACTIVE,
        attributes={ON_BEHALF: of} if of else {},
    )


def telephone(call_status: str | None, *, joined: bool = False) -> models.ParticipantInfo:
    """`joined`: its media are not connected yet."""
    return models.ParticipantInfo(
        identity="telephone",
        kind=Kind.SIP,
        state=State.JOINED if joined else State.ACTIVE,
        attributes={} if call_status is None else {CALL_STATUS: call_status},
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


def test_a_server_that_names_new_people_for_ever_is_noted_to_a_bound() -> None:
    people = people_of("agent")
    people.take([person("agent", is_agent=True)])
    people.take([person(f"user-{number}") for number in range(MAX_OTHERS + 10)])
    assert len(people.present) == MAX_OTHERS
    (left,) = people.take([person("agent", gone=True)])
    assert left.is_agent
    people.take([person("late")])
    assert "late" in people.present, "one has left"


def test_a_hidden_agent_is_seen_by_what_it_sends() -> None:
    people = people_of("agent")
    assert not people.may_speak("user") and not people.agent_was_seen
    assert people.may_speak("agent") and people.agent_was_seen


def test_nobody_is_awaited_where_no_agent_is_named() -> None:
    people = People(own="avatar")
    assert people.agent_was_seen
    people.take([person("user"), person("agent", is_agent=True)])
    assert people.agent == "agent" and people.agent_was_seen


def test_somebody_has_come_once_its_media_are_connected() -> None:
    people = people_of("agent")
    agent = person("agent", is_agent=True)
    agent.state = State.JOINED
    assert people.take([agent]) == [] and people.present == [] and not people.agent_was_seen
    (came,) = people.take([person("agent", is_agent=True)])
    assert came.came and came.is_agent and people.present == ["agent"]
    assert people.take([agent]) == [], "nobody falls back without leaving"
    unseen = people_of("agent")
    unseen.take([agent])
    assert unseen.take([person("agent", is_agent=True, gone=True)]) == [], "it never was here"


def test_who_is_not_connected_in_a_room_that_was_joined_again_comes_again() -> None:
    people = people_of("agent")
    people.take([person("agent", is_agent=True), person("user")])
    agent = person("agent", is_agent=True)
    agent.state = State.JOINED
    (left,) = people.take_all([agent, person("user")])
    assert (left.identity, left.came) == ("agent", False) and people.present == ["user"]
    (came,) = people.take([person("agent", is_agent=True)])
    assert came.came and came.is_agent


@pytest.mark.parametrize("kind", [Kind.STANDARD, Kind.SIP, Kind.CONNECTOR])
def test_a_user_is_whoever_may_hear(kind: models.ParticipantInfo.Kind) -> None:
    people = people_of("agent")
    people.take([models.ParticipantInfo(identity="user", kind=kind, state=State.JOINED)])
    assert not people.has_user, "it hears nothing yet"
    people.take([models.ParticipantInfo(identity="user", kind=kind, state=State.ACTIVE)])
    assert people.has_user
    people.take([models.ParticipantInfo(identity="user", kind=kind, state=State.DISCONNECTED)])
    assert not people.has_user


def test_agents_avatars_and_recorders_are_no_users() -> None:
    people = people_of("bot")
    others = [models.ParticipantInfo(identity=str(kind), kind=kind) for kind in (Kind.AGENT, Kind.EGRESS, Kind.INGRESS)]
    for other in others:
        other.state = State.ACTIVE
    people.take([person("bot"), person("another avatar", of="somebody"), *others])
    assert len(people.present) == 5 and not people.has_user


def test_the_caller_of_a_room_of_this_service_is_its_user() -> None:
    people = People(agent_is_user=True)
    people.take_own(person("avatar", of="caller"))
    assert not people.has_user
    people.take([person("caller")])
    assert people.has_user


def test_a_telephone_hears_once_it_was_answered() -> None:
    people = people_of("agent")
    for status in ("dialing", "ringing", "automation"):
        people.take([telephone(status)])
        assert not people.has_user, status
    people.take([telephone("active")])
    assert people.has_user
    people.take([telephone("hangup")])
    assert not people.has_user
    unknown = people_of("agent")
    unknown.take([telephone(None, joined=True)])
    assert not unknown.has_user
    unknown.take([telephone(None)])
    assert unknown.has_user
