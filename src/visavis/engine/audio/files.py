"""Reads speech from audio files: WAV, FLAC, OGG and MP3, with any sample rate and number of channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from visavis.engine.audio.mel import RATE_HZ
from visavis.engine.errors import AudioUnreadable


def to_pcm16(samples: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    """Return samples with full scale 1.0 as int16, rounded. Samples beyond full scale are clipped; NaN becomes
    silence.
    """
    whole = np.rint(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0) * 32768.0)
    pcm: NDArray[np.int16] = np.clip(whole, -32768, 32767).astype(np.int16)
    return pcm


def read_speech(path: str | Path) -> tuple[NDArray[np.int16], int]:
    """Return (the samples as mono int16 (n,) at 16 kHz, the sample rate of the file in Hz).

    Raises FileNotFoundError, and AudioUnreadable for a file that is not audio.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioUnreadable(
            f"{path.name} is not an audio file that can be read: {error}",
            suggestion="Use WAV, FLAC, OGG or MP3",
        ) from error
    mono = np.ascontiguousarray(samples.mean(axis=1))
    if rate_hz != RATE_HZ and len(mono):
        mono = soxr.resample(mono, rate_hz, RATE_HZ)
    return to_pcm16(mono), int(rate_hz)
