"""What a performance tells: the port's own events, made where they happen and handed on unchanged to the channel."""

from __future__ import annotations

from typing import Literal

import msgspec

from visavis.engine.motion.states import State


class FirstFrameSent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first video packet left for a viewer: metering starts."""


class ViewerJoined(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`viewers`: how many watch now."""

    viewer_id: str
    viewers: int


class ViewerLeft(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`viewers`: how many watch now."""

    viewer_id: str
    viewers: int


class PlaybackStarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first sample of an utterance is heard."""

    utterance_id: str


class PlaybackFinished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The end of an utterance, told exactly once: when its last sample has been played, or at once when it is cut.

    `position_s`: how much of it was heard.
    """

    utterance_id: str
    position_s: float
    interrupted: bool


class StateChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The avatar's state from here on, in order with the playback events.

    It is "speaking" from the first sample of an utterance to the last sample of the utterances that follow at once.
    """

    state: State


class MotionFrames(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Consecutive motion frames at MOTION_STREAM_RATE_HZ (engine/motion/arkit_names.py).

    `position_s`: of the first frame, in the utterance's audio; without an utterance, on the session's clock.
    `coefficients`: of each frame, in the order of ARKIT. `heads`: yaw, pitch and roll of each frame, in degrees.
    """

    utterance_id: str | None
    position_s: float
    coefficients: list[list[float]]
    heads: list[list[float]]


class MotionCut(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The utterance was cut at `position_s` of its audio: its motion frames from there on are void."""

    utterance_id: str
    position_s: float


class PerformerMetrics(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Figures of the last second: frames shown and late, and milliseconds from a sample's arrival to its encoded frame.

    `hurried_frames`: drawn a little behind their time, with less care for what hardly moves.
    """

    frames: int
    late_frames: int
    hurried_frames: int = 0
    queued_s: float
    sample_to_frame_ms_p50: float | None = None
    sample_to_frame_ms_p95: float | None = None


class PerformerEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The last event of a performance, always told.

    `reason`: "ended" after `end`; "lost" when the performance failed, its stage died or the connection broke.
    """

    reason: Literal["ended", "lost"]
    detail: str = ""


SpeechEvent = PlaybackStarted | PlaybackFinished | StateChanged
MotionEvent = MotionFrames | MotionCut
PerformerEvent = (
    FirstFrameSent | ViewerJoined | ViewerLeft | SpeechEvent | MotionEvent | PerformerMetrics | PerformerEnded
)
