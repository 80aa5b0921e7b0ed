"""How loud, how high and how stressed: what nods, brows and the size of a jaw's movement follow. Cheap and causal."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import FFT_SIZE, RATE_HZ, WINDOW_SAMPLES, rows_times

_QUIET_DB = -88.0  # below this nothing is heard at all
_RANGE_DB = 36.0  # loudness 0 lies this far below the peak of late
_LOWEST_HZ, _HIGHEST_HZ = 70.0, 400.0
_VOICED = 0.25  # normalised autocorrelation of a voiced frame; white noise stays below it in 99 frames of 100
_SHORT, _LONG = 0.12, 0.008  # of one-pole means: 80 ms and 1.2 s

_USUAL = 0.35  # the slow mean to start from: that of ordinary speech
_FIRST_LAG, _LAST_LAG = int(RATE_HZ / _HIGHEST_HZ), int(RATE_HZ / _LOWEST_HZ)
_FIRST_BIN, _LAST_BIN = 2, 79  # 62 to 2470 Hz: what voices are made of


def _correlating() -> NDArray[np.float32]:
    """Return what turns the magnitudes of a voice's bins into autocorrelations, float32 (bins, 1 + lags): of lag 0,
    then from _FIRST_LAG - 1 on.

    Each is divided by the autocorrelation of the window, as Boersma (1993) does, so that long periods are not held
    back.
    """
    hann = np.hanning(WINDOW_SAMPLES + 1)[:-1]
    fall = np.fft.irfft(np.abs(np.fft.rfft(hann, 2 * FFT_SIZE)) ** 2)[: _LAST_LAG + 2]
    fall = np.sqrt(np.maximum(fall / fall[0], 0.3))
    lags = np.concatenate([[0], np.arange(_FIRST_LAG - 1, _LAST_LAG + 2)])
    bins = np.arange(_FIRST_BIN, _LAST_BIN + 1)
    waves: NDArray[np.float32] = (np.cos(2 * np.pi * bins[:, None] * lags / FFT_SIZE) / fall[lags]).astype(np.float32)
    return waves


_CORRELATING = _correlating()
_LOUD_ENOUGH = 0.3  # no pitch is looked for below this loudness


@dataclass(frozen=True, slots=True, kw_only=True)
class ProsodyStep:
    """`loudness` 0 to 1 relative to the voice's own peaks, `pitch_hz` 0 where unvoiced, `stress` 0 to 1."""

    loudness: float
    pitch_hz: float
    stress: float


SILENT_STEP = ProsodyStep(loudness=0.0, pitch_hz=0.0, stress=0.0)


def pitches_of(power: NDArray[np.float32]) -> list[float]:
    """Return the pitch in Hz of each power spectrum of (n, 257), or 0 where no period stands out of the magnitudes
    (after Boersma 1993).
    """
    correlations = rows_times(np.sqrt(power[:, _FIRST_BIN : _LAST_BIN + 1]), _CORRELATING)
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
    """One stream's loudness, pitch and stress."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        # fast and slow means of the loudness of what is voiced; move with every frame
        self._short, self._long = 0.0, _USUAL
        self._pitch = 0.0  # slow mean of the pitch in octaves over 100 Hz; moves while voiced

    def take(self, power: NDArray[np.float32], levels_db: list[float], peaks_db: list[float]) -> list[ProsodyStep]:
        """Take the spectra of frames, (n, 257), their levels and the peak levels of late (dB)."""
        pitches_hz = pitches_of(power)
        return [self._step(*frame) for frame in zip(pitches_hz, levels_db, peaks_db, strict=True)]

    def _step(self, pitch_hz: float, level_db: float, peak_db: float) -> ProsodyStep:
        loudness = 0.0 if level_db < _QUIET_DB else min(1.0, max(0.0, 1.0 + (level_db - peak_db) / _RANGE_DB))
        rise = 0.0
        if loudness <= _LOUD_ENOUGH:
            pitch_hz = 0.0
        if pitch_hz:
            octaves = log2(pitch_hz / 100.0)
            self._pitch = octaves if self._pitch == 0.0 else self._pitch + _LONG * (octaves - self._pitch)
            rise = max(0.0, min(0.6, octaves - self._pitch))
        self._short += _SHORT * ((loudness if pitch_hz else 0.0) - self._short)
        self._long += _LONG * (self._short - self._long)
        stress = min(1.0, max(0.0, 2.5 * (self._short - self._long) + 0.8 * rise * self._short))
        return ProsodyStep(loudness=loudness, pitch_hz=pitch_hz, stress=stress)
