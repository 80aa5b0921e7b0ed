"""Loudness, pitch and stress of speech. Nods, brows and the size of the jaw's movement follow them.

The estimates are cheap and causal.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import FFT_SIZE, RATE_HZ, WINDOW_SAMPLES, matmul_by_row

_QUIET_DB = -88.0  # below this level the loudness is 0
_RANGE_DB = 36.0  # a loudness of 0 lies this far below the peak level
_LOWEST_HZ, _HIGHEST_HZ = 70.0, 400.0  # of a pitch
_VOICED = 0.25  # the least normalised autocorrelation of a voiced frame; 99 % of white noise's frames stay below it
_FAST, _SLOW = 0.12, 0.008  # coefficients of one-pole means: 80 ms and 1.2 s

_USUAL_MEAN = 0.35  # the slow mean of ordinary speech; a stream begins with it
_FIRST_LAG, _LAST_LAG = int(RATE_HZ / _HIGHEST_HZ), int(RATE_HZ / _LOWEST_HZ)
_FIRST_BIN, _LAST_BIN = 2, 79  # 62 to 2470 Hz: the main part of a voice


def _autocorrelation_matrix() -> NDArray[np.float32]:
    """Return the matrix that turns magnitudes of the bins into autocorrelations, float32 (bins, 1 + lags): lag 0, then
    the lags from _FIRST_LAG - 1 on.

    Each is divided by the autocorrelation of the window, as in Boersma (1993), so that long periods are not
    underestimated.
    """
    hann = np.hanning(WINDOW_SAMPLES + 1)[:-1]
    fall = np.fft.irfft(np.abs(np.fft.rfft(hann, 2 * FFT_SIZE)) ** 2)[: _LAST_LAG + 2]
    fall = np.sqrt(np.maximum(fall / fall[0], 0.3))
    lags = np.concatenate([[0], np.arange(_FIRST_LAG - 1, _LAST_LAG + 2)])
    bins = np.arange(_FIRST_BIN, _LAST_BIN + 1)
    waves: NDArray[np.float32] = (np.cos(2 * np.pi * bins[:, None] * lags / FFT_SIZE) / fall[lags]).astype(np.float32)
    return waves


_AUTOCORRELATION = _autocorrelation_matrix()
_PITCH_FROM_LOUDNESS = 0.3  # below this loudness no pitch is reported
# Stress: how far the fast mean is above the slow one, and how far the pitch is above its own mean.
_STRESS_BY_LOUDNESS, _STRESS_BY_PITCH, _RISE_MOST_OCTAVES = 2.5, 0.8, 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class ProsodyStep:
    """The prosody of one step. `loudness`: 0 to 1, relative to the peaks of the same voice; `pitch_hz`: 0 if unvoiced;
    `stress`: 0 to 1.
    """

    loudness: float
    pitch_hz: float
    stress: float


def pitches_of(power: NDArray[np.float32]) -> list[float]:
    """Return the pitch of each power spectrum of (n, 257) in Hz, or 0 if it is unvoiced (after Boersma 1993)."""
    correlations = matmul_by_row(np.sqrt(power[:, _FIRST_BIN : _LAST_BIN + 1]), _AUTOCORRELATION)
    pitches = []
    for row, place in zip(correlations, correlations[:, 2:-1].argmax(axis=1).tolist(), strict=True):
        whole, (before, peak, after) = float(row[0]), row[place + 1 : place + 4].tolist()
        if whole <= 1e-9 or peak < _VOICED * whole or place == 0:
            pitches.append(0.0)
            continue
        curve = before - 2 * peak + after
        shift = 0.5 * (before - after) / curve if curve < 0 else 0.0
        pitches.append(RATE_HZ / (_FIRST_LAG + place + max(-0.5, min(0.5, shift))))
    return pitches


class Prosody:
    """The loudness, pitch and stress of one stream."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        # Fast and slow mean of the loudness of voiced frames; they change with every frame.
        self._fast, self._slow = 0.0, _USUAL_MEAN
        self._pitch = 0.0  # slow mean of the pitch, octaves above 100 Hz; changes with every voiced frame

    def take(self, power: NDArray[np.float32], levels_db: list[float], peaks_db: list[float]) -> list[ProsodyStep]:
        """Take the power spectra of frames, (n, 257), their levels and the peak levels in dB."""
        pitches_hz = pitches_of(power)
        return [self._step(*frame) for frame in zip(pitches_hz, levels_db, peaks_db, strict=True)]

    def _step(self, pitch_hz: float, level_db: float, peak_db: float) -> ProsodyStep:
        loudness = 0.0 if level_db < _QUIET_DB else min(1.0, max(0.0, 1.0 + (level_db - peak_db) / _RANGE_DB))
        rise = 0.0
        if loudness <= _PITCH_FROM_LOUDNESS:
            pitch_hz = 0.0
        if pitch_hz:
            octaves = log2(pitch_hz / 100.0)
            self._pitch = octaves if self._pitch == 0.0 else self._pitch + _SLOW * (octaves - self._pitch)
            rise = max(0.0, min(_RISE_MOST_OCTAVES, octaves - self._pitch))
        self._fast += _FAST * ((loudness if pitch_hz else 0.0) - self._fast)
        self._slow += _SLOW * (self._fast - self._slow)
        stress = _STRESS_BY_LOUDNESS * (self._fast - self._slow) + _STRESS_BY_PITCH * rise * self._fast
        stress = min(1.0, max(0.0, stress))
        return ProsodyStep(loudness=loudness, pitch_hz=pitch_hz, stress=stress)
