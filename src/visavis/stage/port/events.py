"""The events of a performance. They are created on the stage and passed unchanged to the session's channel."""

from __future__ import annotations

from typing import Literal

import msgspec

from visavis.engine.motion.states import AvatarState
from visavis.rooms.spec import RoomEnd


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


class PlaybackProgress(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """So much of an utterance has been played, in samples at 48 kHz: every 100 ms while it plays. For the fleet alone,
    which keeps the rest of it in case the stage is lost.
    """

    utterance_id: str
    played_samples: int


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


class ViewerQuality(msgspec.Struct, frozen=True, kw_only=True):
    """What one viewer last reported (RTCP, RFC 3550): the time of a packet to it and back, and the share of packets
    that it lost.
    """

    round_trip_ms: float | None = None
    lost_share: float = 0.0


class PerformerMetrics(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Metrics of the time since the last event of this kind: one second, or less at the end.

    `duration_s`: that time. `fps`: the frame rate to show. `frames`: drawn frames; `hurried_frames`: those of them that
    were drawn hurried; `late_frames`: frames that were left out. `blocks`: blocks of sound. `dropped_blocks`,
    `dropped_pictures`: packets that were dropped because a viewer could not keep up. `queued_s`: speech that waits to
    be played. `behind_ms`: how far the session's clock is behind the time since its start.
    `interrupts`: how many there were; `silent_ms`: for each of them but at most MAX_INTERRUPTS, the time from its
    arrival until the sound had faded out. `unmeasured`: utterances that ended without an `UtteranceMeasured`, because
    there were too many. `packets_sent`, `bytes_sent`: RTP packets and their payload, to all viewers.
    `packets_resent`: lost ones that were sent again; `requests_refused`: how many lost packets and datagrams of viewers
    were passed over: too many, or such as no room reads. `never_connected`: viewers that were removed because they did
    not connect. `bit_rate_share`: how much of the full bit rate viewers take; `struggling`: how many of them have too
    bad a network for any bit rate.
    `sample_to_frame_ms_…`: the time from a sample's arrival to its encoded frame.
    """

    duration_s: float = 1.0
    fps: int = 0
    frames: int
    late_frames: int
    hurried_frames: int = 0
    blocks: int = 0
    dropped_blocks: int = 0
    dropped_pictures: int = 0
    queued_s: float
    behind_ms: float = 0.0
    underruns: int = 0
    interrupts: int = 0
    silent_ms: tuple[float, ...] = ()
    unmeasured: int = 0
    viewers: tuple[ViewerQuality, ...] = ()
    packets_sent: int = 0
    bytes_sent: int = 0
    packets_resent: int = 0
    requests_refused: int = 0
    never_connected: int = 0
    bit_rate_share: float = 1.0
    struggling: int = 0
    sample_to_frame_ms_p50: float | None = None
    sample_to_frame_ms_p95: float | None = None


class UtteranceMeasured(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """When an utterance passed through the stage, sent once, shortly after its end.

    `received_s`, `started_s`: the positions of the session's clock at which its first audio arrived and was played.
    `played_s`: how much of it was played. The other times count from the arrival of its first audio: `turn_ms`, when no
    earlier utterance was left; `motion_ms`, when the first motion was certain; `frame_ms`, when the first frame was
    encoded; `packet_ms`, when this frame left for a viewer; `finished_ms`. None: that has not happened.
    """

    utterance_id: str
    received_s: float
    started_s: float | None = None
    turn_ms: float | None = None
    motion_ms: float | None = None
    frame_ms: float | None = None
    packet_ms: float | None = None
    finished_ms: float
    played_s: float
    interrupted: bool


class PerformanceMoved(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The session goes on on another stage, because its own is lost. Its viewers have left and may come back.
    `after_s`: how long it had no stage. It comes from the fleet.
    """

    after_s: float
    detail: str = ""


class RoomEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The avatar is no longer in its room, which another server keeps: the session ends. `end`: see
    `rooms.port.RoomEnd`.
    """

    end: RoomEnd
    detail: str = ""


class RoomCalled(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The agent in the session's room asks for something that the service does. Answered by `AnswerCall`."""

    call_id: str
    method: str
    payload: str


class SegmentsOpen(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The segments of speech from the room that have not ended: by id, the participants that have sent them. If the
    stage is lost, the room of the next one tells their ends. A server that stops waits for them.
    """

    agents: dict[str, str]


class RoomTokenRefreshed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The server of the session's room has given the avatar another token. For the fleet alone: if the stage is lost,
    the next one joins with it.
    """

    token: str


class PerformerEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The last event of every performance.

    `reason`: "ended" after `end`; "lost" if the performance failed, its stage died or the connection broke; "taken" if
    another server performs the session from now on: then nothing has ended but this server's part in it.
    """

    reason: Literal["ended", "lost", "taken"]
    detail: str = ""


PlaybackEvent = PlaybackStarted | PlaybackFinished | SampleCut
"""What becomes of speech: each of these is told to the client, whoever dies meanwhile."""

SpeechEvent = PlaybackEvent | StateChanged
MotionEvent = MotionFrames | MotionCut
MetricsEvent = PerformerMetrics | UtteranceMeasured
DroppableEvent = MetricsEvent | MotionFrames | PlaybackProgress
"""Events that may be dropped: later ones of their kind tell enough."""

PerformerEvent = (
    FirstFrameSent
    | ViewerJoined
    | ViewerLeft
    | SpeechEvent
    | PlaybackProgress
    | MotionEvent
    | MetricsEvent
    | PerformanceMoved
    | RoomEnded
    | RoomCalled
    | SegmentsOpen
    | RoomTokenRefreshed
    | PerformerEnded
)
