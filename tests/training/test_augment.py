"""Speech as bad recordings and bad lines give it: other sound, the same times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.augment import degrade


def burst() -> NDArray[np.int16]:
    """A second of quiet, and in its middle a tenth of a second of a loud harmonic sound."""
    t = np.arange(16000) / 16000
    sound = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 20)) * ((t > 0.45) & (t < 0.55))
    pcm: NDArray[np.int16] = (sound / np.abs(sound).max() * 12000).astype(np.int16)
    return pcm


def test_what_is_spoilt_is_said_at_the_same_times() -> None:
    pcm, clipped = burst(), 0
    for seed in range(40):
        bad = degrade(pcm, np.random.default_rng(seed))
        assert bad.dtype == np.int16 and bad.shape == pcm.shape and not np.array_equal(bad, pcm)
        loud = np.abs(bad.astype(float)) > 0.2 * np.abs(bad).max()
        first, last = np.flatnonzero(loud)[[0, -1]] / 16000
        assert abs(first - 0.45) < 0.012 and abs(last - 0.55) < 0.012, (seed, first, last)
        clipped += bool((np.abs(bad) >= np.abs(bad).max() - 1).sum() > 100)
    assert clipped >= 10, "a good part is cut off flat"


def test_a_seed_spoils_always_alike() -> None:
    assert np.array_equal(degrade(burst(), np.random.default_rng(3)), degrade(burst(), np.random.default_rng(3)))
