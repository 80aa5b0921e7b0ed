"""Finds all faces in a photo, by two detectors. If they find none, the photo is turned (the EXIF tag may be lost), cut
into tiles (for small faces), smoothed (for paintings) and lightened.

The cheapest attempt comes first: an ordinary photo needs one pass of each detector. face.py chooses among the faces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.models import DetectedFace, Models

SIGHT_PX = 1024  # longest side of the picture that is searched. Detectors use at most 192 px; tiles need more
CERTAIN, CERTAIN_IN_TILE = 0.5, 0.7  # least scores. Many tiles are many chances of an error
DOUBTFUL = 0.75  # with a lower score, the face may be upside down
PADDED_BY = 0.4  # of the long side. The detectors were not trained with faces that fill the picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The faces that were found, the surest first, in px of the picture turned by `quarter_turns` (np.rot90)."""

    faces: list[DetectedFace]
    quarter_turns: int


def look_for_faces(picture: NDArray[np.uint8], models: Models) -> Sight:
    """Return the faces in `picture`, uint8 (H, W, 3), in the turn in which they are surest."""
    height, width = picture.shape[:2]
    ratio = min(1.0, SIGHT_PX / max(height, width))
    sight = picture
    if ratio < 1.0:
        size = max(1, round(width * ratio)), max(1, round(height * ratio))
        sight = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    found = _detect(sight, models)
    turns = 0
    if not found or found[0].score < DOUBTFUL:  # the photo may be sideways or upside down
        for quarter_turns in (1, 3, 2):
            turned = _detect(np.ascontiguousarray(np.rot90(sight, quarter_turns)), models)
            if turned and turned[0].score > max(DOUBTFUL, found[0].score if found else 0.0):
                found, turns = turned, quarter_turns
    for part in (0.6, 0.36):
        found = found or _detect_in_tiles(sight, models, part)
    for ease in (_smoothed, _lightened):
        found = found or _detect(ease(sight), models)
    found = found or _detect_padded(_smoothed(sight), models)
    return Sight(faces=[_scaled(face, 1.0 / ratio) for face in found], quarter_turns=turns)


def _detect(picture: NDArray[np.uint8], models: Models) -> list[DetectedFace]:
    near = models.faces(picture, full_range=False, min_score=CERTAIN)
    return _distinct(near + models.faces(picture, full_range=True, min_score=CERTAIN))


def _smoothed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture without grain, brush strokes and hatching, which the detectors mistake for features."""
    return np.asarray(cv2.medianBlur(picture, 2 * max(1, max(picture.shape[:2]) // 250) + 1), dtype=np.uint8)


def _lightened(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    curve = np.rint(255.0 * (np.arange(256) / 255.0) ** 0.45).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, curve), dtype=np.uint8)


def _detect_padded(picture: NDArray[np.uint8], models: Models) -> list[DetectedFace]:
    pad = max(1, round(PADDED_BY * max(picture.shape[:2])))
    wider = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    return [_shifted(face, -pad, -pad) for face in _detect(np.asarray(wider, dtype=np.uint8), models)]


def _detect_in_tiles(picture: NDArray[np.uint8], models: Models, part: float) -> list[DetectedFace]:
    """Search overlapping squares, each with `part` of the long side."""
    height, width = picture.shape[:2]
    side = max(1, round(max(height, width) * part))
    found = []
    for top in _starts(height, side):
        for left in _starts(width, side):
            tile = np.ascontiguousarray(picture[top : top + side, left : left + side])
            seen = models.faces(tile, full_range=True, min_score=CERTAIN_IN_TILE)
            found += [_shifted(face, left, top) for face in seen]
    return _distinct(found)


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side * 0.6)) + 1
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def _shifted(face: DetectedFace, right: float, down: float) -> DetectedFace:
    x, y, width, height = face.box
    return DetectedFace(
        box=(x + right, y + down, width, height), eyes=face.eyes + np.array([right, down], np.float32), score=face.score
    )


def _scaled(face: DetectedFace, by: float) -> DetectedFace:
    x, y, width, height = face.box
    return DetectedFace(
        box=(x * by, y * by, width * by, height * by), eyes=face.eyes * np.float32(by), score=face.score
    )


def _distinct(faces: list[DetectedFace]) -> list[DetectedFace]:
    """Return each face once, with its highest score. Two boxes show one face if one holds the middle of the other."""
    kept: list[DetectedFace] = []
    for face in sorted(faces, key=lambda f: f.score, reverse=True):
        if not any(_holds(face, other) or _holds(other, face) for other in kept):
            kept.append(face)
    return kept


def _holds(outer: DetectedFace, inner: DetectedFace) -> bool:
    x, y = inner.box[0] + inner.box[2] / 2, inner.box[1] + inner.box[3] / 2
    return outer.box[0] <= x <= outer.box[0] + outer.box[2] and outer.box[1] <= y <= outer.box[1] + outer.box[3]
