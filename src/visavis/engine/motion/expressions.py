"""Expressions: the coefficients of each emotion, and how a mouth shows an expression and speech at once.

A happy face keeps its corners up while it talks, but its /p/ closes and its /f/ touches exactly as without a mood. The
choice of muscles follows the Facial Action Coding System (Ekman, Friesen & Hager 2002; EMFACS). The strengths are those
of a face in conversation, not of a posed one; they were set by eye on rendered faces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import COEFFICIENTS, INDEX, MOUTH_COUNT
from visavis.engine.motion.mood import EMOTIONS

Array = NDArray[np.float32]

# Action units: happy 6 + 12, sad 1 + 4 + 15 + 17, surprised 1 + 2 + 5 + 26, serious 4 + 7 + 24. The coefficients of the
# mouth hold for lips at rest; during speech, `add_speech` applies as much of them as the sound allows.
_EXPRESSIONS: dict[str, dict[str, float]] = {
    "happy": {"moodSmile": 1.0, "cheekSquint": 0.8, "eyeSquint": 0.75, "browOuterUp": 0.12},
    "sad": {"browInnerUp": 0.85, "browDown": 0.25, "mouthFrown": 0.9, "mouthShrugLower": 0.5,
            "eyeBlinkLeft": 0.1, "eyeBlinkRight": 0.1, "eyeLookY": 0.15},
    "surprised": {"browInnerUp": 0.9, "browOuterUp": 1.0, "eyeWide": 1.0, "jawOpen": 0.2, "mouthFunnel": 0.22},
    "serious": {"browDown": 0.8, "eyeSquint": 0.4, "mouthPress": 0.4, "mouthFrown": 0.25},
}  # fmt: skip

# The angles of the head at weight 1, degrees: (yaw, pitch, roll). A sad head is lowered, a surprised head draws back.
_HEAD_ANGLES: dict[str, tuple[float, float, float]] = {
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
# A smile or frown gives way to rounded lips, which pull against it, and to spread lips and an open jaw, which make a
# part of its way already. These are their shares; together they take at most _GIVES_WAY_MOST.
_GIVES_WAY_MOST = 0.6
_TO_ROUNDING, _TO_SPREADING, _TO_JAW = 0.55, 0.45, 0.4
_CONTACT_AT = 0.6  # from this mouthRollLower on, the lower lip touches the teeth
_JAW_SHUT = 0.02  # a jaw less open than this counts as this open, so that mouthClose / jawOpen stays finite
_PARTING_ENDS, _PRESSING_ENDS = 2.0, 4.0  # 1 / jawOpen at which an expression no longer parts, or presses, the lips


def expressions() -> Array:
    """Return the expression of each emotion except neutral, float32 (len(EMOTIONS) - 1, len(COEFFICIENTS))."""
    table = np.zeros((len(EMOTIONS) - 1, len(COEFFICIENTS)), np.float32)
    for row, emotion in zip(table, EMOTIONS[1:], strict=True):
        for name, value in _EXPRESSIONS[emotion].items():
            row[INDEX[name]] = value
    return table


def head_angles() -> Array:
    """Return yaw, pitch and roll of each emotion except neutral, degrees, float32 (len(EMOTIONS) - 1, 3)."""
    return np.array([_HEAD_ANGLES[emotion] for emotion in EMOTIONS[1:]], np.float32)


def add_speech(face: Array, expression: Array, mouth: Array) -> None:
    """Write the mouth of speech, and as much of the expression's mouth as it allows, into `face`.

    `face`: float32 (len(COEFFICIENTS),), which already contains the expression outside the mouth. `expression`: float32
    (len(COEFFICIENTS),). `mouth`: float32 (SPOKEN_COUNT,), or only its first MOUTH_COUNT. Closures and contacts stay
    complete. Without an expression, the mouth is exactly the mouth of speech.
    """
    face[: len(mouth)] = mouth
    jaw = float(mouth[_JAW])
    if expression[:MOUTH_COUNT].any():
        closed = min(1.0, float(mouth[_CLOSE]) / max(jaw, _JAW_SHUT))
        touching = min(1.0, float(mouth[_ROLL]) / _CONTACT_AT)
        free = 1.0 - max(closed, touching)
        room = np.float32(free * max(0.0, 1.0 - _PARTING_ENDS * jaw))  # a wide open mouth opens no further
        face[_JAW] += expression[_JAW] * room
        face[_FUNNEL] = min(1.0, float(face[_FUNNEL] + expression[_FUNNEL] * room))
        face[_PRESS] = max(float(mouth[_PRESS]), float(expression[_PRESS]) * max(0.0, 1.0 - _PRESSING_ENDS * jaw))
    if expression[_LIPS].any():
        rounded, spread = min(1.0, float(mouth[_ROUND].sum())), min(1.0, float(mouth[_SPREAD].sum()))
        given = min(_GIVES_WAY_MOST, _TO_ROUNDING * rounded + _TO_SPREADING * spread + _TO_JAW * jaw)
        face[_LIPS] = expression[_LIPS] * np.float32(1.0 - given)
