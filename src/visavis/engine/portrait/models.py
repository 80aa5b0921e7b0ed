"""The networks that read a photo: face detection, face mesh, segmentation of persons."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.networks.face_detector import FULL_RANGE, SHORT_RANGE, FaceDetector
from visavis.engine.portrait.networks.face_mesh import FaceMesh, region_of
from visavis.engine.portrait.networks.person_mask import PersonMask

SURE, BOLD = 0.4, 0.15  # how much detector and mesh must be sure of a face


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedFace:
    """A face that a detector found. `box`: x, y, width, height in px; `eyes`: float32 (2, 2), the one on the left of
    the picture first; `score`: 0 to 1.
    """

    box: tuple[float, float, float, float]
    eyes: NDArray[np.float32]
    score: float


class Models:
    """The models of one thread. Each is loaded when it is first needed."""

    def faces(self, picture: NDArray[np.uint8], *, full_range: bool, min_score: float) -> list[DetectedFace]:
        """Return the faces in `picture`, uint8 (H, W, 3). The short-range model is best for large faces, the full-range
        model for small ones.
        """
        found = (self._full_range if full_range else self._short_range).find(picture)
        faces = []
        for box, points, score in zip(found.boxes.tolist(), found.points, found.scores.tolist(), strict=True):
            if score >= min_score:
                left, top, width, height = box
                faces.append(DetectedFace(box=(left, top, width, height), eyes=points[:2], score=score))
        return faces

    def mesh(self, picture: NDArray[np.uint8], *, bold: bool = False) -> NDArray[np.float32] | None:
        """Return the landmarks of the face in `picture`, uint8 (H, W, 3): float32 (478, 3) in px of it, or None. `bold`
        accepts something that hardly looks like a face.
        """
        least = BOLD if bold else SURE
        found = self._short_range.find(picture, least_score=least)
        if not len(found.scores):
            return None
        landmarks, score = self._mesh.find(picture, region_of(found))
        return landmarks if score > least else None

    def person(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how much of each pixel belongs to a person: float32 (H, W), 0 to 1, as coarse as the model's grid of
        256 x 256.
        """
        return self._person.find(picture)

    @cached_property
    def _short_range(self) -> FaceDetector:
        return FaceDetector(SHORT_RANGE)

    @cached_property
    def _full_range(self) -> FaceDetector:
        return FaceDetector(FULL_RANGE)

    @cached_property
    def _mesh(self) -> FaceMesh:
        return FaceMesh()

    @cached_property
    def _person(self) -> PersonMask:
        return PersonMask()
