"""Measures of rendered frames of a face and of its photo. Pure functions: arrays in, figures out.

Pictures are uint8 (H, W, 3) RGB or luma (H, W). Landmarks are float (478, 2) px, those of MediaPipe's face mesh.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]
Mask = NDArray[np.bool_]

EYES = (33, 263)  # outer corners


def unit(p: Points) -> float:
    """Return the distance between the outer corners of the eyes, px."""
    return float(np.linalg.norm(p[EYES[0]] - p[EYES[1]]))


def similarity(photo: Picture, frame: Picture, where: Mask) -> float:
    """Return the SSIM (Wang et al. 2004, Gaussian windows of sigma 1.5) of luma, averaged over `where` (H, W)."""
    luma = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (photo, frame)]
    _, each = structural_similarity(
        *luma, full=True, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    return float(each[where].mean())


def changed(frames: Sequence[NDArray[np.uint8]], where: Mask) -> int:
    """Return how many px of `where` differ between frames, by any bit. Frames may be any planes of its shape."""
    first = frames[0][where]
    differs = np.zeros(first.shape[0], bool)
    for frame in frames[1:]:
        other = frame[where]
        differs |= (other != first).reshape(len(first), -1).any(axis=1)
    return int(differs.sum())


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian: the fine detail of a picture (Pech-Pacheco et al. 2000)."""
    return float(cv2.Laplacian(luma, cv2.CV_64F).var())


def mouth_sharpness(photo: Picture, frames: Sequence[Picture], box: tuple[int, int, int, int]) -> list[float]:
    """Return the sharpness of each frame divided by the photo's, in `box` (left, top, right, bottom)."""
    left, top, right, bottom = box
    of = [sharpness(cv2.cvtColor(picture[top:bottom, left:right], cv2.COLOR_RGB2GRAY)) for picture in (photo, *frames)]
    return [each / of[0] for each in of[1:]]


def likeness(photo: Points, frame: Points) -> float:
    """Return the mean distance between the meshes of two pictures, in per cent of the eye distance."""
    return 100.0 * float(np.linalg.norm(photo[:468] - frame[:468], axis=1).mean()) / unit(photo)


def jitter(nose: NDArray[np.float64], eye_px: float) -> float:
    """Return the median absolute second difference of a track (n, 2) px, in thousandths of the eye distance per frame
    squared.
    """
    return 1000.0 * float(np.median(np.linalg.norm(np.diff(nose, n=2, axis=0), axis=1))) / eye_px


def registered(frames: Sequence[Picture], box: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Return how far the picture in `box` has moved in each frame since the first, px (n, 2).

    Maximises the correlation (Evangelidis & Psarakis 2008), so it measures the pixels of the box alone. A face tracker
    fits a whole face, so that a moving mouth moves its nose.
    """
    left, top, right, bottom = box
    luma = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames]
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-5)
    moved, warp = [np.zeros(2)], np.array([[1, 0, left], [0, 1, top]], np.float32)
    for frame in luma[1:]:
        _, warp = cv2.findTransformECC(
            luma[0][top:bottom, left:right], frame, warp, cv2.MOTION_TRANSLATION, stop, None, 3
        )
        moved.append(np.array([float(warp[0, 2]) - left, float(warp[1, 2]) - top]))
    return np.array(moved)


def blinks(darkest: Sequence[float], wide_open: float, shut: float) -> int:
    """Return how often the eyes shut. All values are the darkest luma at the pupils: in each frame, with open eyes and
    with shut eyes. Eyes count as shut from halfway, and as open again below a quarter of the way.
    """
    count, closed = 0, False
    for value in darkest:
        way = (value - wide_open) / (shut - wide_open)
        if not closed and way > 0.5:
            closed, count = True, count + 1
        elif closed and way < 0.25:
            closed = False
    return count
