"""Tells whether something covers the mouth: a mask, a hand, a scarf, a microphone, a cup.

The mesh puts lips where they should be. On a covered mouth they lie differently in every look, and they have not the
colour of lips. Measured on 25 people, photographed and drawn, and on 214 pictures of them with something drawn before
the mouth: it is seen in 210, and in none of the others.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.landmarks import INNER_LOWER, INNER_UPPER, OUTER_LOWER, OUTER_UPPER
from visavis.engine.portrait.chip import Chip

Array = NDArray[np.float32]

LIPS = sorted({*OUTER_UPPER, *OUTER_LOWER, *INNER_UPPER, *INNER_LOWER})
# The mean spread of the landmarks of the lips, eye distances, and divided by that of all other landmarks. Lips that can
# be seen have 0.002 to 0.007 and up to 1.05 (0.012 and 1.05 in a laughing man with a beard).
UNSTEADY, UNSTEADY_SHARE, RATHER_UNSTEADY = 0.009, 1.3, 0.005
# Colours in CIE Lab, of the lips less those of the skin around them. The least chroma of lips is 2.9, their least a* is
# -0.4. What covers them has a chroma of 1 and about the same light, or it is much less red, as black and white things
# before a face are.
PALE, AS_LIGHT, GREENER = 2.2, 0.16, -2.0
SKIN_FROM_PX, SKIN_TO_PX = 4, 12  # the skin around the lips lies this far beyond them, px of the chip


def is_mouth_covered(chip: Chip, spread: Array) -> bool:
    """Whether something covers the mouth. `spread`: (478,), the standard deviation of each landmark in several looks,
    eye distances.
    """
    lips, others = float(spread[LIPS].mean()), float(np.delete(spread, LIPS).mean())
    if lips > UNSTEADY and lips > UNSTEADY_SHARE * others:
        return True
    if not chip.coloured:
        return False  # a picture in one colour tells nothing about redness
    light, red, yellow = _lips_less_skin(chip)
    is_pale = float(np.hypot(red, yellow)) < PALE and abs(light) < AS_LIGHT
    return red < GREENER or (is_pale and lips > RATHER_UNSTEADY)


def _lips_less_skin(chip: Chip) -> tuple[float, float, float]:
    """Return how the lips differ from the skin around them: in light, as a share of the light of the face, and in a*
    and b*.
    """
    lab = cv2.cvtColor(chip.picture.astype(np.float32) / np.float32(255.0), cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 1.0)
    mouth = _within(chip, OUTER_UPPER, OUTER_LOWER)
    lips = (cv2.erode(mouth, np.ones((3, 3), np.uint8)) > 0) & (_within(chip, INNER_UPPER, INNER_LOWER) == 0)
    near, far = (cv2.dilate(mouth, np.ones((2 * px + 1,) * 2, np.uint8)) > 0 for px in (SKIN_FROM_PX, SKIN_TO_PX))
    skin = far & ~near
    if not lips.any() or not skin.any():
        return 0.0, 0.0, 0.0
    light, red, yellow = np.median(lab[lips], axis=0) - np.median(lab[skin], axis=0)
    face_light = max(10.0, chip.light * 100.0 / 255.0)  # L* has 100 levels
    return float(light) / face_light, float(red), float(yellow)


def _within(chip: Chip, upper: tuple[int, ...], lower: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return 1 between two lines of landmarks, else 0: uint8 (256, 256)."""
    ring = np.vstack([chip.points[list(upper)], chip.points[list(lower)][::-1]])
    mask = np.zeros(chip.grey.shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(ring).astype(np.int32)], (1,))
    return mask
