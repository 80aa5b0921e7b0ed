"""The server's messages to a client, as they are on the wire: replies to its messages, errors, and the session's
events.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict

from visavis.channel.port import Expiring, SessionEvent, TextFailed
from visavis.engine.motion.arkit_names import ARKIT, HEAD, MOTION_STREAM_RATE_HZ
from visavis.engine.motion.states import AvatarState
from visavis.errors import OddAudioLength
from visavis.stage.port.events import (
    MotionCut,
    MotionFrames,
    PerformerMetrics,
    PlaybackFinished,
    PlaybackStarted,
    SampleCut,
    StateChanged,
    UtteranceMeasured,
)


class ServerMessage(BaseModel):
    """One text frame to the client. Its members keep the order of declaration, `type` first."""

    model_config = ConfigDict(frozen=True)


class ConnectionEstablished(ServerMessage):
    type: Literal["connection.established"] = "connection.established"
    session_id: str


class ConnectionEstablishedResumable(ServerMessage):
    """With the feature "resume". `resumed`: the conversation goes on. `received`: how many messages of the client the
    server has taken in it; the client sends the later ones again.
    """

    type: Literal["connection.established"] = "connection.established"
    session_id: str
    resumed: bool
    received: int


class SpeakConfirmed(ServerMessage):
    type: Literal["agent.speak.confirmed"] = "agent.speak.confirmed"
    audio_samples: int


class SpeakConfirmedWithQueue(ServerMessage):
    """`SpeakConfirmed` with the feature "queued"."""

    type: Literal["agent.speak.confirmed"] = "agent.speak.confirmed"
    audio_samples: int
    queued_s: float


class SayConfirmed(ServerMessage):
    """With the feature "text"."""

    type: Literal["agent.say.confirmed"] = "agent.say.confirmed"
    utterance_id: str


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


class SessionMetricsMessage(ServerMessage):
    """The figures of the last second."""

    type: Literal["session.metrics"] = "session.metrics"
    frame_rate: float
    wanted_frame_rate: int
    frames: int
    hurried_frames: int
    late_frames: int
    queued_s: float
    underruns: int
    interrupts: int
    drift_ms: float
    sample_to_frame_ms: float | None
    viewers: int
    round_trip_ms: float | None
    lost_share: float | None
    dropped_pictures: int
    dropped_blocks: int
    bytes_sent: int

    @classmethod
    def of(cls, second: PerformerMetrics) -> SessionMetricsMessage:
        round_trips_ms = [one.round_trip_ms for one in second.viewers if one.round_trip_ms is not None]
        return cls(
            frame_rate=round(second.frames / second.duration_s, 1) if second.duration_s else 0.0,
            wanted_frame_rate=second.fps,
            frames=second.frames,
            hurried_frames=second.hurried_frames,
            late_frames=second.late_frames,
            queued_s=second.queued_s,
            underruns=second.underruns,
            interrupts=second.interrupts,
            drift_ms=second.behind_ms,
            sample_to_frame_ms=second.sample_to_frame_ms_p50,
            viewers=len(second.viewers),
            round_trip_ms=max(round_trips_ms, default=None),
            lost_share=max((one.lost_share for one in second.viewers), default=None),
            dropped_pictures=second.dropped_pictures,
            dropped_blocks=second.dropped_blocks,
            bytes_sent=second.bytes_sent,
        )


class UtteranceMetricsMessage(ServerMessage):
    """When one utterance passed through the stage. Times in ms count from the arrival of its first audio."""

    type: Literal["utterance.metrics"] = "utterance.metrics"
    utterance_id: str
    received_s: float
    started_s: float | None
    turn_ms: float | None
    motion_ms: float | None
    frame_ms: float | None
    packet_ms: float | None
    finished_ms: float
    played_s: float
    interrupted: bool

    @classmethod
    def of(cls, measured: UtteranceMeasured) -> UtteranceMetricsMessage:
        return cls(**msgspec.structs.asdict(measured))


def _escape_surrogates(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


class ErrorMessage(ServerMessage):
    """An error may quote the client's text. A lone surrogate (JSON's \\ud800) cannot be encoded as UTF-8, so it is
    written as its escape.
    """

    type: Literal["error"] = "error"
    error: Annotated[str, BeforeValidator(_escape_surrogates)]
    code: str


class WarningMessage(ServerMessage):
    """Audio sounds as if it had another `encoding` than the one in which it is taken. Once in a channel, with the
    feature "metrics" or where the client has named an encoding.
    """

    type: Literal["warning"] = "warning"
    warning: str
    encoding: str


class TextErrorMessage(ServerMessage):
    """With the feature "text": the text of an utterance is not spoken to its end."""

    type: Literal["error"] = "error"
    error: str
    code: str
    utterance_id: str


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
        case TextFailed() if "text" in features:
            text = f"text of utterance '{event.utterance_id}' was not spoken to its end: {event.message}"
            return TextErrorMessage(error=text, code=event.code, utterance_id=event.utterance_id)
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
        case PerformerMetrics() if "metrics" in features:
            return SessionMetricsMessage.of(event)
        case UtteranceMeasured() if "metrics" in features:
            return UtteranceMetricsMessage.of(event)
    return None
