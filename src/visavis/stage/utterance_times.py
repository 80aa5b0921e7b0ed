"""When one utterance passed through the stage. utterance_log.py sets the times and reports them. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class UtteranceTimes:
    """Times are ns of one monotonic clock, positions are samples at 48 kHz on the session's clock. 0 and None: that has
    not happened yet.
    """

    received_at: int = 0
    received_ns: int = 0
    turn_ns: int = 0  # no earlier utterance was left
    motion_ns: int = 0  # the first motion was certain
    started_at: int | None = None
    frame_at: int | None = None  # the position of its first frame
    frame_ns: int = 0  # that frame was encoded
    packet_ns: int = 0  # that frame left for a viewer
    finished_ns: int = 0
