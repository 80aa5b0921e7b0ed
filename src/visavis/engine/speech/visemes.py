"""The shape of the mouth for each viseme (phones.py).

The shapes follow the usual viseme charts (Oculus' fifteen, with more distinctions between vowels). `jawOpen` 1 is a gap
of about 0.45 eye distances.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX, MOUTH_COUNT, SPOKEN_COUNT
from visavis.engine.speech.phones import (
    ARPABET,
    BILABIAL,
    CLASS_INDEX,
    CLASSES,
    FIFTEEN,
    IPA,
    LABIODENTAL,
    SILENCE,
    VOWEL_CLASSES,
    visemes_of_ipa,
)

__all__ = [
    "ARPABET",
    "BILABIAL",
    "CLASSES",
    "CLASS_INDEX",
    "FIFTEEN",
    "IPA",
    "LABIODENTAL",
    "SILENCE",
    "TONGUE_OUT",
    "VOWEL_CLASSES",
    "shape_table",
    "spoken_table",
    "visemes_of_ipa",
]

TONGUE_OUT = CLASS_INDEX["TH"]  # the viseme that shows the tongue between the teeth
_SHAPES: dict[str, dict[str, float]] = {
    "SIL": {},
    "PP": {"jawOpen": 0.10, "mouthPress": 0.35},
    "FF": {"jawOpen": 0.10, "mouthRollLower": 0.75, "mouthUpperUp": 0.25},
    "TH": {"jawOpen": 0.17, "mouthLowerDown": 0.18, "tongueUp": 0.7},
    "DD": {"jawOpen": 0.16, "mouthLowerDown": 0.2, "mouthUpperUp": 0.1, "mouthStretch": 0.1, "tongueUp": 0.9},
    "NN": {"jawOpen": 0.18, "mouthLowerDown": 0.15, "mouthUpperUp": 0.05, "tongueUp": 0.9},
    "LL": {"jawOpen": 0.26, "mouthLowerDown": 0.15, "tongueUp": 1.0},
    "KK": {"jawOpen": 0.24, "mouthLowerDown": 0.15, "mouthStretch": 0.08},
    "HH": {"jawOpen": 0.26},
    "CH": {"jawOpen": 0.15, "mouthFunnel": 0.6, "mouthPucker": 0.15, "mouthLowerDown": 0.15, "mouthUpperUp": 0.15},
    "SS": {"jawOpen": 0.12, "mouthStretch": 0.3, "mouthLowerDown": 0.25, "mouthUpperUp": 0.12, "mouthSmile": 0.08},
    "RR": {"jawOpen": 0.24, "mouthFunnel": 0.35, "mouthPucker": 0.2},
    "AA": {"jawOpen": 0.62},
    "AE": {"jawOpen": 0.60, "mouthStretch": 0.28, "mouthLowerDown": 0.2, "mouthUpperUp": 0.12, "mouthSmile": 0.08},
    "EH": {"jawOpen": 0.42, "mouthStretch": 0.25, "mouthLowerDown": 0.15, "mouthSmile": 0.1},
    "AH": {"jawOpen": 0.36},
    "IH": {"jawOpen": 0.28, "mouthStretch": 0.28, "mouthSmile": 0.12, "mouthLowerDown": 0.1},
    "IY": {"jawOpen": 0.24, "mouthStretch": 0.45, "mouthSmile": 0.28, "mouthLowerDown": 0.15},
    "OH": {"jawOpen": 0.50, "mouthFunnel": 0.5, "mouthPucker": 0.25},
    "UW": {"jawOpen": 0.20, "mouthPucker": 0.75, "mouthFunnel": 0.35},
    "WW": {"jawOpen": 0.14, "mouthPucker": 0.85, "mouthFunnel": 0.3},
}


def shape_table() -> NDArray[np.float32]:
    """Return the mouth of each viseme, float32 (len(CLASSES), MOUTH_COUNT). `mouthClose` is 0: closures are laid over
    the shapes later (mouth_shaper.py).
    """
    table = np.zeros((len(CLASSES), MOUTH_COUNT), np.float32)
    for name, shape in _SHAPES.items():
        for coefficient, value in shape.items():
            table[CLASS_INDEX[name], INDEX[coefficient]] = value
    return table


def spoken_table() -> NDArray[np.float32]:
    """Return `shape_table` with the derived coefficients, float32 (len(CLASSES), SPOKEN_COUNT)."""
    table = np.zeros((len(CLASSES), SPOKEN_COUNT), np.float32)
    table[:, :MOUTH_COUNT] = shape_table()
    table[TONGUE_OUT, INDEX["tongueOut"]] = 1.0
    return table
