"""Which of a session's events a client is told, and how: each kind only to those who asked for its feature."""

from __future__ import annotations

from visavis.channel import messages
from visavis.channel.messages import ServerMessage
from visavis.channel.port import SessionEvent
from visavis.fleet.port import MotionCut, MotionFrames, PlaybackFinished, PlaybackStarted, StateChanged


def message_of(event: SessionEvent, features: frozenset[str]) -> ServerMessage | None:
    """Return what a client with these features is told of an event."""
    match event:
        case PlaybackStarted() if "playback" in features:
            return messages.PlaybackStartedMessage(utterance_id=event.utterance_id)
        case PlaybackFinished() if "playback" in features:
            finished = messages.PlaybackFinishedMessage
            return finished(utterance_id=event.utterance_id, position_s=event.position_s, interrupted=event.interrupted)
        case StateChanged() if "state" in features:
            return messages.StateMessage(state=event.state)
        case MotionFrames() if "motion" in features:
            return messages.MotionMessage(
                utterance_id=event.utterance_id, position_s=event.position_s, coefficients=event.coefficients, head=event.heads
            )
        case MotionCut() if "motion" in features:
            return messages.MotionCutMessage(utterance_id=event.utterance_id, position_s=event.position_s)
    return None
