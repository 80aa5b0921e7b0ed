"""Regions of a picture, as the networks see them: MediaPipe's ImageToTensorCalculator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A turned rectangle of a picture. `x`, `y`: its centre in px; `width`, `height`: px; `angle`: radians, clockwise
    as pictures have y downwards.
    """

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0

    @classmethod
    def whole(cls, picture: NDArray[np.uint8]) -> Region:
        height, width = picture.shape[:2]
        return cls(x=width / 2, y=height / 2, width=width, height=height)

    @classmethod
    def square_around(cls, picture: NDArray[np.uint8]) -> Region:
        """Return the smallest square with the whole picture in its middle."""
        height, width = picture.shape[:2]
        side = max(height, width)
        return cls(x=width / 2, y=height / 2, width=side, height=side)


def sampled(
    picture: NDArray[np.uint8], region: Region, side_px: int, *, border: int = cv2.BORDER_CONSTANT
) -> NDArray[np.uint8]:
    """Return a region of `picture`, uint8 (H, W, 3), as side_px x side_px pixels. `border`: what lies outside of the
    picture, as OpenCV names it; zeros by default.
    """
    rectangle = ((region.x, region.y), (region.width, region.height), math.degrees(region.angle))
    corners = cv2.boxPoints(rectangle)  # 32-bit floats, from bottom left on, clockwise
    target = np.array([[0, side_px], [0, 0], [side_px, 0], [side_px, side_px]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    found: NDArray[np.uint8] = cv2.warpPerspective(
        picture, matrix, (side_px, side_px), flags=cv2.INTER_LINEAR, borderMode=border
    )
    return found
