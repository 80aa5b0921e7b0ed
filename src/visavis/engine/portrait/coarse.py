"""A coarse matte: the segmentation model's guess for the whole picture and for the head, and a substitute where the
model sees nobody.

The model was trained with photos of people at a desk. It may miss a face that fills the picture, a drawing or a
painting. Then it is asked again with more room around the face. If it still sees nobody, an average head with shoulders
is laid over the face and fitted to the colours of the picture.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.crop import Cut, cut_out, inverse
from visavis.engine.portrait.face import FoundFace
from visavis.engine.portrait.models import Models

Array = NDArray[np.float32]

MODEL_SIDE_PX = 256
HEAD_REACH, NEAR_REACH = 3.4, 2.4  # half the side of a square around the head, in eye distances
SEEN = 0.85  # the model has seen a face if its mean guess within the face is at least this
CUT_SIDE_PX = 192  # longest side of the picture on which colours are separated


def coarse_matte(picture: NDArray[np.uint8], face: FoundFace, models: Models) -> Array:
    """Return how much of each pixel belongs to the person: float32 (H, W), 0 to 1, as coarse as the model's grid.
    `face` is measured in `picture`.
    """
    height, width = picture.shape[:2]
    whole = models.person(
        cv2.resize(picture, (MODEL_SIDE_PX, MODEL_SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    )
    whole = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    inner = inside_face(picture, face, 0.12) > 0
    best, most = _near(picture, face, models, whole, HEAD_REACH, cv2.BORDER_REPLICATE), -1.0
    for reach, border in (
        (HEAD_REACH, cv2.BORDER_REPLICATE),
        (HEAD_REACH, cv2.BORDER_CONSTANT),
        (NEAR_REACH, cv2.BORDER_REPLICATE),
    ):
        guess = best if most < 0 else _near(picture, face, models, whole, reach, border)
        seen = float(guess[inner].mean()) if inner.any() else 1.0
        if seen > most:
            best, most = guess, seen
        if seen >= SEEN:
            return guess
    return np.maximum(best, _cut_by_colour(picture, face))


def inside_face(picture: NDArray[np.generic], face: FoundFace, shrink: float) -> Array:
    """Return 1 inside the mesh of the face, shrunk by `shrink` eye distances, and 0 outside: float32 (H, W)."""
    hull = np.asarray(cv2.convexHull(np.rint(face.landmarks[:, :2]).astype(np.int32)), dtype=np.int32)
    solid = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillConvexPoly(solid, hull, (1,))
    side = 2 * max(1, round(shrink * face.eye_distance_px)) + 1
    return np.asarray(cv2.erode(solid, np.ones((side, side), np.uint8)), dtype=np.float32)


def _near(
    picture: NDArray[np.uint8], face: FoundFace, models: Models, whole: Array, reach: float, border: int
) -> Array:
    """Return the guess for the head alone, in which the model's grid is finer, blended into the guess for the whole
    picture.
    """
    height, width = picture.shape[:2]
    side = reach * face.eye_distance_px
    x, y = face.eye_centre
    head = Cut(
        anchor=(x, y + 0.6 * face.eye_distance_px),
        roll_deg=0.0,
        left=side,
        top=side,
        scale=MODEL_SIDE_PX / (2 * side),
        width_px=MODEL_SIDE_PX,
        height_px=MODEL_SIDE_PX,
    )
    near = models.person(cut_out(picture, head, border=border))
    # The guess for the head counts fully in its middle, and not at all at its edge.
    ramp = np.clip((1.0 - np.abs(np.linspace(-1, 1, MODEL_SIDE_PX, dtype=np.float32))) / 0.3, 0.0, 1.0)
    trust = np.minimum(ramp[:, None], ramp[None, :])
    back = inverse(head.matrix())
    near_there = cv2.warpAffine(near, back, (width, height), flags=cv2.INTER_LINEAR)
    trust_there = cv2.warpAffine(trust, back, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(whole + trust_there * (near_there - whole), dtype=np.float32)


def _cut_by_colour(picture: NDArray[np.uint8], face: FoundFace) -> Array:
    """Return an average head with shoulders whose outline is moved to where colours change (GrabCut, Rother et al.
    2004): float32 (H, W).
    """
    height, width = picture.shape[:2]
    ratio = CUT_SIDE_PX / max(height, width)
    small = np.asarray(
        cv2.resize(
            picture, (max(8, round(width * ratio)), max(8, round(height * ratio))), interpolation=cv2.INTER_AREA
        ),
        np.uint8,
    )
    usual, widest = (_head_and_shoulders(small.shape[1], small.shape[0], face, ratio, wider) for wider in (0.0, 0.7))
    surely = cv2.resize(inside_face(picture, face, 0.05), small.shape[1::-1], interpolation=cv2.INTER_AREA) > 0.5
    labels = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    labels[widest] = cv2.GC_PR_BGD
    labels[usual] = cv2.GC_PR_FGD
    labels[surely] = cv2.GC_FGD
    found = usual
    if (labels == cv2.GC_BGD).any() and surely.any():
        cv2.setRNGSeed(0)
        cv2.grabCut(small, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
        cut = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
        cut = cv2.morphologyEx(cut.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0
        # A drawing in one colour cannot be separated: then the average outline stays.
        if (cut & usual).sum() > 0.6 * usual.sum():
            found = cut
    return np.asarray(
        cv2.resize(
            cv2.GaussianBlur(found.astype(np.float32), (0, 0), 1.0), (width, height), interpolation=cv2.INTER_LINEAR
        ),
        np.float32,
    )


def _head_and_shoulders(width: int, height: int, face: FoundFace, ratio: float, wider: float) -> NDArray[np.bool_]:
    unit = face.eye_distance_px * ratio
    x, y = face.eye_centre[0] * ratio, face.eye_centre[1] * ratio
    chin = float(face.landmarks[152, 1]) * ratio
    solid = np.zeros((height, width), np.uint8)
    axes = (round((1.45 + 0.6 * wider) * unit), round((0.5 * (chin - y) + 1.15 * unit) + wider * unit))
    cv2.ellipse(solid, (round(x), round((y - 1.6 * unit + chin) / 2)), axes, 0, 0, 360, (1,), -1)
    neck, shoulder = (0.85 + wider) * unit, (3.0 + wider) * unit
    body = [
        (x - neck, y),
        (x + neck, y),
        (x + neck, chin + 0.3 * unit),
        (x + shoulder, chin + 1.6 * unit),
        (x + shoulder, height + unit),
    ]
    body += [(x - shoulder, height + unit), (x - shoulder, chin + 1.6 * unit), (x - neck, chin + 0.3 * unit)]
    cv2.fillPoly(solid, [np.rint(body).astype(np.int32)], (1,))
    return solid > 0
