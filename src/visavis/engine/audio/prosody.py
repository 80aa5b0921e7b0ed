"""How loud, how high and how stressed: what nods, brows and the size of a jaw's movement follow. Cheap, causal, one frame at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import FFT_SIZE, RATE_HZ, WINDOW_SAMPLES

_QUIET_DB = -88.0  # below this nothing is heard at all
_RANGE_DB = 36.0  # loudness 0 lies this far below the peak of late
_LOWEST_HZ, _HIGHEST_HZ = 70.0, 400.0
_VOICED = 0.25  # normalised autocorrelation of a voiced frame; white noise stays below it in 99 frames of 100
_SHORT, _LONG = np.float32(0.12), np.float32(0.008)  # of one-pole means: 80 ms and 1.2 s

_USUAL = 0.35  # the slow mean to start from: that of ordinary speech
_FIRST_LAG, _LAST_LAG = int(RATE_HZ / _HIGHEST_HZ), int(RATE_HZ / _LOWEST_HZ)
_HANN = np.hanning(WINDOW_SAMPLES + 1)[:-1]
_HANN_CORRELATION = np.fft.irfft(np.abs(np.fft.rfft(_HANN, 2 * FFT_SIZE)) ** 2)[: _LAST_LAG + 2]
_HANN_CORRELATION = np.sqrt(np.maximum(_HANN_CORRELATION / _HANN_CORRELATION[0], 0.3)).astype(np.float32)
_BINS_HZ = np.arange(FFT_SIZE // 2 + 1) * RATE_HZ / FFT_SIZE
_BAND = ((_BINS_HZ > 60) & (_BINS_HZ < 2500)).astype(np.float32)  # what voices are made of


@dataclass(frozen=True, slots=True, kw_only=True)
class ProsodyStep:
    """`loudness` 0 to 1 relative to the voice's own peaks, `pitch_hz` 0 where unvoiced, `stress` 0 to 1."""

    loudness: float
    pitch_hz: float
    stress: float


SILENT_STEP = ProsodyStep(loudness=0.0, pitch_hz=0.0, stress=0.0)


def pitch_of(power: NDArray[np.float32]) -> float:
    """Return the pitch in Hz of one power spectrum (257,), or 0 where no period stands out of the magnitudes (after Boersma 1993)."""
    correlation = np.fft.irfft(np.sqrt(power) * _BAND)[: _LAST_LAG + 2]
    if correlation[0] <= 1e-12:
        return 0.0
    normalised = correlation / correlation[0] / _HANN_CORRELATION
    part = normalised[_FIRST_LAG : _LAST_LAG + 1]
    lag = int(np.argmax(part))
    if part[lag] < _VOICED or lag == 0:
        return 0.0
    lag += _FIRST_LAG
    before, peak, after = float(normalised[lag - 1]), float(normalised[lag]), float(normalised[lag + 1])
    curve = before - 2 * peak + after
    shift = 0.5 * (before - after) / curve if curve < 0 else 0.0
    return RATE_HZ / (lag + max(-0.5, min(0.5, shift)))


class Prosody:
    """One stream's loudness, pitch and stress."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._short, self._long = 0.0, _USUAL  # fast and slow means of the loudness of what is voiced; move with every frame
        self._pitch = 0.0  # slow mean of the pitch in octaves over 100 Hz; moves while voiced

    def take(self, power: NDArray[np.float32], level_db: float, peak_db: float) -> ProsodyStep:
        """Take one frame's spectrum, its level and the peak level of late (dB)."""
        loudness = 0.0 if level_db < _QUIET_DB else min(1.0, max(0.0, 1.0 + (level_db - peak_db) / _RANGE_DB))
        pitch_hz = pitch_of(power) if loudness > 0.3 else 0.0
        rise = 0.0
        if pitch_hz:
            octaves = float(np.log2(pitch_hz / 100.0))
            self._pitch = octaves if self._pitch == 0.0 else self._pitch + float(_LONG) * (octaves - self._pitch)
            rise = max(0.0, min(0.6, octaves - self._pitch))
        self._short += float(_SHORT) * ((loudness if pitch_hz else 0.0) - self._short)
        self._long += float(_LONG) * (self._short - self._long)
        stress = min(1.0, max(0.0, 2.5 * (self._short - self._long) + 0.8 * rise * self._short))
        return ProsodyStep(loudness=loudness, pitch_hz=pitch_hz, stress=stress)
