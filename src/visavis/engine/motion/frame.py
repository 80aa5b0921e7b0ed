"""The motion contract between everything that produces motion and every renderer.

A `MotionFrame` describes the face at one instant; there are `MOTION_RATE_HZ` of them a second. Coefficients have their
ARKit names (Apple, ARFaceAnchor.BlendShapeLocation) and range from 0 (none) to 1 (full), unless a comment gives another
range.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MOTION_RATE_HZ = 100

# Set by speech; the network is trained towards them. They are the first columns of every array of mouths, in this
# order.
MOUTH_COEFFICIENTS: tuple[str, ...] = (
    "jawOpen",
    "mouthClose",  # lips drawn together while the jaw is open: jawOpen 0.3 with mouthClose 0.3 shows closed lips
    "mouthFunnel",
    "mouthPucker",
    "mouthPress",  # for both sides, like all of these: speech is symmetric
    "mouthLowerDown",
    "mouthUpperUp",
    "mouthStretch",
    "mouthSmile",
    "mouthRollLower",  # the lower lip moves in, towards the upper teeth: /f v/
    "mouthRollUpper",
    "tongueUp",  # not ARKit: the tip of the tongue behind the upper teeth, for /l n t d th/
)

# Also set by speech, but derived from its phones. They are the further columns of every array of mouths.
DERIVED_COEFFICIENTS: tuple[str, ...] = ("tongueOut",)  # the tip of the tongue between the teeth, for /th/; no further

# Set by liveliness.py, never by speech. For both sides at once, unless the name contains a side.
FACE_COEFFICIENTS: tuple[str, ...] = (
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookX",  # -1 (the viewer's left) to 1 (the viewer's right)
    "eyeLookY",  # -1 (up) to 1 (down)
    "eyeSquint",  # raises the lower lids
    "eyeWide",  # raises the upper lids
    "browInnerUp",
    "browOuterUp",
    "browDown",
    "cheekSquint",
    "moodSmile",  # not ARKit: the smile of a mood. Speech has its own mouthSmile; for ARKit both are added
    "mouthFrown",
    "mouthShrugLower",  # raises the chin, and the lips with it
    "breath",  # a breath raises shoulders and chest
)

COEFFICIENTS: tuple[str, ...] = MOUTH_COEFFICIENTS + DERIVED_COEFFICIENTS + FACE_COEFFICIENTS
MOUTH_COUNT = len(MOUTH_COEFFICIENTS)
SPOKEN_COUNT = MOUTH_COUNT + len(DERIVED_COEFFICIENTS)
INDEX: dict[str, int] = {name: i for i, name in enumerate(COEFFICIENTS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionFrame:
    """The face at one instant.

    `coefficients`: float32 (len(COEFFICIENTS),) in the order of COEFFICIENTS. The mouth is at rest (closed, relaxed
    lips) if the first SPOKEN_COUNT are exactly zero. Angles of the head are degrees: yaw > 0 turns the face to the
    viewer's right, pitch > 0 lowers the chin, roll > 0 tilts the top of the head to the viewer's right.
    """

    coefficients: NDArray[np.float32]
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechMotion:
    """The motion of speech in consecutive steps of 10 ms.

    `mouth`: float32 (n, SPOKEN_COUNT) in the order of COEFFICIENTS; if it is given without the derived coefficients,
    (n, MOUTH_COUNT), those are 0. `rest`: float32 (n,), 1 where nobody speaks; once the lips have come to rest, the row
    of the mouth is exactly zero. `loudness`: float32 (n,), 0 to 1. `pitch_hz`: float32 (n,), 0 where unvoiced.
    `stress`: float32 (n,), 0 to 1, with peaks on emphasised syllables.
    """

    mouth: NDArray[np.float32]
    rest: NDArray[np.float32]
    loudness: NDArray[np.float32]
    pitch_hz: NDArray[np.float32]
    stress: NDArray[np.float32] = field()

    def __len__(self) -> int:
        return len(self.mouth)

    def __post_init__(self) -> None:
        assert self.mouth.ndim == 2 and self.mouth.shape[1] in (MOUTH_COUNT, SPOKEN_COUNT), self.mouth.shape
        if self.mouth.shape[1] == MOUTH_COUNT:
            object.__setattr__(self, "mouth", np.pad(self.mouth, ((0, 0), (0, SPOKEN_COUNT - MOUTH_COUNT))))
        assert len(self.rest) == len(self.loudness) == len(self.pitch_hz) == len(self.stress) == len(self.mouth)

    @classmethod
    def concatenate(cls, parts: list[SpeechMotion]) -> SpeechMotion:
        """Return the motion of consecutive parts as one; no parts give no steps."""
        if not parts:
            none = np.zeros(0, np.float32)
            return cls(
                mouth=np.zeros((0, SPOKEN_COUNT), np.float32), rest=none, loudness=none, pitch_hz=none, stress=none
            )
        return cls(
            mouth=np.concatenate([p.mouth for p in parts]),
            rest=np.concatenate([p.rest for p in parts]),
            loudness=np.concatenate([p.loudness for p in parts]),
            pitch_hz=np.concatenate([p.pitch_hz for p in parts]),
            stress=np.concatenate([p.stress for p in parts]),
        )

    def __getitem__(self, part: slice) -> SpeechMotion:
        return SpeechMotion(
            mouth=self.mouth[part],
            rest=self.rest[part],
            loudness=self.loudness[part],
            pitch_hz=self.pitch_hz[part],
            stress=self.stress[part],
        )
