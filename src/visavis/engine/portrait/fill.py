"""Fills unknown pixels from known ones by a pull-push pyramid (Gortler et al. 1996, "The Lumigraph", section 3.4). It
is fast, smooth, and leaves no seams.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def fill_from_known(image: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return `image`, float32 (H, W, 3), with every pixel outside `known`, bool (H, W), filled from the known ones. If
    none is known, the result is zero.
    """
    weight = known.astype(np.float32)
    levels = [(image * weight[..., None], weight)]
    while min(levels[-1][1].shape) > 2:
        colour, weight = levels[-1]
        size = (weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2
        colour = cv2.resize(cv2.GaussianBlur(colour, (5, 5), 1.0), size, interpolation=cv2.INTER_AREA)
        weight = np.asarray(
            cv2.resize(cv2.GaussianBlur(weight, (5, 5), 1.0), size, interpolation=cv2.INTER_AREA), np.float32
        )
        # A few known pixels are enough for a colour: the weight saturates, and the sum of colours with it.
        gain = np.minimum(1.0, 4.0 * weight) / np.maximum(weight, 1e-6)
        levels.append((colour * gain[..., None], weight * gain))
    colour, weight = levels.pop()
    filled = colour / np.maximum(weight, 1e-6)[..., None] if weight.max() > 0 else colour
    while levels:
        colour, weight = levels.pop()
        coarse = cv2.resize(filled, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
        filled = colour + (1.0 - weight)[..., None] * coarse
    return np.asarray(filled, dtype=np.float32)
