"""The synthesisers that speak the corpus. Each speaks a text and gives the times of its phones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.speech.articulation import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One utterance: `pcm`, int16 mono at 16 kHz, and its visemes in the order of their times."""

    pcm: NDArray[np.int16]
    segments: list[Segment]
