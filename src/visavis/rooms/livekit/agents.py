"""Who is in a LiveKit room: the agent that the avatar serves, and everybody else. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from livekit.protocol import models

ON_BEHALF = "lk.publish_on_behalf"  # the attribute of an avatar that names its agent


def agent_among(people: Iterable[models.ParticipantInfo]) -> str | None:
    """Return the identity of the first agent that is no avatar, None without one."""
    return next((one.identity for one in people if _is_agent(one)), None)


def _is_agent(one: models.ParticipantInfo) -> bool:
    return one.kind == models.ParticipantInfo.Kind.AGENT and ON_BEHALF not in one.attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Somebody has come or left."""

    identity: str
    came: bool
    is_agent: bool


@dataclass(slots=True)
class People:
    """The other participants of a room. `own`: the identity of the avatar. `agent`: whom it serves, if known."""

    own: str = ""
    agent: str | None = None
    _heard: bool = False  # the agent was heard, although it may be hidden
    _present: dict[str, bool] = field(default_factory=dict)  # by identity: whether it is of kind agent

    @property
    def present(self) -> list[str]:
        """The identities of those who are in the room."""
        return list(self._present)

    @property
    def agent_was_seen(self) -> bool:
        """Whether the agent is in the room, or nobody is known to be it."""
        return self.agent is None or self.agent in self._present or self._heard

    def take_own(self, me: models.ParticipantInfo) -> None:
        """The avatar has joined. Its token may name its agent."""
        self.own = me.identity
        self.agent = me.attributes.get(ON_BEHALF) or self.agent

    def take(self, people: Iterable[models.ParticipantInfo]) -> list[Change]:
        """Return who has come and who has left."""
        changes = []
        for one in people:
            if one.identity == self.own:
                continue
            gone = one.state == models.ParticipantInfo.State.DISCONNECTED
            if gone and one.identity in self._present:
                del self._present[one.identity]
                changes.append(Change(identity=one.identity, came=False, is_agent=one.identity == self.agent))
            elif not gone and one.identity not in self._present:
                self._present[one.identity] = one.kind == models.ParticipantInfo.Kind.AGENT
                if self.agent is None and _is_agent(one):
                    self.agent = one.identity
                changes.append(Change(identity=one.identity, came=True, is_agent=one.identity == self.agent))
        return changes

    def take_all(self, people: Iterable[models.ParticipantInfo]) -> list[Change]:
        """Return the changes to a room that was joined again: those that are not there any more have left."""
        people = list(people)
        here = {one.identity for one in people}
        left = [identity for identity in self._present if identity not in here]
        for identity in left:
            del self._present[identity]
        gone = [Change(identity=identity, came=False, is_agent=identity == self.agent) for identity in left]
        return gone + self.take(people)

    def may_speak(self, identity: str) -> bool:
        """Whether a participant may have the avatar speak: its agent; where none is known, whoever does so first."""
        if self.agent is None and identity in self._present:
            self.agent = identity
        self._heard = self._heard or identity == self.agent
        return identity == self.agent
