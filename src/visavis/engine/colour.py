"""Converts RGB to Y, U, V (BT.601, limited range), and gives the planes of an I420 picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# ITU-R BT.601-7, section 2.5.4, for 8 bits: Y from 16 to 235, U and V from 16 to 240 around 128.
_MATRIX = (
    np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], np.float32) / 255.0
)
_AFFINE = np.column_stack([_MATRIX, np.array([16.0, 128.0, 128.0], np.float32)])


def to_yuv(rgb: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return Y, U, V, float32 (..., 3), for RGB (..., 3) from 0 to 255."""
    rgb = np.ascontiguousarray(rgb, np.float32)
    yuv: NDArray[np.float32] = cv2.transform(rgb.reshape(1, -1, 3), _AFFINE).reshape(rgb.shape)
    return yuv


def planes(
    i420: NDArray[np.uint8], width: int, height: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the planes of an I420 array (height * 3 / 2, width) as views: Y (height, width), U and V (height / 2,
    width / 2).
    """
    flat = i420.reshape(-1)
    luma, quarter = width * height, width * height // 4
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + quarter].reshape(half),
        flat[luma + quarter :].reshape(half),
    )
