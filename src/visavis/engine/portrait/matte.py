"""Where the person is, to the hair: the segmentation model's coarse guess, drawn to the edges that the photo shows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.crop import Cut, cut_out, inverse
from visavis.engine.portrait.face import FoundFace
from visavis.engine.portrait.fill import fill_from_known
from visavis.engine.portrait.guided import guided_filter
from visavis.engine.portrait.models import Models

MODEL_SIDE_PX = 256
HEAD_REACH = 3.4  # half the side of the square around the head that is looked at more closely, in eye distances
GUIDE_RADIUS, GUIDE_EPS = 0.16, 2e-4  # of the eye distance; colour variance (range 0 to 1) below which the guide counts as flat
STRAY_REACH, STRAY_DEPTH = 0.7, 3.0  # how far from the person stray hair is looked for, and how far below the eyes, in eye distances
BUSY = 0.08  # the share of lines in that band from which they count as background
UNSURE_BAND = 0.14  # how far around the coarse edge hair is looked for, in eye distances


def person_matte(picture: NDArray[np.uint8], face: FoundFace, models: Models) -> NDArray[np.uint8]:
    """Return the matte of the person in `picture`: uint8 (H, W), 255 inside, soft at hair. `face` is measured in `picture`.

    The coarse guess is refined by a guided filter (He et al. 2013), then, within a band around the edge, by where each colour lies between the
    colours known for sure on either side (the compositing equation solved along one line).
    """
    coarse = _coarse_matte(picture, face, models)
    unit = face.eye_distance_px
    image = picture.astype(np.float32) / 255.0
    guided = guided_filter(image, coarse, GUIDE_RADIUS * unit, GUIDE_EPS)
    guided = np.clip((guided - 0.12) / 0.78, 0.0, 1.0)
    refined = _between_colours(image, guided, max(2, round(UNSURE_BAND * unit)))
    refined = np.maximum(refined, _face_itself(picture, face))
    refined = np.maximum(refined, _holes(refined, limit_px=round(4 * unit * unit)))
    refined = without_islands(np.maximum(refined, _stray_strands(picture, refined, face)), face)
    return np.rint(refined * 255.0).astype(np.uint8)


def _coarse_matte(picture: NDArray[np.uint8], face: FoundFace, models: Models) -> NDArray[np.float32]:
    """The model's guess for the whole picture, and around the head, where its grid is finest on the hair, for a square of its own."""
    height, width = picture.shape[:2]
    whole = models.person(cv2.resize(picture, (MODEL_SIDE_PX, MODEL_SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False))
    whole = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    reach = HEAD_REACH * face.eye_distance_px
    x, y = face.eye_centre
    head = Cut(
        anchor=(x, y + 0.6 * face.eye_distance_px),
        roll_deg=0.0,
        left=reach,
        top=reach,
        scale=MODEL_SIDE_PX / (2 * reach),
        width_px=MODEL_SIDE_PX,
        height_px=MODEL_SIDE_PX,
    )
    near = models.person(cut_out(picture, head, border=cv2.BORDER_REPLICATE))
    # Trusted in its middle, fading to the whole picture's guess before its edge.
    ramp = np.clip((1.0 - np.abs(np.linspace(-1, 1, MODEL_SIDE_PX, dtype=np.float32))) / 0.3, 0.0, 1.0)
    trust = np.minimum(ramp[:, None], ramp[None, :])
    back = inverse(head.matrix())
    near_there = cv2.warpAffine(near, back, (width, height), flags=cv2.INTER_LINEAR)
    trust_there = cv2.warpAffine(trust, back, (width, height), flags=cv2.INTER_LINEAR)
    mixed: NDArray[np.float32] = whole + trust_there * (near_there - whole)
    return mixed


def _between_colours(image: NDArray[np.float32], matte: NDArray[np.float32], band_px: int) -> NDArray[np.float32]:
    solid = (matte > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(solid, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - solid, cv2.DIST_L2, 3)
    # The colours known for sure are smooth and few: a quarter of the size is plenty.
    height, width = matte.shape
    size = max(1, width // 4), max(1, height // 4)
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    depth_small = cv2.resize(depth, size, interpolation=cv2.INTER_AREA)
    reach = 3.0 * band_px  # colours farther away have nothing to say about this edge
    person = fill_from_known(small, (depth_small > band_px) & (depth_small < reach))
    behind = fill_from_known(small, (depth_small < -band_px) & (depth_small > -reach))
    across = cv2.resize(person - behind, (width, height), interpolation=cv2.INTER_LINEAR)
    offset = image - cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR)
    contrast = np.einsum("hwc,hwc->hw", across, across)
    along = np.einsum("hwc,hwc->hw", offset, across) / np.maximum(contrast, 1e-6)
    along = np.clip((along - 0.1) / 0.8, 0.0, 1.0)
    # Where both sides look alike the line says nothing, and away from the edge it mistakes lights in the hair for the wall: there the filter stands.
    say = np.clip((contrast - 0.02) / 0.10, 0.0, 1.0) * np.clip(1.5 - 1.5 * np.abs(depth) / band_px, 0.0, 0.75)
    return np.asarray(matte + say * (along - matte), dtype=np.float32)


def _holes(matte: NDArray[np.float32], limit_px: int) -> NDArray[np.float32]:
    """1 where the matte has a hole of at most `limit_px` pixels with the person all around, else 0."""
    empty = (matte < 0.9).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(empty, connectivity=4)
    height, width = matte.shape
    enclosed = np.zeros(count, np.float32)
    for label in range(1, count):
        left, top, across, down, area = stats[label]
        at_edge = left == 0 or top == 0 or left + across == width or top + down == height
        enclosed[label] = not at_edge and area <= limit_px
    return enclosed[labels]


def _stray_strands(picture: NDArray[np.uint8], matte: NDArray[np.float32], face: FoundFace) -> NDArray[np.float32]:
    """Thin lines around the head, float32 (H, W), 0 to 1: hair too fine for the model's grid, which would stay behind when the head moves.

    Only before a calm background; where lines are many they are the background's own.
    """
    unit = face.eye_distance_px
    outside = cv2.distanceTransform((matte < 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    band = (outside > 0) & (outside < STRAY_REACH * unit)
    band[int(min(len(band), face.eye_centre[1] + STRAY_DEPTH * unit)) :] = False
    if not band.any():
        return np.zeros_like(matte)
    light = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    around = cv2.medianBlur(light, 2 * max(1, round(0.05 * unit)) + 1)
    stands_out = np.abs(light.astype(np.float32) - around) / np.float32(255.0)
    noise = 1.48 * float(np.median(stands_out[band]))
    strands = np.where(band, np.clip((stands_out - 3.0 * noise - 0.015) / 0.06, 0.0, 1.0), np.float32(0.0))
    busy = float((strands[band] > 0.3).mean())
    return np.asarray(strands * max(0.0, min(1.0, (BUSY - busy) / (0.5 * BUSY))), dtype=np.float32)


def without_islands(matte: NDArray[np.float32], face: FoundFace) -> NDArray[np.float32]:
    """Return the part of `matte`, float32 (H, W), that the face is in: no passers-by, posters, specks."""
    near = cv2.dilate((matte > 0.1).astype(np.uint8), np.ones((5, 5), np.uint8))  # a strand may be dashed
    _, labels = cv2.connectedComponents(near, connectivity=8)
    x, y = np.rint(face.landmarks[[1, 33, 263, 152], :2]).astype(int).T
    height, width = matte.shape
    own = {int(label) for label in labels[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]} - {0}
    return np.where(np.isin(labels, list(own)), matte, np.float32(0.0))


def _face_itself(picture: NDArray[np.uint8], face: FoundFace) -> NDArray[np.float32]:
    """1 within the mesh, whatever else was thought: glare or make-up never makes a hole in a face."""
    hull = np.asarray(cv2.convexHull(np.rint(face.landmarks[:, :2]).astype(np.int32)), dtype=np.int32)
    solid = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillConvexPoly(solid, hull, (1,))
    shrink = max(1, round(0.12 * face.eye_distance_px))
    return cv2.erode(solid, np.ones((2 * shrink + 1, 2 * shrink + 1), np.uint8)).astype(np.float32)
