"""What the network is given, for training: exactly what the product computes, over whole recordings at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import features_of


def features_of_pcm(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return float32 (ceil(n / 160), features)."""
    return features_of(pcm)
