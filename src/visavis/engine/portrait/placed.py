"""The mesh of a face that a person marked with seven points: the mesh that the model sees there, or the mean face, bent
until it meets the points.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.errors import ImageRefused, Reason
from visavis.engine.portrait.crop import Cut, cut_out, inverse, map_points
from visavis.engine.portrait.face import LEAST_EYE_DISTANCE_PX, FoundFace, describe_face
from visavis.engine.portrait.models import Models
from visavis.engine.portrait.points import SevenPoints, judge_points

# Made by tools/mean_face.py: float32 (478, 3), the eyes 1 apart, (0, 0) between them.
MEAN_FACE = Path(__file__).with_name("mean_face.npy")
EYES = (33, 133), (362, 263)
INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
SINGLE = (61, 291, 0, 17, 152)  # mouth corners, lips, chin
# The mesh that the model sees is used if its seven places lie within this of the points, in eye distances.
SEEN_WITHIN = 0.22
STIFFNESS = 1e-4  # of the spline. The mesh meets the points to a hundredth of the eye distance


def place_face(picture: NDArray[np.uint8], points: SevenPoints, models: Models, *, reduced: int = 1) -> FoundFace:
    """Return the face that `points` mark in `picture`, uint8 (H, W, 3). Raises ImageRefused WRONG_POINTS or
    FACE_TOO_SMALL.
    """
    height, width = picture.shape[:2]
    px = points.in_px(width, height)
    judge_points(px)
    targets = np.array(px, np.float64)
    eyes_px = float(np.hypot(*(targets[1] - targets[0])))
    if eyes_px * reduced < LEAST_EYE_DISTANCE_PX:
        raise ImageRefused(
            Reason.FACE_TOO_SMALL,
            f"The face is too small: {eyes_px * reduced:.0f} px between the eyes",
            suggestion="Send a larger picture",
        )
    base = _seen(picture, targets, eyes_px, models)
    if base is not None:
        return describe_face(bend(base, targets))
    landmarks = bend(np.load(MEAN_FACE).astype(np.float32), targets)
    # A mouth that is bent far must not come apart. Nothing is known of its lips, so they are closed along one line.
    upper, lower = list(INNER_UPPER), list(INNER_LOWER)
    landmarks[upper] = landmarks[lower] = (landmarks[upper] + landmarks[lower]) / 2
    return describe_face(landmarks)


def seven_places(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the seven places of a mesh, float64 (7, 2), in the order of points.NAMES."""
    eyes = [landmarks[list(corners), :2].mean(axis=0) for corners in EYES]
    return np.array([*eyes, *landmarks[list(SINGLE), :2]], np.float64)


def bend(landmarks: NDArray[np.float32], targets: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the mesh, moved by a similarity and bent by a thin-plate spline (Bookstein 1989) so that its seven places
    meet `targets`.
    """
    places = seven_places(landmarks)
    scale, turn, shift = _similarity(places, targets)
    laid = landmarks.astype(np.float64)
    laid[:, :2] = laid[:, :2] @ (scale * turn).T + shift
    laid[:, 2] *= scale
    centre, unit = targets.mean(axis=0), float(np.hypot(*(targets[1] - targets[0])))
    knots = (seven_places(laid.astype(np.float32)) - centre) / unit
    spline = np.zeros((10, 10))
    spline[:7, :7] = _bending(knots, knots) + STIFFNESS * np.eye(7)
    spline[:7, 7:] = np.hstack([np.ones((7, 1)), knots])
    spline[7:, :7] = spline[:7, 7:].T
    move = np.zeros((10, 2))
    move[:7] = (targets - centre) / unit - knots
    weights = np.linalg.solve(spline, move)
    at = (laid[:, :2] - centre) / unit
    laid[:, :2] += unit * (_bending(at, knots) @ weights[:7] + np.hstack([np.ones((len(at), 1)), at]) @ weights[7:])
    return laid.astype(np.float32)


def _bending(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    square = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(0.5 * square * np.log(np.maximum(square, 1e-12)))


def _similarity(
    places: NDArray[np.float64], targets: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the scale, rotation and shift that bring `places` nearest to `targets` in the mean square (Umeyama 1991,
    without mirroring).
    """
    a, b = places - places.mean(axis=0), targets - targets.mean(axis=0)
    along, across = float((a * b).sum()), float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum())
    angle = math.atan2(across, along)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    scale = math.hypot(along, across) / float((a * a).sum())
    return scale, turn, targets.mean(axis=0) - scale * turn @ places.mean(axis=0)


def _seen(
    picture: NDArray[np.uint8], targets: NDArray[np.float64], eyes_px: float, models: Models
) -> NDArray[np.float32] | None:
    """Return the mesh that the model sees at the points, None if it does not agree with them."""
    across = targets[1] - targets[0]
    centre = targets[:6].mean(axis=0)
    for reach in (1.9, 2.6):
        half = reach * eyes_px
        cut = Cut(
            anchor=(float(centre[0]), float(centre[1])),
            roll_deg=math.degrees(math.atan2(across[1], across[0])),
            left=half,
            top=half,
            scale=448 / (2 * half),
            width_px=448,
            height_px=448,
        )
        landmarks = models.mesh(cut_out(picture, cut, border=cv2.BORDER_REPLICATE), bold=True)
        if landmarks is not None:
            landmarks = map_points(landmarks, inverse(cut.matrix()))
            if float(np.hypot(*(seven_places(landmarks) - targets).T).max()) < SEEN_WITHIN * eyes_px:
                return landmarks
    return None
