"""What happens in a session, as the channel tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted:
    """The first sample of an utterance has been played."""

    utterance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackFinished:
    """An utterance has ended. `position_s`: how much of it was played, in seconds of its own sound."""

    utterance_id: str
    position_s: float
    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """What the avatar does: idle, listening, thinking or speaking. Other words may be added."""

    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """The session ends in `seconds_left`."""

    seconds_left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The server refused something, or tells of a fault. The session goes on."""

    message: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The channel was lost (`up` False) or is back (`up` True). `resumed`: nothing was lost."""

    up: bool
    resumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The session has ended, or this channel is over. The last event, and there is exactly one."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """A message that this version of the client has no class for."""

    type: str
    data: Mapping[str, Any]


Event = PlaybackStarted | PlaybackFinished | StateChanged | Expiring | Problem | Connection | Ended | Other


def event_of(message: Mapping[str, Any]) -> Event:
    """Return the event of a message of the server."""
    match message:
        case {"type": "agent.playback.started", "utterance_id": str(name)}:
            return PlaybackStarted(utterance_id=name)
        case {
            "type": "agent.playback.finished",
            "utterance_id": str(name),
            "position_s": (int() | float()) as position_s,
            "interrupted": bool(cut),
        }:
            return PlaybackFinished(utterance_id=name, position_s=float(position_s), interrupted=cut)
        case {"type": "agent.state", "state": str(state)}:
            return StateChanged(state=state)
        case {"type": "session.expiring", "seconds_left": (int() | float()) as left_s}:
            return Expiring(seconds_left=float(left_s))
        case {"type": "error", "error": str(text)}:
            return Problem(message=text, code=str(message.get("code") or ""))
    return Other(type=str(message.get("type")), data=message)
