"""What the network is given, for training: what the product computes, over whole recordings at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import MEL_BANDS, RunningNorm, frames_of, log_mel_db
from visavis.engine.speech.acoustic import DYNAMIC, Listener, dynamics_of

Array = NDArray[np.float32]


def spectra_of(pcm: NDArray[np.int16]) -> tuple[Array, Array]:
    """Return (normalised mel (n, MEL_BANDS + 1), dynamic cepstra (n, DYNAMIC) of 3 frames before), a row for every step."""
    power = frames_of(pcm)
    norm = RunningNorm()
    mel, level_db, peak_db = np.zeros((len(power), MEL_BANDS + 1), np.float32), np.zeros(len(power), np.float32), np.zeros(len(power), np.float32)
    for k, row in enumerate(log_mel_db(power)):
        mel[k], level_db[k], peak_db[k] = norm.take(row), norm.level_db, norm.peak_db
    return mel, dynamics_of(power, level_db, peak_db)


def features_of(pcm: NDArray[np.int16], listener: Listener) -> Array:
    """Return what the network takes, float32 (n, MEL_BANDS + 1 + SCORES)."""
    mel, dynamic = spectra_of(pcm)
    return np.concatenate([mel, listener.hear(dynamic)], axis=1)


assert DYNAMIC == 39
