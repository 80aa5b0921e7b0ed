"""Turns one speaker into many: another vocal tract, pitch, tempo and vocal effort, each independent of the others.
Samples are float32 at 16 kHz.

The vocal tract is warped in the short-time spectrum: the envelope, smoothed by the cepstrum, is stretched along the
frequency axis, and the harmonics stay (VTLP, Jaitly and Hinton 2013, but on the sound itself). The tempo is changed by
WSOLA (Verhelst and Roelands 1993), the pitch by resampling.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from visavis.engine.audio.mel import RATE_HZ

Samples = NDArray[np.float32]

_FRAME, _HOP, _LIFTER = 512, 128, 40
_WSOLA_FRAME, _WSOLA_REACH = 480, 128


def _envelope(magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cepstrally smoothed log magnitude of every frame, (n, bins)."""
    log = np.log(magnitude + 1e-7)
    cepstrum = np.fft.irfft(log, axis=1)
    cepstrum[:, _LIFTER:-_LIFTER] = 0
    return np.fft.rfft(cepstrum, axis=1).real


def _overlap_add(frames: NDArray[np.float64], window: NDArray[np.float64], count: int) -> Samples:
    out = np.zeros(len(frames) * _HOP + _FRAME)
    weight = np.full(len(out), 1e-6)
    parts = _FRAME // _HOP
    for k in range(parts):  # every `parts`th frame: these do not overlap
        rows = frames[k::parts]
        for target, values in ((out, rows * window), (weight, np.broadcast_to(window**2, rows.shape))):
            flat = np.ascontiguousarray(values).reshape(-1)
            target[k * _HOP : k * _HOP + len(flat)] += flat
    return (out / np.maximum(weight, 0.05))[_FRAME // 2 : _FRAME // 2 + count].astype(np.float32)


def reshape_voice(x: Samples, *, formants: float, tilt_db: float, whisper: bool, rng: np.random.Generator) -> Samples:
    """Return speech with its formants at `formants` times their frequency, and its spectrum louder by `tilt_db` per
    octave above 500 Hz (3 to 8 for a raised voice). `whisper`: use noise instead of a voice as the source.
    """
    window = np.sqrt(np.hanning(_FRAME + 1)[:-1])
    padded = np.pad(x.astype(np.float64), (_FRAME // 2, _FRAME))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP][: len(x) // _HOP + 2] * window
    spectrum = np.fft.rfft(frames, axis=1)
    envelope = _envelope(np.abs(spectrum))
    bins = np.arange(spectrum.shape[1])
    warped_bins = np.clip(bins / formants, 0, bins[-1])
    low = np.minimum(warped_bins.astype(int), len(bins) - 2)
    share = warped_bins - low
    warped = envelope[:, low] * (1 - share) + envelope[:, low + 1] * share
    hz = bins * RATE_HZ / _FRAME
    warped += np.log(10) / 20 * tilt_db * np.clip(np.log2((hz + 1) / 500), -1, 3.5)
    if whisper:
        # In a whisper the first formant is higher, and lower frequencies are weak.
        warped += np.log(10) / 20 * np.interp(hz, [0, 250, 700, 1500, 8000], [-34, -26, -10, 0, 0])
        noise = rng.normal(size=spectrum.shape) + 1j * rng.normal(size=spectrum.shape)
        spectrum = np.exp(warped) * noise
    else:
        spectrum = spectrum * np.exp(np.clip(warped - envelope, -5, 5))
    return _overlap_add(np.fft.irfft(spectrum, _FRAME, axis=1), window, len(x))


def change_tempo(x: Samples, factor: float) -> Samples:
    """Return speech `factor` times as fast, at the same pitch. A sound at t moves to t / factor, within 8 ms."""
    half = _WSOLA_FRAME // 2
    window = np.hanning(_WSOLA_FRAME + 1)[:-1].astype(np.float32)
    count = int(len(x) / factor)
    padded = np.pad(x, (half + _WSOLA_REACH, _WSOLA_FRAME + 2 * _WSOLA_REACH + half))
    out = np.zeros(count + 2 * _WSOLA_FRAME, np.float32)
    at = _WSOLA_REACH
    for k in range(0, count + half, half):
        natural = padded[at : at + _WSOLA_FRAME]
        out[k : k + _WSOLA_FRAME] += natural * window
        ideal = int((k + half) * factor) + _WSOLA_REACH
        follow = padded[at + half : at + half + _WSOLA_FRAME]
        if ideal + _WSOLA_REACH + _WSOLA_FRAME > len(padded) or len(follow) < _WSOLA_FRAME:
            break
        area = padded[ideal - _WSOLA_REACH : ideal + _WSOLA_REACH + _WSOLA_FRAME]
        at = ideal - _WSOLA_REACH + int(np.argmax(np.correlate(area[::4], follow[::4], "valid"))) * 4
    return out[half : half + count]


def another_speaker(x: Samples, rng: np.random.Generator) -> tuple[Samples, float]:
    """Return (the speech as by another person, the factor by which it became faster)."""
    pace = 1.0
    effort = rng.random()  # 5 % whisper, 8 % raised voice
    whisper, tilt_db = effort < 0.05, float(rng.uniform(3, 8)) if 0.05 <= effort < 0.13 else float(rng.normal(0, 0.7))
    formants = float(rng.uniform(0.84, 1.2)) if rng.random() < 0.7 else 1.0
    if whisper or formants != 1.0 or tilt_db > 2:
        x = reshape_voice(x, formants=formants, tilt_db=tilt_db, whisper=whisper, rng=rng)
    if rng.random() < 0.75:  # pitch, formants and tempo together, as a larger or smaller person
        factor = float(rng.uniform(0.8, 1.25))
        x, pace = soxr.resample(x, RATE_HZ * factor, RATE_HZ), pace * factor
    if rng.random() < 0.6:
        factor = float(np.clip(rng.uniform(0.8, 1.25), 0.72 / pace, 1.4 / pace))
        x, pace = change_tempo(x, factor), pace * factor
    return x.astype(np.float32), pace
