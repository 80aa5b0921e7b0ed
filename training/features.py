"""The features of the product, for many recordings at once, for training.

First come the bands of a recording, which are stored; then, for a batch of recordings, the features without level and
colour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio import mel as logmel
from visavis.engine.speech import acoustic

Array = NDArray[np.float32]

MEL = logmel.MEL_BANDS + 1
BANDS = logmel.MEL_BANDS + acoustic.SPHINX_BANDS
WIDTH = MEL + acoustic.DYNAMIC


def bands_of(pcm: NDArray[np.int16]) -> Array:
    """Return the mel bands in dB and Sphinx' bands in nats, float32 (n, BANDS), one row for every step, also the last
    incomplete one.
    """
    return np.concatenate(acoustic.bands_of(logmel.spectra_of(pcm)), axis=1)


def spectra_of(pcm: NDArray[np.int16]) -> tuple[Array, Array]:
    """Return (normalised mel (n, MEL), cepstra with differences of 3 frames before (n, DYNAMIC)) of one recording, one
    row for every step, also the last incomplete one.
    """
    rows = features_of(bands_of(pcm)[None])[0]
    return rows[:, :MEL], rows[:, MEL:]


def features_of(bands: Array) -> Array:
    """Return [normalised mel with its level (MEL), cepstra with differences of 3 frames before (DYNAMIC)], float32 (b,
    n, WIDTH), of recordings (b, n, BANDS).

    The result is that of `RunningNorm` and `CepstraStream`, computed for one step of all recordings at a time.
    """
    mel_db, nats = bands[..., : logmel.MEL_BANDS], bands[..., logmel.MEL_BANDS :]
    count, steps = bands.shape[:2]
    level_db = mel_db.max(axis=2)
    peak_db = np.empty_like(level_db)
    peak = np.full(count, logmel.PEAK_FLOOR_DB, np.float32)
    for t in range(steps):
        peak = np.maximum(
            np.maximum(level_db[:, t], peak - np.float32(logmel.PEAK_FALL_DB)), np.float32(logmel.PEAK_FLOOR_DB)
        )
        peak_db[:, t] = peak
    rows = np.maximum((mel_db - peak_db[..., None]) * np.float32(0.05), np.float32(logmel.CLIP_LOW))
    below = level_db - peak_db
    _take_off_mean(rows, below > -logmel.ACTIVE_DB, logmel.PRIOR_MEAN, logmel.PRIOR_FRAMES, logmel.LONGEST_FRAMES)
    cepstra = (nats - peak_db[..., None] / logmel.NATS_TO_DB) @ acoustic.COSINES
    _take_off_mean(
        cepstra, -below < acoustic.ACTIVE_DB, acoustic.PRIOR_MEAN, acoustic.PRIOR_FRAMES, acoustic.LONGEST_FRAMES
    )
    level = np.maximum(below * np.float32(0.05), np.float32(logmel.CLIP_LOW))
    return np.concatenate([rows, level[..., None], _dynamics(cepstra)], axis=2)


def _take_off_mean(
    rows: Array, active: NDArray[np.bool_], prior: Array, prior_frames: float, longest_frames: float
) -> None:
    """Subtract the running mean from rows (b, n, m) in place. Frames that are not active do not change it."""
    mean = np.repeat(prior[None].astype(np.float32), len(rows), axis=0)
    seen = np.full(len(rows), prior_frames, np.float32)
    for t in range(rows.shape[1]):
        seen = np.where(active[:, t], np.minimum(seen + 1, np.float32(longest_frames)), seen)
        mean += (rows[:, t] - mean) * (active[:, t] / seen)[:, None].astype(np.float32)
        rows[:, t] -= mean


def _dynamics(cepstra: Array) -> Array:
    """Return the cepstra of many recordings and their differences, [c, d, dd], (recordings, steps, DYNAMIC).

    Row t belongs to frame t - 3: the second difference needs three later frames. Sphinx computes d[t] = c[t+2] - c[t-2]
    and dd[t] = d[t+1] - d[t-1]; the first frame is repeated for the frames before it.
    """
    steps = cepstra.shape[1]
    r = np.concatenate([np.repeat(cepstra[:, :1], acoustic.SPAN - 1, axis=1), cepstra], axis=1)
    r = [r[:, k : k + steps] for k in range(acoustic.SPAN)]
    return np.concatenate([r[3], r[5] - r[1], (r[6] - r[2]) - (r[4] - r[0])], axis=2)
