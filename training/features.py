"""What the network is given, for training: what the product computes, over whole recordings at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import RunningNorm, frames_of
from visavis.engine.speech.acoustic import DYNAMIC, CepstraStream, bands_of, dynamics_of

Array = NDArray[np.float32]


def spectra_of(pcm: NDArray[np.int16]) -> tuple[Array, Array]:
    """Return (normalised mel (n, MEL_BANDS + 1), dynamic cepstra (n, DYNAMIC) of 3 frames before), a row for every step."""
    mel_db, nats = bands_of(frames_of(pcm))
    mel, levels_db, peaks_db = RunningNorm().take(mel_db)
    return mel, dynamics_of(CepstraStream().take(nats, levels_db, peaks_db))


assert DYNAMIC == 39
