"""MediaPipe's two face detectors: single-shot detectors with anchors of one size. The values are those of its graphs
`face_detection_short_range` and `face_detection_full_range`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.networks.files import read_file
from visavis.engine.portrait.networks.network import Network
from visavis.engine.portrait.networks.regions import Region, sampled

SAME_FACE = 0.3  # intersection over union from which boxes show one face
LARGEST_LOGIT = 80.0  # its exponential is a 32-bit float; MediaPipe's 100 is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """Faces, the surest first. `boxes`: float32 (N, 4), left, top, width, height in px; `points`: float32 (N, 6, 2) in
    px: the eyes (first the one on the left of the picture), nose, mouth and ears; `scores`: float32 (N,), 0 to 1.
    """

    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorLayout:
    """`side_px`: of the network's picture. `least_score`: boxes below it do not count. `grids`: its grids of anchors,
    each with how many cells a side has and how many anchors a cell.
    """

    file: str
    side_px: int
    least_score: float
    grids: tuple[tuple[int, int], ...]

    def anchors(self) -> NDArray[np.float32]:
        """Return the centres of all anchors, float32 (N, 2), 0 to 1."""
        centres: list[NDArray[np.float64]] = []
        for cells, count in self.grids:
            row, column = np.mgrid[:cells, :cells]
            centre = (np.stack([column.ravel(), row.ravel()], axis=1) + 0.5) / cells
            centres.append(np.repeat(centre, count, axis=0))
        found: NDArray[np.float32] = np.concatenate(centres).astype(np.float32)
        return found


SHORT_RANGE = DetectorLayout(file="face_short_range.tflite", side_px=128, least_score=0.5, grids=((16, 2), (8, 6)))
FULL_RANGE = DetectorLayout(file="face_full_range.tflite", side_px=192, least_score=0.6, grids=((48, 1),))


class FaceDetector:
    """One of the two detectors."""

    def __init__(self, layout: DetectorLayout) -> None:
        self._layout, self._network, self._anchors = layout, Network(read_file(layout.file)), layout.anchors()

    def find(self, picture: NDArray[np.uint8], *, least_score: float | None = None) -> Detections:
        """Find the faces in `picture`, uint8 (H, W, 3). `least_score`: another one than the layout's."""
        least_score = self._layout.least_score if least_score is None else least_score
        region = Region.square_around(picture)
        seen = sampled(picture, region, self._layout.side_px).astype(np.float32) / np.float32(127.5) - np.float32(1)
        raw_scores, raw = sorted((one[0] for one in self._network.of_picture(seen)), key=np.size)
        logits = np.clip(raw_scores[:, 0], -LARGEST_LOGIT, LARGEST_LOGIT)
        scores = 1 / (1 + np.exp(-logits))
        sure = np.flatnonzero(scores >= least_score)
        sure = sure[np.argsort(-scores[sure], kind="stable")]
        values = raw[sure].reshape(-1, 8, 2) / np.float32(self._layout.side_px)  # centre, size, six points
        values[:, [0, 2, 3, 4, 5, 6, 7]] += self._anchors[sure, None]
        boxes, points, kept = _merged(values, scores[sure])
        corner = np.array([region.x, region.y]) - region.width / 2
        low = (boxes[:, 0] - boxes[:, 1] / 2) * region.width + corner
        return Detections(
            boxes=np.concatenate([low, boxes[:, 1] * region.width], axis=1).astype(np.float32),
            points=(points * region.width + corner).astype(np.float32),
            scores=kept.astype(np.float32),
        )


def _merged(
    values: NDArray[np.float32], scores: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Merge boxes of one face into their average, weighted by their scores: MediaPipe's WEIGHTED suppression.

    `values`: float32 (N, 8, 2), sorted by `scores`. Returns boxes (M, 2, 2), points (M, 6, 2) and scores (M,).
    """
    low, high = values[:, 0] - values[:, 1] / 2, values[:, 0] + values[:, 1] / 2
    areas = (high - low).clip(0).prod(axis=1)
    left = np.arange(len(values))
    merged, kept = [], []
    while len(left):
        best = left[0]
        shared = (np.minimum(high[left], high[best]) - np.maximum(low[left], low[best])).clip(0).prod(axis=1)
        union = areas[left] + areas[best] - shared
        near = np.where(union > 0, shared / np.where(union > 0, union, 1), 0) > SAME_FACE
        near[0] = True
        merged.append(np.average(values[left[near]], axis=0, weights=scores[left[near]]))
        kept.append(scores[best])
        left = left[~near]
    found = np.array(merged, np.float32).reshape(-1, 8, 2)
    return found[:, :2], found[:, 2:], np.array(kept, np.float32)
