"""The events of a performance. They are created on the stage and passed unchanged to the session's channel."""

from __future__ import annotations

from typing import Literal

import msgspec

from visavis.engine.motion.states import AvatarState


class FirstFrameSent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first video packet has left for a viewer, or sound for one that takes sound alone. Metering starts."""


class ViewerJoined(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A viewer has begun to receive media. `viewers`: how many watch now."""

    viewer_id: str
    viewers: int


class ViewerLeft(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A viewer has left. `viewers`: how many watch now."""

    viewer_id: str
    viewers: int


class PlaybackStarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first sample of an utterance is played."""

    utterance_id: str


class PlaybackFinished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The end of an utterance, exactly one for each: when its last sample has been played, or at once at an interrupt.

    `position_s`: how much of it was played.
    """

    utterance_id: str
    position_s: float
    interrupted: bool


class SampleCut(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The audio of an utterance ended in the middle of a sample, whose first byte was dropped: at the end of the
    utterance, or before its sample rate changed.
    """

    utterance_id: str


class StateChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The avatar's new state, in order with the playback events.

    "speaking" lasts from the first sample of an utterance to the last sample of the utterances that follow it without a
    gap.
    """

    state: AvatarState


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
    """The utterance was interrupted at `position_s` of its audio: its motion frames from there on are void."""

    utterance_id: str
    position_s: float


class PerformerMetrics(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Metrics of the last second. `frames`: drawn frames; `hurried_frames`: those of them that were drawn hurried;
    `late_frames`: frames that were left out; `queued_s`: speech that waits to be played. `sample_to_frame_ms_…`: the
    time from a sample's arrival to its encoded frame.
    """

    frames: int
    late_frames: int
    hurried_frames: int = 0
    queued_s: float
    sample_to_frame_ms_p50: float | None = None
    sample_to_frame_ms_p95: float | None = None


class PerformerEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The last event of every performance.

    `reason`: "ended" after `end`; "lost" if the performance failed, its stage died or the connection broke.
    """

    reason: Literal["ended", "lost"]
    detail: str = ""


SpeechEvent = PlaybackStarted | PlaybackFinished | SampleCut | StateChanged
MotionEvent = MotionFrames | MotionCut
PerformerEvent = (
    FirstFrameSent | ViewerJoined | ViewerLeft | SpeechEvent | MotionEvent | PerformerMetrics | PerformerEnded
)
