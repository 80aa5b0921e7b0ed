"""The clock of a performance: the number of sound samples played, at 48 kHz.

A `position` is such a number, counted from the start of the performance. It is an integer, never a sum of floats.
"""

from __future__ import annotations

PLAYOUT_RATE_HZ = 48_000  # what Opus and WebRTC run at
BLOCK_SAMPLES = 960  # 20 ms: one Opus packet
STEP_SAMPLES = 480  # 10 ms: one row of motion
SAMPLES_PER_MS = PLAYOUT_RATE_HZ // 1000


def seconds(samples: int) -> float:
    """Return how long `samples` last, in seconds, for the events of the port."""
    return samples / PLAYOUT_RATE_HZ


def duration_ns(samples: int) -> int:
    """Return how long `samples` last, in whole nanoseconds."""
    return samples * 1_000_000_000 // PLAYOUT_RATE_HZ


def frame_position(number: int, fps: int) -> int:
    """Return the position of frame `number`."""
    return number * PLAYOUT_RATE_HZ // fps
