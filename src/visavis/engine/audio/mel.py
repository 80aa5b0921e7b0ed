"""What the ear of the network hears: log-mel every 10 ms, freed of level and microphone by a running normalisation that never looks ahead.

Frame k is centred on the middle of step k (samples [k*160, (k+1)*160) at 16 kHz) and spans 25 ms, so it is known once step k + 1 is complete.
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

_LEFT = (WINDOW_SAMPLES - STEP_SAMPLES) // 2  # samples of a frame that come before its own step
_PRE_EMPHASIS = 0.97
_LOW_HZ, _HIGH_HZ = 70.0, 7600.0
_FLOOR = 1e-10

# Level: the loudest frame of late, falling by PEAK_FALL_DB a step (2 dB/s); never taken below PEAK_FLOOR_DB, so that room noise stays silence.
PEAK_FLOOR_DB = -70.0
_PEAK_FALL_DB = 0.02
_CLIP_LOW = np.float32(-4.0)  # in units of 20 dB from the peak
_ACTIVE_DB = 30.0  # frames this far below the peak do not teach the mean
_PRIOR_FRAMES, _LONGEST_FRAMES = 100.0, 600.0


def mel_filters(bands: int = MEL_BANDS, low_hz: float = _LOW_HZ, high_hz: float = _HIGH_HZ) -> NDArray[np.float32]:
    """Return triangular filters, float32 (bands, FFT_SIZE // 2 + 1), evenly spaced in mel (O'Shaughnessy: 2595 log10(1 + f/700))."""

    def mel(hz: float) -> float:
        return 2595.0 * float(np.log10(1.0 + hz / 700.0))

    edges_hz = 700.0 * (10.0 ** (np.linspace(mel(low_hz), mel(high_hz), bands + 2) / 2595.0) - 1.0)
    bins_hz = np.arange(FFT_SIZE // 2 + 1) * RATE_HZ / FFT_SIZE
    rise = (bins_hz[None, :] - edges_hz[:-2, None]) / (edges_hz[1:-1] - edges_hz[:-2])[:, None]
    fall = (edges_hz[2:, None] - bins_hz[None, :]) / (edges_hz[2:] - edges_hz[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rise, fall)).astype(np.float32)


_FILTERS = mel_filters()
_WINDOW = np.hanning(WINDOW_SAMPLES + 1)[:-1].astype(np.float32)
_POWER_SCALE = np.float32(1.0 / (_WINDOW.sum() ** 2 / 4.0))  # a full-scale sine reads 0 dB in its bin


def frame_spectrum(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the power spectrum, float32 (..., 257), of frames of 401 samples (the first only feeds the pre-emphasis), full scale 1.0."""
    emphasised = samples[..., 1:] - np.float32(_PRE_EMPHASIS) * samples[..., :-1]
    spectrum = np.fft.rfft(emphasised * _WINDOW, FFT_SIZE)
    return ((spectrum.real**2 + spectrum.imag**2) * _POWER_SCALE).astype(np.float32)


def log_mel_db(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mel bands of a power spectrum in dB, float32 (..., MEL_BANDS)."""
    return (10.0 * np.log10(power @ _FILTERS.T + np.float32(_FLOOR))).astype(np.float32)


class MelStream:
    """Cuts a stream of samples into the frames above. `take` returns the power spectra that became known, one by one, always in the same way."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._tail = np.zeros(_LEFT + 1, np.float32)  # samples from one before the next frame's start

    def take(self, step: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Take one step of samples (full scale 1.0); return the spectrum, (257,), of the frame of the step before, or None at the start."""
        self._tail = np.concatenate([self._tail, step])
        if len(self._tail) < WINDOW_SAMPLES + 1:
            return None
        frame = frame_spectrum(self._tail[: WINDOW_SAMPLES + 1])
        self._tail = self._tail[STEP_SAMPLES:]
        return frame


class RunningNorm:
    """Takes level and colour out of log-mel frames, causally: divides by the recent peak level and subtracts a slow mean of each band."""

    def __init__(self, prior_mean: NDArray[np.float32] | None = None) -> None:
        self._prior = np.zeros(MEL_BANDS, np.float32) if prior_mean is None else prior_mean.astype(np.float32)
        self.reset()

    def reset(self) -> None:
        self.peak_db = PEAK_FLOOR_DB  # moves with every frame
        self.level_db = -100.0  # of the last frame
        self._mean = self._prior.copy()
        self._seen = _PRIOR_FRAMES

    def take(self, mel_db: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take one frame in dB, (MEL_BANDS,); return float32 (MEL_BANDS + 1,): bands in units of 20 dB around their mean, then the level."""
        self.level_db = float(mel_db.max())
        self.peak_db = max(self.level_db, self.peak_db - _PEAK_FALL_DB, PEAK_FLOOR_DB)
        relative = (mel_db - np.float32(self.peak_db)) * np.float32(0.05)
        np.maximum(relative, _CLIP_LOW, out=relative)
        if self.level_db > self.peak_db - _ACTIVE_DB:
            self._seen = min(self._seen + 1.0, _LONGEST_FRAMES)
            self._mean += (relative - self._mean) * np.float32(1.0 / self._seen)
        out = np.empty(MEL_BANDS + 1, np.float32)
        out[:-1] = relative - self._mean
        out[-1] = max((self.level_db - self.peak_db) * 0.05, float(_CLIP_LOW))
        return out


def frames_of(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the power spectra of a whole recording at once, float32 (ceil(n / 160), 257): what the stream gives, to rounding. For training."""
    steps = -(-len(pcm) // STEP_SAMPLES)
    padded = np.zeros(_LEFT + 1 + (steps + 2) * STEP_SAMPLES, np.float32)
    padded[_LEFT + 1 : _LEFT + 1 + len(pcm)] = pcm.astype(np.float32) / 32768.0
    return frame_spectrum(np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES + 1)[::STEP_SAMPLES][:steps])
