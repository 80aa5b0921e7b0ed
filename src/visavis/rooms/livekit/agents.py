"""Who is in a LiveKit room: the agent that the avatar serves, its users, and everybody else. Pure.

Somebody is there once the server says that its media are connected (`ACTIVE`): whoever has only joined hears nothing
and answers nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from livekit.protocol import models

Kind, State = models.ParticipantInfo.Kind, models.ParticipantInfo.State

ON_BEHALF = "lk.publish_on_behalf"  # the attribute of an avatar that names its agent
# LiveKit's gateway to telephones sets it: dialing, ringing, automation (keys are pressed), active, hangup
CALL_STATUS, ANSWERED = "sip.callStatus", "active"
MAX_OTHERS = 10_000  # participants that are noted: a server could name new ones for ever
_NO_USERS = (Kind.AGENT, Kind.EGRESS, Kind.INGRESS)


def agent_among(people: Iterable[models.ParticipantInfo]) -> str | None:
    """Return the identity of the first agent that is no avatar, None without one."""
    return next((one.identity for one in people if _is_agent(one)), None)


def _is_agent(one: models.ParticipantInfo) -> bool:
    return one.kind == Kind.AGENT and ON_BEHALF not in one.attributes


def _may_hear(one: models.ParticipantInfo) -> bool:
    """Whether this is somebody who can hear the avatar, or a telephone that was answered."""
    is_program = one.kind in _NO_USERS or ON_BEHALF in one.attributes
    return not is_program and one.attributes.get(CALL_STATUS, ANSWERED) == ANSWERED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Other:
    """A participant. `is_here`: its media were connected."""

    is_here: bool
    may_hear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Somebody has come or left."""

    identity: str
    came: bool
    is_agent: bool


@dataclass(slots=True)
class People:
    """The other participants of a room. `own`: the identity of the avatar. `agent`: whom it serves, if known.
    `agent_is_user`: for a room whose agent is its only user, too.
    """

    own: str = ""
    agent: str | None = None
    agent_is_user: bool = False
    _heard: bool = False  # the agent was heard, although it may be hidden
    _others: dict[str, _Other] = field(default_factory=dict)  # by identity

    @property
    def present(self) -> list[str]:
        """The identities of those who are in the room."""
        return [identity for identity, other in self._others.items() if other.is_here]

    @property
    def agent_was_seen(self) -> bool:
        """Whether the agent is in the room, or nobody is known to be it."""
        return self.agent is None or self.agent in self.present or self._heard

    @property
    def has_user(self) -> bool:
        """Whether somebody is in the room who hears the avatar: neither an agent nor a recorder."""
        users = [identity for identity, other in self._others.items() if other.is_here and other.may_hear]
        return any(self.agent_is_user or identity != self.agent for identity in users)

    def take_own(self, me: models.ParticipantInfo) -> None:
        """The avatar has joined. Its token may name its agent."""
        self.own = me.identity
        self.agent = me.attributes.get(ON_BEHALF) or self.agent

    def take(self, people: Iterable[models.ParticipantInfo]) -> list[Change]:
        """Return who has come and who has left."""
        changes = []
        for one in people:
            is_new = one.identity not in self._others
            if one.identity == self.own or (is_new and len(self._others) >= MAX_OTHERS):
                continue
            was_here = one.identity in self._others and self._others[one.identity].is_here
            is_gone = one.state == State.DISCONNECTED
            is_here = not is_gone and (was_here or one.state == State.ACTIVE)
            if is_gone:
                self._others.pop(one.identity, None)
            else:
                self._others[one.identity] = _Other(is_here=is_here, may_hear=_may_hear(one))
                if self.agent is None and _is_agent(one):
                    self.agent = one.identity
            if is_here != was_here:
                changes.append(Change(identity=one.identity, came=is_here, is_agent=one.identity == self.agent))
        return changes

    def take_all(self, people: Iterable[models.ParticipantInfo]) -> list[Change]:
        """Return the changes to a room that was joined again: those that are not there any more have left."""
        people = list(people)
        here = {one.identity for one in people if one.state == State.ACTIVE}
        left = [identity for identity in self.present if identity not in here]
        self._others = {identity: other for identity, other in self._others.items() if identity in here}
        gone = [Change(identity=identity, came=False, is_agent=identity == self.agent) for identity in left]
        return gone + self.take(people)

    def may_speak(self, identity: str) -> bool:
        """Whether a participant may have the avatar speak: its agent; where none is known, whoever does so first."""
        if self.agent is None and identity in self._others:
            self.agent = identity
        self._heard = self._heard or identity == self.agent
        return identity == self.agent
