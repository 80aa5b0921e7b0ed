"""Where things are in a face: indices of MediaPipe's Face Mesh, and the curves of mouth and eyes as functions of x.

Indices follow MediaPipe's canonical face mesh. "Left" in names means the viewer's left. Here are also the two profiles
from which the renderer builds its soft transitions: `smoothstep` and `gaussian`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
FACE_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176,
             149, 150, 136, 172, 58, 132, 93,
             234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
NOSE_TIP, NOSE_BASE, CHIN, FOREHEAD = 1, 2, 152, 10
NOSE_WING_LEFT, NOSE_WING_RIGHT = 129, 358
EYE_OUTER_LEFT, EYE_OUTER_RIGHT = 33, 263
LID_UPPER_LEFT, LID_UPPER_RIGHT = 159, 386  # the middle of each lid
LID_LOWER_LEFT, LID_LOWER_RIGHT = 145, 374
BROW_INNER_LEFT, BROW_INNER_RIGHT = 107, 336
BROW_OUTER_LEFT, BROW_OUTER_RIGHT = 70, 300
CHEEK_LEFT, CHEEK_RIGHT = 50, 280
MOUTH_CORNER_LEFT, MOUTH_CORNER_RIGHT = 61, 291
INNER_CORNER_LEFT, INNER_CORNER_RIGHT = 78, 308  # where the inner lines of both lips meet
INNER_UPPER_MIDDLE, INNER_LOWER_MIDDLE = 13, 14


@dataclass(frozen=True, slots=True)
class EyeIndices:
    """The landmarks of one eye: its lids from left to right, the centre and the rim of its iris, the lower edge of its
    brow.
    """

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    iris: int
    rim: tuple[int, ...]
    brow: tuple[int, ...]


EYE_LEFT = EyeIndices(
    upper=(33, 246, 161, 160, 159, 158, 157, 173, 133),
    lower=(33, 7, 163, 144, 145, 153, 154, 155, 133),
    iris=468,
    rim=(469, 470, 471, 472),
    brow=(46, 53, 52, 65, 55),
)
EYE_RIGHT = EyeIndices(
    upper=(362, 398, 384, 385, 386, 387, 388, 466, 263),
    lower=(362, 382, 381, 380, 374, 373, 390, 249, 263),
    iris=473,
    rim=(474, 475, 476, 477),
    brow=(285, 295, 282, 283, 276),
)

Curve = tuple[NDArray[np.float32], NDArray[np.float32]]


def curve(points: NDArray[np.float32]) -> Curve:
    """Return points (n, 2) as a curve y(x) for np.interp: (x, y), with x strictly rising."""
    order = np.argsort(points[:, 0], kind="stable")
    x = points[order, 0].astype(np.float32)
    return np.maximum.accumulate(x + np.arange(len(x), dtype=np.float32) * 1e-3), points[order, 1].astype(np.float32)


def smoothstep(t: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return 0 for t below 0, 1 for t above 1, and a smooth transition with flat ends between."""
    t = np.clip(t, 0.0, 1.0)
    height: NDArray[np.float32] = t * t * (3.0 - 2.0 * t)
    return height


def gaussian(d: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return a Gaussian with height 1, for distances `d` in standard deviations."""
    height: NDArray[np.float32] = np.exp(-0.5 * d * d)
    return height


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceGeometry:
    """Lengths and curves of one face with closed lips, in px of the picture to which `landmarks` (478, 3) belong.

    `unit`: the eye distance, the distance of the outer eye corners; it is the unit of all displacements.
    """

    landmarks: NDArray[np.float32]
    unit: float
    corner_left: NDArray[np.float32]
    corner_right: NDArray[np.float32]
    centre_x: float
    seam: Curve
    upper_outer: Curve
    lower_outer: Curve

    @classmethod
    def of(cls, landmarks: NDArray[np.float32]) -> FaceGeometry:
        p = landmarks[:, :2]
        inner = (p[list(INNER_UPPER)] + p[list(INNER_LOWER)]) / 2
        left, right = p[MOUTH_CORNER_LEFT], p[MOUTH_CORNER_RIGHT]
        seam_points = np.vstack([left, inner[1:-1], right])
        return cls(
            landmarks=landmarks,
            unit=float(np.linalg.norm(p[EYE_OUTER_LEFT] - p[EYE_OUTER_RIGHT])),
            corner_left=left,
            corner_right=right,
            centre_x=float((p[INNER_UPPER_MIDDLE, 0] + p[INNER_LOWER_MIDDLE, 0]) / 2),
            seam=curve(seam_points),
            upper_outer=curve(p[list(OUTER_UPPER)]),
            lower_outer=curve(p[list(OUTER_LOWER)]),
        )

    def across(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the place of x across the mouth: -1 at its left corner, 0 in the middle, 1 at its right corner."""
        left, right = self.centre_x - float(self.corner_left[0]), float(self.corner_right[0]) - self.centre_x
        d = np.asarray(x, np.float32) - self.centre_x
        half: NDArray[np.float32] = np.where(d < 0, left, right).astype(np.float32)
        place: NDArray[np.float32] = np.asarray(d / half, np.float32)
        return place

    def seam_y(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the height of the seam at x, px."""
        return np.interp(x, *self.seam).astype(np.float32)

    @property
    def half_width(self) -> float:
        return float(self.corner_right[0] - self.corner_left[0]) / 2

    @property
    def nose_base_y(self) -> float:
        return float(self.landmarks[NOSE_BASE, 1])

    @property
    def chin(self) -> NDArray[np.float32]:
        return self.landmarks[CHIN, :2]
