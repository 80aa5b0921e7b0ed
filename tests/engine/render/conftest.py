"""A real face for the renderer's tests: a photo with an open smile, studied as any upload is, and eyes of our own to
look at what was rendered.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from visavis.engine.motion.frame import COEFFICIENTS, INDEX, MotionFrame
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.pack.bake import bake
from visavis.engine.portrait.examine import examine_photo
from visavis.engine.portrait.models import Models
from visavis.engine.portrait.study import PortraitStudy

Rendered = NDArray[np.uint8]
FindPoints = Callable[[Rendered], NDArray[np.float64]]


@pytest.fixture(scope="session")
def study() -> PortraitStudy:
    image = io.BytesIO()
    Image.fromarray(data.astronaut()).save(image, "PNG")
    return examine_photo(image.getvalue(), Models()).study


@pytest.fixture(scope="session")
def pack(study: PortraitStudy) -> AvatarPack:
    return bake(study)


def motion(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, **coefficients: float) -> MotionFrame:
    values = np.zeros(len(COEFFICIENTS), np.float32)
    for name, value in coefficients.items():
        values[INDEX[name]] = value
    return MotionFrame(coefficients=values, yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)


def rgb(i420: Rendered) -> Rendered:
    picture: Rendered = cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420)
    return picture


@pytest.fixture(scope="session")
def find_points() -> FindPoints:
    """Return the mesh of the face in an I420 picture, px (478, 2)."""
    models = Models()

    def find(i420: Rendered) -> NDArray[np.float64]:
        picture = rgb(i420)
        found = models.mesh(picture)
        assert found is not None, "no face in the rendered picture"
        return found[:, :2].astype(np.float64)

    return find
