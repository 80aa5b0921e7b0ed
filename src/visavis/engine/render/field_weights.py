"""The names of all displacement fields, and how strongly a motion frame applies each of them.

There is one field for every coefficient, one for each of two weights that are derived from coefficients, and one for
each angle of the head.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import COEFFICIENTS, SPOKEN_COUNT, MotionFrame

Array = NDArray[np.float32]

HEAD_ANGLES = ("yaw", "pitch", "roll")  # degrees
PARTED = "lipsParted"  # rounded lips stand a little apart, unless they are being closed
RELAXED = "smileRelaxed"  # takes back the smile of a smiling photo while the face frowns
FIELD_NAMES: tuple[str, ...] = (*COEFFICIENTS, PARTED, RELAXED, *HEAD_ANGLES)
FIELD_INDEX: dict[str, int] = {name: i for i, name in enumerate(FIELD_NAMES)}
# The fields of speech. They move nothing outside the part of the grid around the mouth.
MOUTH_FIELDS = [*range(SPOKEN_COUNT), FIELD_NAMES.index(PARTED)]
FACE_FIELDS = [k for k in range(len(FIELD_NAMES)) if k not in MOUTH_FIELDS]

# Set by eye on rendered faces.
PUCKER_PARTS = 0.2  # how much mouthPucker parts the lips; mouthFunnel parts them by 1
BROW_FOLLOWS_FROWN = 3.0  # lowered brows relax a smile only with a frowning mouth, up to this many times its weight
JAW_SHUT = 0.02  # a jaw less open than this counts as this open, so that mouthClose / jawOpen stays finite


def field_weights(motion: MotionFrame) -> Array:
    """Return the weight of every field for a motion frame, float32 (len(FIELD_NAMES),)."""
    weights = np.zeros(len(FIELD_NAMES), np.float32)
    weights[: len(COEFFICIENTS)] = motion.coefficients
    funnel, pucker = weights[FIELD_INDEX["mouthFunnel"]], weights[FIELD_INDEX["mouthPucker"]]
    if funnel or pucker:
        close, jaw = float(weights[FIELD_INDEX["mouthClose"]]), float(weights[FIELD_INDEX["jawOpen"]])
        apart = 1.0 - min(1.0, close / max(jaw, JAW_SHUT))
        weights[FIELD_INDEX[PARTED]] = (funnel + PUCKER_PARTS * pucker) * apart
    # A sad face frowns with its mouth, a serious face with its brows and only slightly with its mouth. Neither smiles.
    frown, brows = float(weights[FIELD_INDEX["mouthFrown"]]), float(weights[FIELD_INDEX["browDown"]])
    weights[FIELD_INDEX[RELAXED]] = min(1.0, frown + min(brows, BROW_FOLLOWS_FROWN * frown))
    weights[FIELD_INDEX["yaw"] :] = (motion.yaw_deg, motion.pitch_deg, motion.roll_deg)
    return weights
