"""The background behind the person, filled in: the band that a moving head uncovers looks like its surroundings."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.fill import fill_from_known

# Lengths are in eye distances.
PERSONS_OWN = 0.03  # a pixel with more opacity than this belongs to the person
CLEARANCE = 0.05  # beyond the matte, this far, pixels may still have some of the person's colour
# The texture of the surroundings is continued this far inwards. A moving head uncovers less than this.
MIRROR_BAND = 0.55


def fill_background(picture: NDArray[np.uint8], matte: NDArray[np.uint8], eye_distance_px: float) -> NDArray[np.uint8]:
    """Return `picture`, uint8 (H, W, 3), with the place of `matte`, uint8 (H, W), filled from around it.

    Colours spread in smoothly. Near the edge, the detail of the surroundings (the difference from the smooth colours)
    is mirrored inwards, so that grain and patterns continue. Far inside, the result is smooth and only plausible.
    """
    grow = max(1, round(CLEARANCE * eye_distance_px))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grow + 1, 2 * grow + 1))
    hidden = np.asarray(cv2.dilate((matte > 255 * PERSONS_OWN).astype(np.uint8), disc), dtype=np.uint8)
    if not hidden.any():
        return picture.copy()
    if hidden.all():  # nothing to fill from: a blur of the picture is the least conspicuous
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), eye_distance_px), dtype=np.uint8)
    height, width = hidden.shape
    image = picture.astype(np.float32)
    known = np.float32(1.0) - hidden
    # Smooth colours lose nothing at half the size.
    size = (width + 1) // 2, (height + 1) // 2
    weight_half = _resized(known, size)
    known_half = weight_half > 0.99
    image_half = _resized(image, size)
    smooth_half = _soften_inside(fill_from_known(image_half, known_half), known_half, max(1, grow // 2))
    mean_half = _known_mean(image_half, known_half, max(1.0, 0.06 * eye_distance_px))
    smooth, mean = _resized(smooth_half, (width, height)), _resized(mean_half, (width, height))
    # The detail is the picture minus its local mean over known pixels. A pixel takes it from the place that is as far
    # outside the edge as the pixel is inside.
    detail = (image - mean) * known[..., None]
    distance = np.asarray(cv2.distanceTransform(hidden, cv2.DIST_L2, 5), dtype=np.float32)
    there_x, there_y = _mirrored(distance)
    mirrored = cv2.remap(detail, there_x, there_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    fade = np.clip(1.0 - distance / (MIRROR_BAND * eye_distance_px), 0.0, 1.0)[..., None]
    filled = np.clip(smooth + fade * mirrored + 0.5, 0, 255).astype(np.uint8)
    return np.where(hidden[..., None] > 0, filled, picture)


def _resized(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    shrinks = size[0] < image.shape[1]
    return np.asarray(
        cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), dtype=np.float32
    )


def _mirrored(distance: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return, for each hidden pixel, the place straight across the edge and as far outside as the pixel is inside: x
    and y, float32 (H, W). The slope of the smoothed distance gives the direction.
    """
    even = cv2.GaussianBlur(distance, (13, 13), 3.0)
    slope_x, slope_y = cv2.Sobel(even, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(even, cv2.CV_32F, 0, 1, ksize=3)
    length = np.maximum(np.hypot(slope_x, slope_y), 1e-3)
    height, width = distance.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x - 2.0 * distance * slope_x / length, y - 2.0 * distance * slope_y / length


def _known_mean(image: NDArray[np.float32], known: NDArray[np.bool_], sigma_px: float) -> NDArray[np.float32]:
    weight = known.astype(np.float32)
    total = cv2.GaussianBlur(image * weight[..., None], (0, 0), sigma_px)
    mean: NDArray[np.float32] = total / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma_px), 1e-4)[..., None]
    return mean


def _soften_inside(filled: NDArray[np.float32], known: NDArray[np.bool_], edge_px: int) -> NDArray[np.float32]:
    """Blur the filled place a little, because the pyramid leaves faint squares; less towards its edge, where it joins
    the picture.
    """
    blurred = cv2.GaussianBlur(filled, (0, 0), max(1.0, 1.5 * edge_px))
    depth = np.clip(cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 3) / (4.0 * edge_px), 0.0, 1.0)[
        ..., None
    ]
    softened: NDArray[np.float32] = filled + depth * (blurred - filled)
    return softened
