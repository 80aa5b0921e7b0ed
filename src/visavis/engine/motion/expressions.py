"""What each emotion does to the face, and how a mouth that speaks carries it.

An expression lies over speech: corners stay up while a happy face talks, yet its /p/ closes and its /f/ touches exactly
as without a mood. Which muscles go together follows the Facial Action Coding System (Ekman, Friesen & Hager 2002;
EMFACS); how far, a face in conversation rather than a posed one, was set by eye on rendered faces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import COEFFICIENTS, INDEX, MOUTH_COUNT
from visavis.engine.motion.mood import EMOTIONS

Array = NDArray[np.float32]

# Action units: happy 6 + 12, sad 1 + 4 + 15 + 17, surprised 1 + 2 + 5 + 26, serious 4 + 7 + 24. The coefficients of the
# mouth are what lips at rest show; over speech `voice` lays as much of them as the sound allows.
_EXPRESSIONS: dict[str, dict[str, float]] = {
    "happy": {"moodSmile": 1.0, "cheekSquint": 0.8, "eyeSquint": 0.75, "browOuterUp": 0.12},
    "sad": {"browInnerUp": 0.85, "browDown": 0.25, "mouthFrown": 0.9, "mouthShrugLower": 0.5,
            "eyeBlinkLeft": 0.1, "eyeBlinkRight": 0.1, "eyeLookY": 0.15},
    "surprised": {"browInnerUp": 0.9, "browOuterUp": 1.0, "eyeWide": 1.0, "jawOpen": 0.2, "mouthFunnel": 0.22},
    "serious": {"browDown": 0.8, "eyeSquint": 0.4, "mouthPress": 0.4, "mouthFrown": 0.25},
}  # fmt: skip

# Degrees of the head at weight 1: (yaw, pitch, roll). The sad look down, the surprised draw back.
_BEARING: dict[str, tuple[float, float, float]] = {
    "happy": (0.0, -0.4, 0.5),
    "sad": (0.0, 1.6, 0.8),
    "surprised": (0.0, -1.2, 0.0),
    "serious": (0.0, 0.6, 0.0),
}

_JAW, _CLOSE, _PRESS, _ROLL = (INDEX[name] for name in ("jawOpen", "mouthClose", "mouthPress", "mouthRollLower"))
_FUNNEL = INDEX["mouthFunnel"]
_ROUND = [INDEX["mouthFunnel"], INDEX["mouthPucker"]]
_LIPS = [INDEX["moodSmile"], INDEX["mouthFrown"], INDEX["mouthShrugLower"]]
_SPREAD = [INDEX["mouthStretch"], INDEX["mouthSmile"]]
# of a smile or frown: what rounds the lips draws against it, what spreads them or drops the jaw has taken the way
# already
_GIVEN_MOST = 0.6
_TOUCH_AT = 0.6  # of mouthRollLower: from there on a lip touches teeth


def expressions() -> Array:
    """Return the face of each emotion but neutral, float32 (len(EMOTIONS) - 1, len(COEFFICIENTS))."""
    table = np.zeros((len(EMOTIONS) - 1, len(COEFFICIENTS)), np.float32)
    for row, emotion in zip(table, EMOTIONS[1:], strict=True):
        for name, value in _EXPRESSIONS[emotion].items():
            row[INDEX[name]] = value
    return table


def bearings() -> Array:
    """Return yaw, pitch and roll in degrees of each emotion but neutral, float32 (len(EMOTIONS) - 1, 3)."""
    return np.array([_BEARING[emotion] for emotion in EMOTIONS[1:]], np.float32)


def voice(face: Array, feeling: Array, mouth: Array) -> None:
    """Lay `mouth`, as speech asks for it, over a face that feels: write it into `face`, float32 (len(COEFFICIENTS),).

    `mouth`: float32 (SPOKEN_COUNT,), or the first MOUTH_COUNT of it. `feeling`: the expression, float32
    (len(COEFFICIENTS),); `face` already holds its part outside the mouth. What closes, closes; what touches, touches;
    with no feeling the mouth is exactly what speech asks.
    """
    face[: len(mouth)] = mouth
    jaw = float(mouth[_JAW])
    if feeling[:MOUTH_COUNT].any():
        closed = min(1.0, float(mouth[_CLOSE]) / max(jaw, 0.02))
        touching = min(1.0, float(mouth[_ROLL]) / _TOUCH_AT)
        free = 1.0 - max(closed, touching)
        room = np.float32(free * max(0.0, 1.0 - 2.0 * jaw))  # a mouth wide open opens no further
        face[_JAW] += feeling[_JAW] * room
        face[_FUNNEL] = min(1.0, float(face[_FUNNEL] + feeling[_FUNNEL] * room))
        face[_PRESS] = max(float(mouth[_PRESS]), float(feeling[_PRESS]) * max(0.0, 1.0 - 4.0 * jaw))
    if feeling[_LIPS].any():
        rounded, spread = min(1.0, float(mouth[_ROUND].sum())), min(1.0, float(mouth[_SPREAD].sum()))
        given = min(_GIVEN_MOST, 0.55 * rounded + 0.45 * spread + 0.4 * jaw)
        face[_LIPS] = feeling[_LIPS] * np.float32(1.0 - given)
