"""A second opinion from natural speech: which sounds of English a frame could be, as the acoustic model of CMU Sphinx would say.

Synthesised voices alone leave a network deaf to many natural closures. The US English model of PocketSphinx (BSD licence) was trained on a great deal
of natural speech; a small network that learned its answers (training/listen.py) is heard here, beside the mel. It gets cepstra as Sphinx makes them
(`1s_c_d_dd`): 13 of 25 mel bands, with their differences over 4 and 6 steps; the mean is taken off as it runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import mel_filters

DELAY_STEPS = 3  # the second difference needs three frames more
CEPSTRA = 13
DYNAMIC = 3 * CEPSTRA
SCORES = 126  # three states for each of 42 phones
_BANDS, _LOW_HZ, _HIGH_HZ, _LIFTER = 25, 130.0, 6800.0, 22
_NATS_PER_DB = np.float32(np.log(10) / 10)
_PRIOR_FRAMES, _LONGEST_FRAMES, _ACTIVE_DB = 120.0, 600.0, 40.0
# The mean of speech whose peak is 0 dB: of five synthesised voices.
_PRIOR_MEAN = np.array([-35.3, 1.2, 2.4, 22.3, -7.0, 3.1, -0.5, -7.8, -3.1, -1.6, 4.7, -0.3, 0.3], np.float32)
_FLOOR = np.float32(1e-10)

Array = NDArray[np.float32]

_FILTERS = mel_filters(_BANDS, _LOW_HZ, _HIGH_HZ)


def _cosines() -> Array:
    """Return the liftered orthonormal DCT-II, float32 (_BANDS, CEPSTRA)."""
    k, n = np.arange(CEPSTRA)[None, :], np.arange(_BANDS)[:, None]
    table = np.cos(np.pi * k * (n + 0.5) / _BANDS) * np.sqrt(2.0 / _BANDS)
    table[:, 0] /= np.sqrt(2.0)
    return (table * (1.0 + _LIFTER / 2 * np.sin(np.pi * k / _LIFTER))).astype(np.float32)


_DCT = _cosines()


def cepstra(power: Array, peak_db: Array | float) -> Array:
    """Return cepstra, float32 (..., CEPSTRA), of power spectra (..., 257), the peak level of late being 0."""
    nats = np.log(power @ _FILTERS.T + _FLOOR) - np.asarray(peak_db, np.float32)[..., None] * _NATS_PER_DB
    return nats @ _DCT


class RunningMean:
    """The cepstral mean of one stream, from a prior towards the voice; moves with every frame that is not silence."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._mean, self._seen = _PRIOR_MEAN.copy(), _PRIOR_FRAMES

    def take(self, frame: Array, below_peak_db: float) -> Array:
        if below_peak_db < _ACTIVE_DB:
            self._seen = min(self._seen + 1.0, _LONGEST_FRAMES)
            self._mean += (frame - self._mean) * np.float32(1.0 / self._seen)
        return frame - self._mean


class CepstraStream:
    """One stream of [c, d, dd]; `take` returns those of the frame DELAY_STEPS before."""

    def __init__(self) -> None:
        self._mean = RunningMean()
        self.reset()

    def reset(self) -> None:
        self._mean.reset()
        self._recent: Array | None = None  # the last 7 frames, oldest first; the first frame stands for what was before it

    def take(self, power: Array, level_db: float, peak_db: float) -> Array:
        """Take the power spectrum (257,) of frame t, its level and the peak of late; return float32 (DYNAMIC,) of frame t - DELAY_STEPS."""
        frame = self._mean.take(cepstra(power, peak_db), peak_db - level_db)
        if self._recent is None:
            self._recent = np.tile(frame, (7, 1))
        self._recent[:-1] = self._recent[1:].copy()
        self._recent[-1] = frame
        r = self._recent
        return np.concatenate([r[3], r[5] - r[1], (r[6] - r[2]) - (r[4] - r[0])])  # Sphinx: d[t] = c[t+2] - c[t-2], dd[t] = d[t+1] - d[t-1]


def dynamics_of(power: Array, level_db: Array, peak_db: Array) -> Array:
    """Return the same of a whole recording, float32 (n, DYNAMIC), row t for frame t - DELAY_STEPS: the stream's, to rounding. For training."""
    if not len(power):
        return np.zeros((0, DYNAMIC), np.float32)
    mean = RunningMean()
    rows = [mean.take(row, peak - level) for row, level, peak in zip(cepstra(power, peak_db), level_db, peak_db, strict=True)]
    r = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.repeat(rows[0][None], 6, axis=0), np.stack(rows)]), 7, axis=0)
    return np.concatenate([r[..., 3], r[..., 5] - r[..., 1], (r[..., 6] - r[..., 2]) - (r[..., 4] - r[..., 0])], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """The small network: three layers of (inputs, outputs) weights with their biases; `scale` (DYNAMIC,) brings the input to about one."""

    scale: Array
    w1: Array
    b1: Array
    w2: Array
    b2: Array
    w3: Array
    b3: Array

    def hear(self, dynamic: Array) -> Array:
        """Return the flattened log posteriors of the states of Sphinx' phones, float32 (..., SCORES)."""
        x = np.maximum((dynamic * self.scale) @ self.w1 + self.b1, np.float32(0))
        x = np.maximum(x @ self.w2 + self.b2, np.float32(0))
        x = x @ self.w3 + self.b3
        x = x - x.max(axis=-1, keepdims=True)
        return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
