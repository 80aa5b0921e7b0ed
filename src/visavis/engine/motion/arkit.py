"""Converts our coefficients to ARKit's 52, for heads that other programs draw: game engines, three.js, Live Link Face.

Names and order are Apple's (ARFaceAnchor.BlendShapeLocation); left and right are the person's own. A coefficient that
we have once for both sides goes to both.

| ours | ARKit |
|---|---|
| jawOpen, mouthClose, mouthFunnel, mouthPucker, mouthRollLower, mouthRollUpper, mouthShrugLower, browInnerUp, tongueOut
| the same |
| mouthPress, mouthLowerDown, mouthUpperUp, mouthStretch, mouthFrown, cheekSquint, eyeSquint, eyeWide, browOuterUp,
browDown | Left and Right |
| mouthSmile + moodSmile | mouthSmileLeft, mouthSmileRight, at most 1 |
| eyeBlinkLeft, eyeBlinkRight | the same |
| eyeLookX, eyeLookY | eyeLookIn, -Out, -Up, -Down of each eye |
| tongueUp, breath | none: ARKit has no name for them |
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.arkit_names import ARKIT
from visavis.engine.motion.frame import COEFFICIENTS, INDEX

NOT_IN_ARKIT = ("tongueUp", "breath")
_ADDED = {"moodSmile": "mouthSmile"}
# A positive gaze points to the viewer's right, which is the person's left, and down.
_LOOKS = {
    "eyeLookX": (("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookInLeft", "eyeLookOutRight")),
    "eyeLookY": (("eyeLookDownLeft", "eyeLookDownRight"), ("eyeLookUpLeft", "eyeLookUpRight")),
}


def _mixing() -> NDArray[np.float32]:
    """Return the matrix that converts [positive parts, negative parts] of our coefficients to ARKit's, float32 (2 *
    len(COEFFICIENTS), 52).
    """
    mixing = np.zeros((2 * len(COEFFICIENTS), len(ARKIT)), np.float32)
    for ours, place in INDEX.items():
        if ours in NOT_IN_ARKIT:
            continue
        if ours in _LOOKS:
            positive, negative = _LOOKS[ours]
            mixing[place, [ARKIT.index(name) for name in positive]] = 1.0
            mixing[len(COEFFICIENTS) + place, [ARKIT.index(name) for name in negative]] = 1.0
            continue
        name = _ADDED.get(ours, ours)
        both = [name] if name in ARKIT else [f"{name}Left", f"{name}Right"]
        mixing[place, [ARKIT.index(one) for one in both]] = 1.0
    return mixing


_MIXING = _mixing()


def to_arkit(coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ARKit's coefficients for ours, (n, len(COEFFICIENTS)): float32 (n, 52), 0 to 1, in the order of ARKIT."""
    parts = np.concatenate([np.maximum(coefficients, 0), np.maximum(-coefficients, 0)], axis=1)
    mixed: NDArray[np.float32] = np.minimum(parts @ _MIXING, np.float32(1))
    return mixed
