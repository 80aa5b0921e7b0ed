"""Where in a photo there are faces: two detectors, tiles for small ones, turns for lost EXIF tags, eased copies where
paint or darkness hides them.

What is cheap comes first: an ordinary photo needs one look of each detector. Which of the faces is meant is for face.py
to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.models import DetectedFace, Models

SIGHT_PX = 1024  # detectors see at most 192 px; this leaves tiles enough detail
CERTAIN, CERTAIN_IN_TILE = 0.5, 0.7  # detectors' scores; many tiles are many chances to be wrong
DOUBTFUL = 0.75  # below, a face may be one seen upside down
PADDED_BY = 0.4  # of the long side: a face that fills the picture is larger than what the detectors were taught


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was seen: the faces, surest first, in px of the picture turned by `quarter_turns` against the clock
    (np.rot90).
    """

    faces: list[DetectedFace]
    quarter_turns: int


def look_for_faces(picture: NDArray[np.uint8], models: Models) -> Sight:
    """Return the faces in `picture`, uint8 (H, W, 3), turned as they were seen best."""
    height, width = picture.shape[:2]
    ratio = min(1.0, SIGHT_PX / max(height, width))
    sight = picture
    if ratio < 1.0:
        size = max(1, round(width * ratio)), max(1, round(height * ratio))
        sight = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    found = _detect(sight, models)
    turns = 0
    if not found or found[0].score < DOUBTFUL:  # lying on its side, or on its head?
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
    """Without grain, brush strokes and hatching, which detectors of photographed faces take for features."""
    return np.asarray(cv2.medianBlur(picture, 2 * max(1, max(picture.shape[:2]) // 250) + 1), dtype=np.uint8)


def _lightened(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    curve = np.rint(255.0 * (np.arange(256) / 255.0) ** 0.45).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, curve), dtype=np.uint8)


def _detect_padded(picture: NDArray[np.uint8], models: Models) -> list[DetectedFace]:
    pad = max(1, round(PADDED_BY * max(picture.shape[:2])))
    wider = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    return [_shifted(face, -pad, -pad) for face in _detect(np.asarray(wider, dtype=np.uint8), models)]


def _detect_in_tiles(picture: NDArray[np.uint8], models: Models, part: float) -> list[DetectedFace]:
    """Look again at overlapping squares, each `part` of the long side."""
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
    """Keep the surest of those that are one face: the middle of one lies in the box of the other."""
    kept: list[DetectedFace] = []
    for face in sorted(faces, key=lambda f: f.score, reverse=True):
        if not any(_holds(face, other) or _holds(other, face) for other in kept):
            kept.append(face)
    return kept


def _holds(outer: DetectedFace, inner: DetectedFace) -> bool:
    x, y = inner.box[0] + inner.box[2] / 2, inner.box[1] + inner.box[3] / 2
    return outer.box[0] <= x <= outer.box[0] + outer.box[2] and outer.box[1] <= y <= outer.box[1] + outer.box[3]
