"""Bakes an avatar pack from a portrait study: closes the lips, keeps the teeth, measures the head."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.landmarks import FACE_OVAL, FaceGeometry
from visavis.engine.pack.avatar_pack import AvatarPack, HeadBox
from visavis.engine.pack.neutral import close_lips
from visavis.engine.portrait.study import PortraitStudy

# A face with a smaller distance between its outer eye corners is enlarged first, so that the lips are cut finely.
UNIT_MIN_PX = 110.0


def bake(study: PortraitStudy) -> AvatarPack:
    """Return the pack of a study. Its background equals the picture wherever the person is not."""
    picture, matte, background, landmarks = (
        study.picture,
        study.matte,
        study.background,
        study.landmarks.astype(np.float32),
    )
    unit = float(np.linalg.norm(landmarks[33, :2] - landmarks[263, :2]))
    grow = min(UNIT_MIN_PX / unit, 2.5, 1400 / picture.shape[1])
    if grow > 1.05:
        size = (round(picture.shape[1] * grow), round(picture.shape[0] * grow))
        grow = size[0] / picture.shape[1]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
        background = cv2.resize(background, size, interpolation=cv2.INTER_CUBIC)
        matte = cv2.resize(matte, size, interpolation=cv2.INTER_LINEAR)
        landmarks = landmarks * np.float32(grow)
    neutral = close_lips(picture, landmarks)
    background = np.where((matte < 3)[..., None], neutral.picture, background)
    return AvatarPack(
        picture=neutral.picture,
        background=background,
        matte=matte,
        landmarks=neutral.landmarks,
        head=_head_box(neutral.landmarks, matte),
        teeth=neutral.teeth,
        teeth_at=neutral.teeth_at,
        parted=neutral.parted,
        lids=study.lids,
    )


def _head_box(landmarks: NDArray[np.float32], matte: NDArray[np.uint8]) -> HeadBox:
    """Return the box of the face and of the hair around it, as far as the matte reaches and a head can be large."""
    face = FaceGeometry.of(landmarks)
    oval = landmarks[list(FACE_OVAL), :2]
    left, top = oval.min(axis=0)
    right, bottom = oval.max(axis=0)
    height = bottom - top
    person = matte > 127
    band = person[:, int(max(0, left + 0.2 * (right - left))) : int(right - 0.2 * (right - left)) + 1].any(axis=1)
    rows = np.flatnonzero(band)
    hair_top = float(rows[0]) if len(rows) else float(top - 0.3 * height)
    top = float(np.clip(hair_top, top - 0.75 * height, top - 0.08 * height))
    side = person[int(max(0, top)) : int(face.nose_base_y)].any(axis=0)
    columns = np.flatnonzero(side)
    if len(columns):
        left = float(np.clip(columns[0], left - 0.4 * height, left))
        right = float(np.clip(columns[-1], right, right + 0.4 * height))
    return HeadBox(left=float(left), top=top, right=float(right), bottom=float(bottom))
