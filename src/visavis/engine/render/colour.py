"""RGB to the Y, U, V of BT.601 in limited range, and planes to I420."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# ITU-R BT.601-7, section 2.5.4, for 8 bits: Y 16 to 235, U and V 16 to 240 about 128.
_MATRIX = (
    np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], np.float32) / 255.0
)
_AFFINE = np.column_stack([_MATRIX, np.array([16.0, 128.0, 128.0], np.float32)])


def to_yuv(rgb: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return Y, U, V (..., 3), float32, for RGB (..., 3), 0 to 255."""
    rgb = np.ascontiguousarray(rgb, np.float32)
    yuv: NDArray[np.float32] = cv2.transform(rgb.reshape(1, -1, 3), _AFFINE).reshape(rgb.shape)
    return yuv


def planes(
    i420: NDArray[np.uint8], width: int, height: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return views of the planes Y (height, width), U and V (height / 2, width / 2) of an I420 array (height * 3 / 2,
    width).
    """
    flat = i420.reshape(-1)
    luma, quarter = width * height, width * height // 4
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + quarter].reshape(half),
        flat[luma + quarter :].reshape(half),
    )
