"""G.711, the codec of the telephone, in floating point: companding to eight bits and back. It needs only NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def g711(x: Samples, *, a_law: bool) -> Samples:
    """Return samples at 8 kHz after coding and decoding, with A-law or with mu-law."""
    size = np.minimum(1.0, np.abs(x))
    if a_law:
        knee = 1 / 87.6
        scale = 1 + np.log(87.6)
        y = np.where(size < knee, 87.6 * size, 1 + np.log(np.maximum(size, knee) * 87.6)) / scale
        y = np.rint(y * 127) / 127 * scale
        size = np.where(y < 1, y / 87.6, np.exp(y - 1) / 87.6)
    else:
        y = np.rint(np.log1p(255 * size) / np.log(256) * 127) / 127
        size = (256**y - 1) / 255
    return (np.sign(x) * size).astype(np.float32)
