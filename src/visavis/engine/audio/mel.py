"""Log-mel spectra every 10 ms, the input of the network, with a running normalisation that never looks ahead.

The normalisation removes the level of the voice and the colour of the microphone. Frame k is centred on the middle of
step k (samples [k*160, (k+1)*160) at 16 kHz) and spans 25 ms, so it is known once step k + 1 is complete.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
STEP_SAMPLES = 160
WINDOW_SAMPLES = 400
FFT_SIZE = 512
MEL_BANDS = 40
FRAME_LEAD_STEPS = 1  # frame k needs the samples of step k + 1

_LEFT = (WINDOW_SAMPLES - STEP_SAMPLES) // 2  # samples of a frame that lie before its own step
_PRE_EMPHASIS = 0.97
LOW_HZ, HIGH_HZ = 70.0, 7600.0
_FLOOR = 1e-10  # added to a power before its logarithm

# The peak level: the level of the loudest recent frame. It falls by PEAK_FALL_DB a step (2 dB/s) and stays above
# PEAK_FLOOR_DB, so that room noise counts as silence.
PEAK_FLOOR_DB = -70.0
PEAK_FALL_DB = 0.02
CLIP_LOW = np.float32(-4.0)  # the lowest value of a band, in units of 20 dB from the peak
ACTIVE_DB = 30.0  # frames further than this below the peak do not change the mean
# The running mean counts its prior as this many frames, and forgets as if it never had more than the second number.
PRIOR_FRAMES, LONGEST_FRAMES = 100.0, 600.0
# The mean with which a stream begins, in units of 20 dB from the peak: the mean of all voices of the corpus.
# fmt: off
PRIOR_MEAN = np.array([
    -2.1, -1.9, -1.7, -1.7, -1.6, -1.5, -1.5, -1.5, -1.6, -1.7, -1.8, -1.9, -1.9, -1.9, -1.9, -1.9,
    -1.9, -1.9, -1.9, -1.9, -1.9, -1.9, -1.7,
    -1.5, -1.4, -1.5, -1.5, -1.4, -1.4, -1.4, -1.5, -1.7, -1.9, -2.0, -2.1, -2.2, -2.1, -2.0, -1.8, -1.8,
], np.float32)
# fmt: on


def mel_filters(bands: int = MEL_BANDS, low_hz: float = LOW_HZ, high_hz: float = HIGH_HZ) -> NDArray[np.float32]:
    """Return triangular filters, evenly spaced in mel, float32 (bands, FFT_SIZE // 2 + 1).

    Mel: 2595 log10(1 + f / 700), after O'Shaughnessy.
    """

    def mel(hz: float) -> float:
        return 2595.0 * float(np.log10(1.0 + hz / 700.0))

    edges_hz = 700.0 * (10.0 ** (np.linspace(mel(low_hz), mel(high_hz), bands + 2) / 2595.0) - 1.0)
    bins_hz = np.arange(FFT_SIZE // 2 + 1) * RATE_HZ / FFT_SIZE
    rise = (bins_hz[None, :] - edges_hz[:-2, None]) / (edges_hz[1:-1] - edges_hz[:-2])[:, None]
    fall = (edges_hz[2:, None] - bins_hz[None, :]) / (edges_hz[2:] - edges_hz[1:-1])[:, None]
    filters: NDArray[np.float32] = np.maximum(0.0, np.minimum(rise, fall)).astype(np.float32)
    return filters


MEL_FILTERS = mel_filters()
NATS_TO_DB = np.float32(10 / np.log(10))
_WINDOW = np.hanning(WINDOW_SAMPLES + 1)[:-1].astype(np.float32)
_POWER_SCALE = np.float32(1.0 / (float(_WINDOW.sum()) ** 2 / 4.0))  # a full-scale sine has 0 dB in its bin


def matmul_by_row(rows: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `rows @ matrix`, float32 (n, columns), computed one row at a time.

    So the result of a row is bit for bit the same, whatever other rows are computed with it.
    """
    products: NDArray[np.float32] = np.matmul(rows[:, None, :], matrix)[:, 0]
    return products


def power_spectra(samples: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return the power spectra of frames that are STEP_SAMPLES apart, float32 (count, 257).

    `samples`: full scale is 1.0. They begin one sample before the first frame (for the pre-emphasis) and end with the
    last frame.
    """
    emphasised = samples[1:] - np.float32(_PRE_EMPHASIS) * samples[:-1]
    windowed = np.zeros((count, FFT_SIZE), np.float32)
    for k in range(count):
        np.multiply(
            emphasised[k * STEP_SAMPLES : k * STEP_SAMPLES + WINDOW_SAMPLES], _WINDOW, out=windowed[k, :WINDOW_SAMPLES]
        )
    spectra = np.fft.rfft(windowed.astype(np.float64))  # numpy 2 would compute float32 in that precision
    return ((spectra.real**2 + spectra.imag**2) * _POWER_SCALE).astype(np.float32)


def log_bands(power: NDArray[np.float32], filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the natural logarithms of the bands of power spectra (n, 257), float32 (n, bands). `filters`: (257,
    bands).
    """
    bands: NDArray[np.float32] = np.log(matmul_by_row(power, filters) + np.float32(_FLOOR))
    return bands


class MelStream:
    """Cuts a stream of samples into frames. The spectra are bit for bit the same however the samples are split."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        # The samples that the next frame needs, from one before its start; changes with every call of `take`.
        self._tail = np.zeros(_LEFT + 1, np.float32)

    def take(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take samples (full scale 1.0). Return the spectra of the frames that are now complete, (n, 257)."""
        known = np.concatenate([self._tail, samples])
        count = max(0, (len(known) - WINDOW_SAMPLES - 1) // STEP_SAMPLES + 1)
        self._tail = known[count * STEP_SAMPLES :]
        return power_spectra(known, count)


class RunningNorm:
    """Removes level and colour from log-mel frames, causally: divides by the recent peak level and subtracts a slow
    mean of each band.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._peak_db = PEAK_FLOOR_DB  # changes with every frame
        self._mean = PRIOR_MEAN.copy()  # changes with every active frame, as does the count below
        self._seen = PRIOR_FRAMES

    def take(self, mel_db: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[float], list[float]]:
        """Take frames in dB, (n, MEL_BANDS). Return (rows, their levels in dB, the peak levels in dB).

        A row, float32 (MEL_BANDS + 1,), contains the bands in units of 20 dB from their mean, then the level, in the
        same unit from the peak.
        """
        levels_db: list[float] = np.maximum.reduce(mel_db, axis=1).tolist()
        peaks_db = []
        for level_db in levels_db:
            self._peak_db = max(level_db, self._peak_db - PEAK_FALL_DB, PEAK_FLOOR_DB)
            peaks_db.append(self._peak_db)
        rows = np.empty((len(mel_db), MEL_BANDS + 1), np.float32)
        bands = rows[:, :-1]
        np.subtract(mel_db, np.array(peaks_db, np.float32)[:, None], out=bands)
        np.multiply(bands, np.float32(0.05), out=bands)
        np.maximum(bands, CLIP_LOW, out=bands)
        for row, level_db, peak_db in zip(rows, levels_db, peaks_db, strict=True):
            row[-1] = max((level_db - peak_db) * 0.05, float(CLIP_LOW))
            around = row[:-1]
            around -= self._mean
            if level_db > peak_db - ACTIVE_DB:  # the mean changes before it is subtracted from this frame
                self._seen = min(self._seen + 1.0, LONGEST_FRAMES)
                towards = around * np.float32(1.0 / self._seen)
                self._mean += towards
                around -= towards
        return rows, levels_db, peaks_db


def spectra_of(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the power spectra of a whole recording, as if silence followed it, float32 (ceil(n / 160), 257)."""
    steps = -(-len(pcm) // STEP_SAMPLES)
    padded = np.zeros(_LEFT + 1 + (steps + 2) * STEP_SAMPLES, np.float32)
    padded[_LEFT + 1 : _LEFT + 1 + len(pcm)] = pcm.astype(np.float32) / 32768.0
    return power_spectra(padded, steps)
