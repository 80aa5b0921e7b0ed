"""The three MediaPipe models in use: face detection, face mesh, selfie segmentation.

They load faster than usual and without log lines: the drawing module of mediapipe imports matplotlib, which is not
needed here, so an empty module takes its place (decision 0001).
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.study import LANDMARK_COUNT


def _solution(name: str) -> Any:
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stand_ins = [name for name in ("matplotlib", "matplotlib.pyplot") if name not in sys.modules]
    for stand_in in stand_ins:
        sys.modules[stand_in] = ModuleType(stand_in)
    try:
        return importlib.import_module(f"mediapipe.python.solutions.{name}")
    finally:
        for stand_in in stand_ins:
            del sys.modules[stand_in]


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

    def __init__(self) -> None:
        self._detectors: dict[int, Any] = {}
        self._meshes: dict[bool, Any] = {}
        self._segmentation: Any = None

    def faces(self, picture: NDArray[np.uint8], *, full_range: bool, min_score: float) -> list[DetectedFace]:
        """Return the faces in `picture`, uint8 (H, W, 3). The short-range model is best for large faces, the full-range
        model for small ones.
        """
        selection = int(full_range)
        if selection not in self._detectors:
            # A graph has a fixed threshold: it is built with the lowest one in use, and scores are compared here.
            self._detectors[selection] = _solution("face_detection").FaceDetection(
                model_selection=selection, min_detection_confidence=0.3
            )
        height, width = picture.shape[:2]
        found = self._detectors[selection].process(picture).detections or []
        faces = []
        for face in found:
            score = float(face.score[0])
            if score < min_score:
                continue
            place = face.location_data.relative_bounding_box
            points = face.location_data.relative_keypoints
            eyes = np.array([(p.x * width, p.y * height) for p in points[:2]], np.float32)
            box = (place.xmin * width, place.ymin * height, place.width * width, place.height * height)
            faces.append(DetectedFace(box=box, eyes=eyes, score=score))
        return faces

    def mesh(self, square: NDArray[np.uint8], *, bold: bool = False) -> NDArray[np.float32] | None:
        """Return the landmarks of the face in `square`, float32 (478, 3) in px of it, or None. `bold` accepts something
        that hardly looks like a face.

        The picture must be square: in others, the model's own projection of lips and irises is wrong.
        """
        assert square.shape[0] == square.shape[1], square.shape
        if bold not in self._meshes:
            least = 0.15 if bold else 0.4
            self._meshes[bold] = _solution("face_mesh").FaceMesh(
                static_image_mode=True,
                max_num_faces=1,
                refine_landmarks=True,
                min_detection_confidence=least,
                min_tracking_confidence=least,
            )
        found = self._meshes[bold].process(square).multi_face_landmarks
        if not found:
            return None
        landmarks = np.array([(p.x, p.y, p.z) for p in found[0].landmark], np.float32) * square.shape[1]
        assert landmarks.shape == (LANDMARK_COUNT, 3), landmarks.shape
        return landmarks

    def person(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how much of each pixel belongs to a person: float32 (H, W), 0 to 1, as coarse as the model's grid of
        256 x 256.
        """
        if self._segmentation is None:
            self._segmentation = _solution("selfie_segmentation").SelfieSegmentation(model_selection=0)
        mask: NDArray[np.float32] = self._segmentation.process(picture).segmentation_mask
        return np.clip(mask, 0.0, 1.0)
