"""Receivers of media: what they need not make, and from which RTP time they count."""

from __future__ import annotations

from typing import Any

import aiortc.rtcrtpreceiver
from aiortc import RTCRtpReceiver


def delay_bit_rate_estimators() -> None:
    """Let a receiver of video make its estimator when the first packet comes. It has a thousand counters, and a peer
    that only sends never uses them.
    """
    estimator = aiortc.rtcrtpreceiver.RemoteBitrateEstimator  # type: ignore[attr-defined]

    class LateEstimator:
        def __init__(self) -> None:
            self._estimator: Any = None

        def add(self, *args: Any, **named: Any) -> Any:
            if self._estimator is None:
                self._estimator = estimator()
            return self._estimator.add(*args, **named)

    aiortc.rtcrtpreceiver.RemoteBitrateEstimator = LateEstimator  # type: ignore[attr-defined,assignment]


def first_rtp_timestamp(receiver: RTCRtpReceiver) -> int:
    """Return the RTP time from which the receiver counts the pts of its frames. Requires that a frame has come."""
    timestamp: int = receiver._RTCRtpReceiver__timestamp_mapper._origin  # type: ignore[attr-defined]
    return timestamp
