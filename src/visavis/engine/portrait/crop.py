"""Cut, turn and scale in one step, without aliasing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A rectangle of a picture, turned by `roll_deg` (clockwise in the picture) around its anchor, and the size to
    which it is scaled.

    `anchor`: a point of the source in px; `left`, `top`: how far the rectangle reaches from the anchor, in source px
    along its own axes; `scale`: target px per source px; `width_px`, `height_px`: the target.
    """

    anchor: tuple[float, float]
    roll_deg: float
    left: float
    top: float
    scale: float
    width_px: int
    height_px: int

    def matrix(self) -> NDArray[np.float64]:
        """Return the 2 x 3 affine map from source pixels to target pixels."""
        turn = math.radians(self.roll_deg)
        rotate = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        shift = np.array([self.left, self.top]) - rotate @ np.array(self.anchor)
        return self.scale * np.hstack([rotate, shift[:, None]])


def map_points(points: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Map float32 (n, 2 or 3) points; a third coordinate is a depth and only scales."""
    mapped = points.astype(np.float64)
    mapped[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    if points.shape[1] == 3:
        mapped[:, 2] *= math.hypot(matrix[0, 0], matrix[1, 0])
    return mapped.astype(np.float32)


def inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the 2 x 3 affine map that undoes `matrix`."""
    return np.asarray(cv2.invertAffineTransform(matrix), dtype=np.float64)


def cut_out(picture: NDArray[np.uint8], cut: Cut, *, border: int = cv2.BORDER_REFLECT_101) -> NDArray[np.uint8]:
    """Return the rectangle `cut` of `picture`: uint8 (cut.height_px, cut.width_px, 3). `border`: how OpenCV fills the
    parts that lie outside the picture.
    """
    matrix = cut.matrix()
    if cut.scale < 0.75:  # the picture is averaged to a smaller size first, so that the warp hardly shrinks it
        picture, matrix = _averaged(picture, matrix, cut)
    out = cv2.warpAffine(picture, matrix, (cut.width_px, cut.height_px), flags=cv2.INTER_CUBIC, borderMode=border)
    return np.asarray(out, dtype=np.uint8)


def _averaged(
    picture: NDArray[np.uint8], matrix: NDArray[np.float64], cut: Cut
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of `picture` that `cut` needs, at the scale of `cut`, and the map from it to the target."""
    height, width = picture.shape[:2]
    corners = np.array([[0, 0], [cut.width_px, 0], [0, cut.height_px], [cut.width_px, cut.height_px]], np.float32)
    needed = map_points(corners, inverse(matrix))
    margin = 2.0 / cut.scale
    x0, y0 = (int(max(0, math.floor(low - margin))) for low in needed.min(axis=0))
    x1, y1 = (
        int(min(end, math.ceil(high + margin))) for end, high in zip((width, height), needed.max(axis=0), strict=True)
    )
    part = picture[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    size = max(1, round(part.shape[1] * cut.scale)), max(1, round(part.shape[0] * cut.scale))
    step_x, step_y = part.shape[1] / size[0], part.shape[0] / size[1]
    # Pixel centres lie at half coordinates: source = (small + 0.5) * step - 0.5, plus the corner of the part.
    grow = np.array([[step_x, 0, 0.5 * step_x - 0.5 + x0], [0, step_y, 0.5 * step_y - 0.5 + y0], [0, 0, 1]])
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False), matrix @ grow
