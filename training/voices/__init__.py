"""The synthesisers that the corpus is spoken by: each says a text and tells when every phone begins and ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.speech.articulation import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One utterance: `pcm` int16 mono at 16 kHz, and its phones in the order of their times."""

    pcm: NDArray[np.int16]
    segments: list[Segment]
