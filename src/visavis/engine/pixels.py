"""Reads pixels at landmarks. A landmark may lie outside its picture, where the photo cuts the face: then the nearest
pixels of the picture are read. An index below 0 would count from the other side instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def square_around(picture: NDArray[np.generic], at: NDArray[np.float32], reach_px: int) -> tuple[slice, slice]:
    """Return the rows and columns of the square around a point x, y, as far as it lies in `picture`, (H, W) or (H, W,
    C); around the nearest point of the picture if `at` lies outside. It is never empty. `reach_px`: at least 1.
    """
    height, width = picture.shape[:2]
    x, y = min(max(int(at[0]), 0), width - 1), min(max(int(at[1]), 0), height - 1)
    return slice(max(0, y - reach_px), y + reach_px), slice(max(0, x - reach_px), x + reach_px)


def pixels_at(picture: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the pixels, (n, C), of `picture`, (H, W, C), nearest to points (n, 2) x, y."""
    height, width = picture.shape[:2]
    x, y = np.clip(points.astype(np.intp), 0, (width - 1, height - 1)).T
    return np.asarray(picture[y, x], dtype=np.uint8)
