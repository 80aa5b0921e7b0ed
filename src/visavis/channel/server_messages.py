"""The server's messages to a client, as they are on the wire: replies to its messages, errors, and the session's
events.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from visavis.channel.port import Expiring, SessionEvent
from visavis.engine.motion.arkit_names import ARKIT, HEAD, MOTION_STREAM_RATE_HZ
from visavis.engine.motion.states import AvatarState
from visavis.errors import OddAudioLength
from visavis.stage.port.events import (
    MotionCut,
    MotionFrames,
    PlaybackFinished,
    PlaybackStarted,
    SampleCut,
    StateChanged,
)


class ServerMessage(BaseModel):
    """One text frame to the client. Its members keep the order of declaration, `type` first."""

    model_config = ConfigDict(frozen=True)


class ConnectionEstablished(ServerMessage):
    type: Literal["connection.established"] = "connection.established"
    session_id: str


class SpeakConfirmed(ServerMessage):
    type: Literal["agent.speak.confirmed"] = "agent.speak.confirmed"
    audio_samples: int


class SpeakConfirmedWithQueue(ServerMessage):
    """`SpeakConfirmed` with the feature "queued"."""

    type: Literal["agent.speak.confirmed"] = "agent.speak.confirmed"
    audio_samples: int
    queued_s: float


class InterruptConfirmed(ServerMessage):
    type: Literal["agent.interrupt.confirmed"] = "agent.interrupt.confirmed"


class SessionUpdated(ServerMessage):
    """The complete current output. Of a background image it says only that there is one."""

    type: Literal["session.updated"] = "session.updated"
    output: dict[str, Any]


class SessionExpiring(ServerMessage):
    type: Literal["session.expiring"] = "session.expiring"
    seconds_left: int


class PlaybackStartedMessage(ServerMessage):
    type: Literal["agent.playback.started"] = "agent.playback.started"
    utterance_id: str


class PlaybackFinishedMessage(ServerMessage):
    type: Literal["agent.playback.finished"] = "agent.playback.finished"
    utterance_id: str
    position_s: float
    interrupted: bool


class StateMessage(ServerMessage):
    type: Literal["agent.state"] = "agent.state"
    state: AvatarState


class MotionFormat(ServerMessage):
    """The meaning of the numbers in every `agent.motion` that follows."""

    type: Literal["agent.motion.format"] = "agent.motion.format"
    rate_hz: int = MOTION_STREAM_RATE_HZ
    coefficients: tuple[str, ...] = ARKIT
    head: tuple[str, ...] = HEAD


class MotionMessage(ServerMessage):
    type: Literal["agent.motion"] = "agent.motion"
    utterance_id: str | None
    position_s: float
    coefficients: list[list[float]]
    head: list[list[float]]


class MotionCutMessage(ServerMessage):
    type: Literal["agent.motion.cut"] = "agent.motion.cut"
    utterance_id: str
    position_s: float


def _escape_surrogates(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


class ErrorMessage(ServerMessage):
    """An error may quote the client's text. A lone surrogate (JSON's \\ud800) cannot be encoded as UTF-8, so it is
    written as its escape.
    """

    type: Literal["error"] = "error"
    error: Annotated[str, BeforeValidator(_escape_surrogates)]
    code: str


def message_for(event: SessionEvent, features: frozenset[str]) -> ServerMessage | None:
    """Return the message that reports an event to a client with these features, None if it does not want the event."""
    match event:
        case PlaybackStarted() if "playback" in features:
            return PlaybackStartedMessage(utterance_id=event.utterance_id)
        case PlaybackFinished() if "playback" in features:
            return PlaybackFinishedMessage(
                utterance_id=event.utterance_id, position_s=event.position_s, interrupted=event.interrupted
            )
        case SampleCut():
            text = f"audio of utterance '{event.utterance_id}' ended within a sample; PCM16 has two bytes per sample"
            return ErrorMessage(error=text, code=OddAudioLength.code)
        case Expiring() if "lifecycle" in features:
            return SessionExpiring(seconds_left=event.seconds_left)
        case StateChanged() if "state" in features:
            return StateMessage(state=event.state)
        case MotionFrames() if "motion" in features:
            return MotionMessage(
                utterance_id=event.utterance_id,
                position_s=event.position_s,
                coefficients=event.coefficients,
                head=event.heads,
            )
        case MotionCut() if "motion" in features:
            return MotionCutMessage(utterance_id=event.utterance_id, position_s=event.position_s)
    return None
