"""The answer of /v1/sessions/{session_id}/metrics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from visavis.api.schemas.parts import Answer, SessionId
from visavis.sessions.lifecycle import Status


class MetricPercentiles(Answer):
    """In ms, of the last 256 values; null without a value."""

    p50: float | None
    p95: float | None
    p99: float | None


class FrameMetrics(Answer):
    rate: float = Field(description="Frames drawn in the last second")
    wanted_rate: int
    drawn: int = Field(description="Hurried ones included")
    hurried: int
    late: int = Field(description="Left out, because the next frame was due")


class SoundMetrics(Answer):
    blocks: int = Field(description="Of 20 ms")
    underruns: int
    drift_ms: float = Field(description="How far the session's clock is behind the time since its start")


class SpeechMetrics(Answer):
    queued_s: float
    utterances: int = Field(description="That have ended")
    interrupted: int


class LatencyMetrics(Answer):
    """From the turn of an utterance, when no earlier one is left."""

    motion: MetricPercentiles
    frame: MetricPercentiles = Field(description="Its first frame was encoded")
    packet: MetricPercentiles = Field(description="That frame left for a viewer")


class InterruptMetrics(Answer):
    count: int
    confirmed_ms: MetricPercentiles = Field(description="From the channel's interrupt to its confirmation")
    silent_ms: MetricPercentiles = Field(description="From its arrival at the stage until the sound had faded out")


class ViewerMetrics(Answer):
    watching: int
    round_trip_ms: float | None = Field(description="The longest that a viewer reports; null before any report")
    lost_share: float | None = Field(description="The largest share of packets that a viewer reports as lost, 0 to 1")
    bit_rate_share: float = Field(description="How much of the full bit rate is sent, 0.15 to 1: as viewers can take")
    struggling: int = Field(description="Viewers whose network is too bad for any bit rate")
    packets_sent: int
    bytes_sent: int
    dropped_pictures: int = Field(description="Because a viewer could not keep up")
    dropped_blocks: int = Field(description="Of sound, because a viewer could not keep up")


class UtteranceMetrics(Answer):
    """Times in ms count from the arrival of the first audio; null for what has not happened."""

    utterance_id: str
    received_s: float = Field(description="On the session's clock")
    started_s: float | None = Field(description="On the session's clock")
    turn_ms: float | None = Field(description="No earlier utterance was left")
    motion_ms: float | None
    frame_ms: float | None
    packet_ms: float | None
    finished_ms: float
    played_s: float
    interrupted: bool


class SessionMetrics(Answer):
    session_id: SessionId
    status: Status
    performed_s: float
    frames: FrameMetrics
    sound: SoundMetrics
    speech: SpeechMetrics
    latency_ms: LatencyMetrics
    interrupts: InterruptMetrics
    viewers: ViewerMetrics
    utterances: list[UtteranceMetrics] = Field(description="The last 32 that have ended, oldest first")


class SessionMetricsAnswer(Answer):
    success: Literal[True] = True
    metrics: SessionMetrics
