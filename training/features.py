"""What the network is given, for training: what the product computes, over many recordings at once.

First the bands of a recording (they are kept); then, of a batch of recordings, what is left of them without level and
colour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio import mel as ear
from visavis.engine.speech import acoustic

Array = NDArray[np.float32]

MEL = ear.MEL_BANDS + 1
BANDS = ear.MEL_BANDS + acoustic.SPHINX_BANDS
WIDTH = MEL + acoustic.DYNAMIC


def bands_of(pcm: NDArray[np.int16]) -> Array:
    """Return the mel bands in dB and Sphinx' bands in nats, float32 (n, BANDS), a row for every step begun."""
    return np.concatenate(acoustic.bands_of(ear.spectra_of(pcm)), axis=1)


def spectra_of(pcm: NDArray[np.int16]) -> tuple[Array, Array]:
    """Return (normalised mel (n, MEL), dynamic cepstra (n, DYNAMIC) of 3 frames before) of one recording, a row for
    every step begun.
    """
    rows = features_of(bands_of(pcm)[None])[0]
    return rows[:, :MEL], rows[:, MEL:]


def features_of(bands: Array) -> Array:
    """Return [normalised mel with its level (MEL), dynamic cepstra of 3 frames before (DYNAMIC)], float32 (b, n,
    WIDTH), of recordings (b, n, BANDS).

    As `RunningNorm` and `CepstraStream` do it, a step of all recordings at a time.
    """
    mel_db, nats = bands[..., : ear.MEL_BANDS], bands[..., ear.MEL_BANDS :]
    count, steps = bands.shape[:2]
    level_db = mel_db.max(axis=2)
    peak_db = np.empty_like(level_db)
    peak = np.full(count, ear.PEAK_FLOOR_DB, np.float32)
    for t in range(steps):
        peak = np.maximum(
            np.maximum(level_db[:, t], peak - np.float32(ear.PEAK_FALL_DB)), np.float32(ear.PEAK_FLOOR_DB)
        )
        peak_db[:, t] = peak
    rows = np.maximum((mel_db - peak_db[..., None]) * np.float32(0.05), np.float32(ear.CLIP_LOW))
    below = level_db - peak_db
    _take_off_mean(rows, below > -ear.ACTIVE_DB, ear.PRIOR_MEAN, ear.PRIOR_FRAMES, ear.LONGEST_FRAMES)
    cepstra = (nats - peak_db[..., None] / ear.NATS_TO_DB) @ acoustic.COSINES
    _take_off_mean(
        cepstra, -below < acoustic.ACTIVE_DB, acoustic.PRIOR_MEAN, acoustic.PRIOR_FRAMES, acoustic.LONGEST_FRAMES
    )
    level = np.maximum(below * np.float32(0.05), np.float32(ear.CLIP_LOW))
    return np.concatenate([rows, level[..., None], _dynamics(cepstra)], axis=2)


def _take_off_mean(
    rows: Array, active: NDArray[np.bool_], prior: Array, prior_frames: float, longest_frames: float
) -> None:
    """Take the running mean off rows (b, n, m) in place; frames that are not active do not teach it."""
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
