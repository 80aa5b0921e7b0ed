"""What is found in a photo before anything is baked: the hand-over from finding the face to baking the avatar pack."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visavis.errors import PackUnreadable

LANDMARK_COUNT = 478  # 468 of the face mesh, then 5 of each iris


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitStudy:
    """One upright, level portrait and what is known of it. All arrays share the height H and width W of `picture`; W <=
    1200.

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


def save_study(study: PortraitStudy, path: Path) -> None:
    """Write a study as one uncompressed .npz file (5 to 10 MB; compressing it would cost more time than finding the
    face).
    """
    with path.open("wb") as file:
        np.savez(
            file,
            picture=study.picture,
            landmarks=study.landmarks,
            matte=study.matte,
            background=study.background,
            lids=study.lids,
        )


def load_study(path: Path) -> PortraitStudy:
    """Read what `save_study` wrote. Raises PackUnreadable for anything else."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            return PortraitStudy(
                picture=data["picture"].astype(np.uint8, copy=False),
                landmarks=data["landmarks"].astype(np.float32, copy=False),
                matte=data["matte"].astype(np.uint8, copy=False),
                background=data["background"].astype(np.uint8, copy=False),
                lids=(float(data["lids"][0]), float(data["lids"][1])),
            )
    except (OSError, ValueError, KeyError, IndexError, EOFError, AssertionError, zipfile.BadZipFile) as error:
        raise PackUnreadable(f"{path.name} is no portrait study") from error
