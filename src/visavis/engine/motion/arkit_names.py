"""The names of ARKit's coefficients, under which motion leaves this server.

The channel sends them, and arkit.py fills them. This module does not import NumPy, so the service can use it. Names and
order are Apple's (ARFaceAnchor.BlendShapeLocation); left and right are the person's own.
"""

from __future__ import annotations

_EYE = ("eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide")
ARKIT: tuple[str, ...] = (
    *(f"{name}Left" for name in _EYE),
    *(f"{name}Right" for name in _EYE),
    *("jawForward", "jawLeft", "jawRight", "jawOpen"),
    *("mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight"),
    *(
        "mouthStretchLeft",
        "mouthStretchRight",
        "mouthRollLower",
        "mouthRollUpper",
        "mouthShrugLower",
        "mouthShrugUpper",
    ),
    *(
        "mouthPressLeft",
        "mouthPressRight",
        "mouthLowerDownLeft",
        "mouthLowerDownRight",
        "mouthUpperUpLeft",
        "mouthUpperUpRight",
    ),
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut"),
)
HEAD: tuple[str, ...] = ("yaw_deg", "pitch_deg", "roll_deg")
MOTION_STREAM_RATE_HZ = 50
assert len(ARKIT) == 52
