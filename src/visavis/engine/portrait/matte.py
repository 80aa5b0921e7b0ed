"""The matte of the person, down to single hairs: the coarse matte, refined along the edges of the photo."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.closed_form import closed_form
from visavis.engine.portrait.coarse import coarse_matte, inside_face
from visavis.engine.portrait.face import FoundFace
from visavis.engine.portrait.models import Models

# Lengths are in eye distances.
SURE_INSIDE, SURE_OUTSIDE = 0.06, 0.08  # the coarse matte is right if its edge is at least this far away
SOFT_MOST_PX = 70_000  # with more soft pixels than this, the matte stays at half the size
STRAY_REACH, STRAY_DEPTH = 0.7, 3.0  # stray hair is looked for this far from the person, and this far below the eyes
BUSY = 0.08  # with a larger share of lines in that band, the lines belong to the background


def person_matte(picture: NDArray[np.uint8], face: FoundFace, models: Models) -> NDArray[np.uint8]:
    """Return the matte of the person in `picture`: uint8 (H, W), 255 inside, soft at hair. `face` is measured in
    `picture`.

    The coarse matte says what is surely inside and what is surely outside. Between the two, the colours of the photo
    decide (closed_form.py).
    """
    unit = face.eye_distance_px
    refined = _along_colours(picture, np.clip(coarse_matte(picture, face, models), 0.0, 1.0), unit)
    refined = np.clip((refined - 0.02) / 0.96, 0.0, 1.0)
    refined = np.maximum(refined, inside_face(picture, face, 0.12))
    refined = np.maximum(refined, _holes(refined, limit_px=round(4 * unit * unit)))
    refined = without_islands(np.maximum(refined, _stray_strands(picture, refined, face)), face)
    matte: NDArray[np.uint8] = np.rint(refined * 255.0).astype(np.uint8)
    return matte


def _along_colours(picture: NDArray[np.uint8], coarse: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
    """Return the coarse matte, refined in a band around its edge by the colours of the photo: first at half the size,
    then at full size where it is soft.
    """
    height, width = coarse.shape
    small = _resized(picture, (width + 1) // 2, (height + 1) // 2).astype(np.float32) / 255.0
    guess = _resized(coarse, (width + 1) // 2, (height + 1) // 2)
    inside = cv2.erode((guess > 0.9).astype(np.uint8), _disc(SURE_INSIDE * unit / 2)) > 0
    outside = cv2.erode((guess < 0.05).astype(np.uint8), _disc(SURE_OUTSIDE * unit / 2)) > 0
    half = closed_form(
        small, np.where(inside, np.float32(1.0), np.where(outside, np.float32(0.0), guess)), ~(inside | outside)
    )
    matte = np.asarray(cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    soft = cv2.dilate(((matte > 0.03) & (matte < 0.97)).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if int(soft.sum()) > SOFT_MOST_PX:
        return matte
    return closed_form(picture.astype(np.float32) / np.float32(255.0), np.where(soft, matte, np.round(matte)), soft)


def _resized(image: NDArray[np.generic], width: int, height: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))


def _disc(radius_px: float) -> NDArray[np.uint8]:
    radius = max(1, round(radius_px))
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), dtype=np.uint8)


def _holes(matte: NDArray[np.float32], limit_px: int) -> NDArray[np.float32]:
    """Return 1 in each hole of the matte that has at most `limit_px` pixels and the person all around it, else 0."""
    empty = (matte < 0.9).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(empty, connectivity=4)
    height, width = matte.shape
    enclosed = np.zeros(count, np.float32)
    for label in range(1, count):
        left, top, across, down, area = stats[label]
        at_edge = left == 0 or top == 0 or left + across == width or top + down == height
        enclosed[label] = not at_edge and area <= limit_px
    holes: NDArray[np.float32] = enclosed[labels]
    return holes


def _stray_strands(picture: NDArray[np.uint8], matte: NDArray[np.float32], face: FoundFace) -> NDArray[np.float32]:
    """Return the thin lines around the head, float32 (H, W), 0 to 1: hair that is too fine for the model's grid.
    Without them it would stay behind when the head moves.

    Nothing in front of a busy background: many lines belong to the background.
    """
    unit = face.eye_distance_px
    outside = cv2.distanceTransform((matte < 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    band = (outside > 0) & (outside < STRAY_REACH * unit)
    band[int(min(len(band), face.eye_centre[1] + STRAY_DEPTH * unit)) :] = False
    if not band.any():
        return np.zeros_like(matte)
    light = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.float32) / np.float32(255.0)
    # A pixel is compared with the background only: next to dark hair, a bright wall itself would stand out.
    background = (matte < 0.02).astype(np.float32)
    sigma = max(1.0, 0.05 * unit)
    around = cv2.GaussianBlur(light * background, (0, 0), sigma) / np.maximum(
        cv2.GaussianBlur(background, (0, 0), sigma), 1e-3
    )
    stands_out = np.abs(light - around) * background
    noise = 1.48 * float(np.median(stands_out[band]))
    strands = np.where(band, np.clip((stands_out - 3.0 * noise - 0.015) / 0.06, 0.0, 1.0), np.float32(0.0))
    busy = float((strands[band] > 0.3).mean())
    return np.asarray(strands * max(0.0, min(1.0, (BUSY - busy) / (0.5 * BUSY))), dtype=np.float32)


def without_islands(matte: NDArray[np.float32], face: FoundFace) -> NDArray[np.float32]:
    """Return the part of `matte`, float32 (H, W), that is connected with the face: no passers-by, posters or specks."""
    near = cv2.dilate((matte > 0.1).astype(np.uint8), np.ones((5, 5), np.uint8))  # a strand may have gaps
    _, labels = cv2.connectedComponents(near, connectivity=8)
    x, y = np.rint(face.landmarks[[1, 33, 263, 152], :2]).astype(int).T
    height, width = matte.shape
    own = {int(label) for label in labels[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]} - {0}
    return np.where(np.isin(labels, list(own)), matte, np.float32(0.0))
