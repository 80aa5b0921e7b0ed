"""The portrait study: what is found in a photo, and what the avatar pack is baked from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LANDMARK_COUNT = 478  # 468 of the face mesh, then 5 of each iris


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitStudy:
    """One upright, level portrait. All arrays have the height H and the width W of `picture`; W <= 1200.

    `picture`: uint8 (H, W, 3), RGB, EXIF orientation applied, rolled level (eyes horizontal) when the tilt was more
    than 2 degrees. `landmarks`: float32 (478, 3), MediaPipe Face Mesh with irises: x, y in px of `picture`, z in px too
    (relative depth, smaller is nearer). `matte`: uint8 (H, W), 255 where the person (hair and shoulders included) is,
    soft edges. `background`: uint8 (H, W, 3), RGB, the picture with the person's place filled in; only the band that a
    moving head can uncover must look right. `lids`: how far each eye, the viewer's left one first, may blink and look:
    1 freely, 0 (closed, or behind dark glasses) not at all.
    """

    picture: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    matte: NDArray[np.uint8]
    background: NDArray[np.uint8]
    lids: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        assert self.picture.ndim == 3 and self.picture.shape[2] == 3, self.picture.shape
        assert self.landmarks.shape == (LANDMARK_COUNT, 3), self.landmarks.shape
        assert self.matte.shape == self.picture.shape[:2], self.matte.shape
        assert self.background.shape == self.picture.shape, self.background.shape
