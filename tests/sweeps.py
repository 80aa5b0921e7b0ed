"""A sound that tells its own time: its pitch rises steadily, so each piece of what a listener hears tells where in the
sound it is from. A listener's jitter buffer stretches and repeats sound on a busy machine, and leaves its pitch alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

LOW_HZ, HIGH_HZ = 600.0, 1800.0
BLOCK_S = 0.01
EDGE_S, GAP_S = 0.03, 0.04  # what a listener may miss: less than two packets at the edges, two in between


def sweep(seconds: float, rate_hz: int) -> NDArray[np.int16]:
    """Return the sound, int16 (n,)."""
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    turns = LOW_HZ * times_s + (HIGH_HZ - LOW_HZ) / (2 * seconds) * times_s**2
    return (12_000 * np.sin(2 * np.pi * turns)).astype(np.int16)


def pitch_hz(block: NDArray[np.int16], rate_hz: int) -> float:
    """Return the pitch of a block that is not silent."""
    size = 8192
    loudness = np.log(np.abs(np.fft.rfft(block * np.hanning(len(block)), size)) + 1e-9)
    peak = int(np.argmax(loudness[1:-1])) + 1
    before, at, after = loudness[peak - 1 : peak + 2]
    return float(peak + (before - after) / (2 * (before - 2 * at + after))) * rate_hz / size  # of a parabola


def places_s(pitches_hz: Iterable[float], seconds: float) -> list[float]:
    """Return where in a sweep of `seconds` such pitches are from; below 0 what is not of it."""
    return [(pitch - LOW_HZ) / (HIGH_HZ - LOW_HZ) * seconds for pitch in pitches_hz]


def assert_whole(heard_s: Sequence[float], seconds: float) -> None:
    """Raises `AssertionError` unless all places of a sweep were heard. A block at an edge may seem to be from anywhere:
    it is partly silent.
    """
    places = [0.0, *sorted(place for place in heard_s if 0 <= place <= seconds), seconds]
    gaps = np.diff(places)
    assert gaps[0] < EDGE_S and gaps[-1] < EDGE_S and gaps.max() < GAP_S, [round(place, 3) for place in heard_s]
