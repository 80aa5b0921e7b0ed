"""The chip: the upright face at one fixed size, so that a threshold means the same for every photo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.crop import Cut, cut_out, map_points
from visavis.engine.portrait.face import FoundFace

CHIP_SIDE_PX, CHIP_EYES_PX = 256, 80.0  # eyes at (128, 96), 80 px apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """The upright face at one fixed size: `picture` uint8 (256, 256, 3) RGB; `grey` float32 (256, 256); `points`
    float32 (478, 2) in px of it; `light`: its median level.
    """

    picture: NDArray[np.uint8]
    grey: NDArray[np.float32]
    coloured: bool
    points: NDArray[np.float32]
    light: float


def take_chip(picture: NDArray[np.uint8], face: FoundFace) -> Chip:
    """Return the chip of `face`, measured in `picture`, uint8 (H, W, 3)."""
    unit = face.eye_distance_px
    cut = Cut(
        anchor=face.eye_centre,
        roll_deg=face.roll_deg,
        left=1.6 * unit,
        top=1.2 * unit,
        scale=CHIP_EYES_PX / unit,
        width_px=CHIP_SIDE_PX,
        height_px=CHIP_SIDE_PX,
    )
    chip = cut_out(picture, cut, border=cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY).astype(np.float32)
    middle = chip[90:200, 70:186].astype(np.int16)
    return Chip(
        picture=chip,
        grey=np.asarray(grey, dtype=np.float32),
        coloured=float(np.abs(middle[..., 0] - middle[..., 2]).mean()) > 4.0,
        points=map_points(face.landmarks, cut.matrix())[:, :2],
        light=max(12.0, float(np.median(grey[90:200, 70:186]))),
    )
