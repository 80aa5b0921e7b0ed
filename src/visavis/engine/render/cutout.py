"""The cut-out person, ready for any background: their own colours without those of the photo's background, and an
opacity without haze.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.fill import fill_from_known

Picture = NDArray[np.uint8]

SOLID = 247  # of 255: from this opacity on, a px shows only the person
# Opacities up to HAZE count as 0, from FULL on as 1. Faint errors of a matte would glow in front of another background.
HAZE, FULL = 0.04, 0.97


def without_haze(matte: Picture) -> Picture:
    """Return `matte`, uint8 (H, W), with faint opacities set to 0 and almost full ones to 255."""
    levels = (np.arange(256, dtype=np.float32) / 255.0 - HAZE) / (FULL - HAZE)
    clean: NDArray[np.uint8] = cv2.LUT(matte, np.rint(np.clip(levels, 0.0, 1.0) * 255.0).astype(np.uint8))
    return clean


def own_colours(picture: Picture, matte: Picture, background: Picture) -> Picture:
    """Return the colours of the person, uint8 (H, W, 3): those of the picture where the person is solid, unmixed along
    soft edges, and spread outward beyond them.

    At a soft edge a px is I = a F + (1 - a) B. F is estimated from the solid px around it and corrected by the part of
    I that this estimate does not explain (Forte 2021, "Approximate Fast Foreground Colour Estimation"). The correction
    is weighted by how much the px looks like the person and not like the background.
    """
    solid = matte >= SOLID
    if not solid.any():
        return picture.copy()
    spread = fill_from_known(picture.astype(np.float32), solid)
    out: Picture = np.clip(spread + 0.5, 0, 255).astype(np.uint8)
    soft = (matte > 0) & ~solid
    opacity = matte[soft].astype(np.float32)[:, None] / 255.0
    seen, guess, behind = picture[soft].astype(np.float32), spread[soft], background[soft].astype(np.float32)
    across = guess - behind
    contrast = np.einsum("ij,ij->i", across, across)[:, None]
    along = np.einsum("ij,ij->i", seen - behind, across)[:, None] / np.maximum(contrast, 1.0)
    # Near 0 where a px looks like the background although the matte includes it.
    believed = np.clip(along / np.maximum(opacity, 1e-3), 0.0, 1.0) ** 2
    unexplained = seen - opacity * guess - (1.0 - opacity) * behind
    out[soft] = np.clip(guess + believed * opacity * unexplained + 0.5, 0, 255).astype(np.uint8)
    out[solid] = picture[solid]
    return out
