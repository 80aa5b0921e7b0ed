"""The names of all displacement fields, and how strongly a motion frame applies each of them.

There is one field for every coefficient, one for each of two weights that are derived from coefficients, and one for
each angle of the head.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import COEFFICIENTS, INDEX, SPOKEN_COUNT, MotionFrame

Array = NDArray[np.float32]

HEAD_ANGLES = ("yaw", "pitch", "roll")  # degrees
PARTED = "lipsParted"  # rounded lips stand a little apart, unless they are being closed
RELAXED = "smileRelaxed"  # takes back the smile of a smiling photo while the face frowns
FIELD_NAMES: tuple[str, ...] = (
    *COEFFICIENTS[:SPOKEN_COUNT],
    PARTED,
    *COEFFICIENTS[SPOKEN_COUNT:],
    RELAXED,
    *HEAD_ANGLES,
)
FIELD_INDEX: dict[str, int] = {name: i for i, name in enumerate(FIELD_NAMES)}
# The fields of speech. They move nothing outside the part of the grid around the mouth.
MOUTH_FIELDS = slice(0, SPOKEN_COUNT + 1)
FACE_FIELDS = slice(SPOKEN_COUNT + 1, len(FIELD_NAMES))

# Set by eye on rendered faces.
PUCKER_PARTS = 0.2  # how much mouthPucker parts the lips; mouthFunnel parts them by 1
BROW_FOLLOWS_FROWN = 3.0  # lowered brows relax a smile only with a frowning mouth, up to this many times its weight
JAW_SHUT = 0.02  # a jaw less open than this counts as this open, so that mouthClose / jawOpen stays finite

_FUNNEL, _PUCKER, _CLOSE, _JAW = (INDEX[name] for name in ("mouthFunnel", "mouthPucker", "mouthClose", "jawOpen"))
_FROWN, _BROWS = INDEX["mouthFrown"], INDEX["browDown"]
_AFTER_EYES = FIELD_INDEX["eyeWide"] + 1  # eyes are painted into the texture: their fields are 0
_PARTED, _RELAXED, _YAW = FIELD_INDEX[PARTED], FIELD_INDEX[RELAXED], FIELD_INDEX[HEAD_ANGLES[0]]


class FieldWeights:
    """The weights of all fields for one frame, in an array that is kept; 0 for those of the eyes, which move nothing.

    `values`: float32 (len(FIELD_NAMES),). `mouth` and `face` are its parts for MOUTH_FIELDS and FACE_FIELDS.
    """

    def __init__(self) -> None:
        self.values: Array = np.zeros(len(FIELD_NAMES), np.float32)
        self.mouth, self.face = self.values[MOUTH_FIELDS], self.values[FACE_FIELDS]

    def set(self, motion: MotionFrame, coefficients: list[float]) -> None:
        """Write the weights for a motion frame, whose coefficients are also given as a list."""
        values = self.values
        values[:SPOKEN_COUNT] = motion.coefficients[:SPOKEN_COUNT]
        values[_AFTER_EYES:_RELAXED] = motion.coefficients[_AFTER_EYES - 1 :]
        funnel, pucker = coefficients[_FUNNEL], coefficients[_PUCKER]
        apart = 1.0 - min(1.0, coefficients[_CLOSE] / max(coefficients[_JAW], JAW_SHUT))
        values[_PARTED] = (funnel + PUCKER_PARTS * pucker) * apart
        # A sad face frowns with its mouth, a serious face with its brows and only slightly with its mouth. Neither
        # smiles.
        frown, brows = coefficients[_FROWN], coefficients[_BROWS]
        values[_RELAXED] = min(1.0, frown + min(brows, BROW_FOLLOWS_FROWN * frown))
        values[_YAW], values[_YAW + 1], values[_YAW + 2] = motion.yaw_deg, motion.pitch_deg, motion.roll_deg
