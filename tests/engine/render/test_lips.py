"""The lips as a face tracker sees them on rendered frames. All lengths in distances of the outer eye corners."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pytest

from tests.engine.render.conftest import FindPoints, motion, rgb
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.portrait.study import PortraitStudy
from visavis.engine.render.cpu import CpuRenderer


class Lips(Protocol):
    """Renders coefficients and measures: (the gap between the lips, the width of the mouth)."""

    def __call__(self, **coefficients: float) -> tuple[float, float]: ...


@pytest.fixture(scope="module")
def lips(pack: AvatarPack, find_points: FindPoints) -> Lips:
    renderer = CpuRenderer(pack, 512, 512)

    def measure(**coefficients: float) -> tuple[float, float]:
        p = find_points(renderer.render(motion(**coefficients)))
        eye = np.linalg.norm(p[33] - p[263])
        return float(np.linalg.norm(p[13] - p[14]) / eye), float(np.linalg.norm(p[61] - p[291]) / eye)

    return measure


def test_the_smile_of_the_photo_is_closed_at_rest(lips: Lips, study: PortraitStudy) -> None:
    p = study.landmarks[:, :2]
    assert np.linalg.norm(p[13] - p[14]) / np.linalg.norm(p[33] - p[263]) > 0.05  # the photo does show teeth
    gap, _ = lips()
    assert gap <= 0.02


def test_the_jaw_opens_the_mouth_in_step(lips: Lips) -> None:
    gaps = [lips(jawOpen=value)[0] for value in (0.0, 0.25, 0.55, 1.0)]
    assert gaps == sorted(gaps)
    assert 0.18 <= gaps[2] <= 0.30
    assert gaps[3] >= 0.33


@pytest.mark.parametrize("jaw", [0.15, 0.3, 0.6])
def test_lips_meet_though_the_jaw_is_open(lips: Lips, jaw: float) -> None:
    gap, _ = lips(jawOpen=jaw, mouthClose=jaw)
    assert gap <= 0.02


def test_rounding_narrows_and_spreading_widens(lips: Lips) -> None:
    _, rest = lips()
    assert lips(mouthPucker=1.0)[1] <= 0.8 * rest
    assert lips(mouthFunnel=1.0)[1] <= 0.8 * rest
    assert lips(mouthStretch=1.0)[1] >= 1.08 * rest


def test_the_nose_and_the_eyes_stay_while_the_mouth_speaks(pack: AvatarPack) -> None:
    renderer = CpuRenderer(pack, 512, 512)
    p = renderer.face.landmarks[:, :2].astype(int)
    above = slice(p[10, 1], p[1, 1]), slice(p[234, 0], p[454, 0])  # forehead to the tip of the nose, ear to ear
    tip = slice(p[1, 1] - 6, p[1, 1] + 3), slice(p[1, 0] - 8, p[1, 0] + 9)
    rest = renderer.render(motion())[:512].astype(int)
    for spoken in ({"jawOpen": 0.7}, {"mouthPucker": 1.0}, {"mouthUpperUp": 1.0, "jawOpen": 0.2}):
        luma = renderer.render(motion(**spoken))[:512].astype(int)
        assert np.abs(luma[above] - rest[above]).mean() < 0.7
        assert np.abs(luma[tip] - rest[tip]).mean() < 1.0


def test_the_jaw_moves_chin_and_neck_but_not_the_collar(pack: AvatarPack) -> None:
    renderer = CpuRenderer(pack, 512, 512)
    face = renderer.face
    chest = int(face.chin[1] + 0.95 * face.unit)
    rest = renderer.render(motion())[:512].astype(int)
    luma = renderer.render(motion(jawOpen=1.0))[:512].astype(int)
    assert np.array_equal(luma[chest:], rest[chest:])
    assert np.abs(luma[:chest] - rest[:chest]).mean() > 1


def test_an_open_mouth_has_teeth_and_depth_in_it(pack: AvatarPack) -> None:
    renderer = CpuRenderer(pack, 512, 512)
    face = renderer.face
    luma = renderer.render(motion(jawOpen=0.6))[:512]
    x = int(face.centre_x)
    seam = int(face.seam_y(np.array([face.centre_x]))[0])
    inside = luma[seam - int(0.02 * face.unit) : seam + int(0.2 * face.unit), x - 6 : x + 7].mean(axis=1)
    assert inside.max() > 2.2 * inside.min()  # light teeth over a dark cavity: neither a hole nor a plate
    assert inside.max() < 225


def test_the_tongue_comes_between_the_teeth_for_th_alone(pack: AvatarPack) -> None:
    """Seen below the upper teeth: light teeth over a dark gap give way to something redder; and what is not open shows
    no tongue.
    """
    renderer = CpuRenderer(pack, 512, 512)
    face = renderer.face
    x, seam = int(face.centre_x), int(face.seam_y(np.array([face.centre_x]))[0])
    gap = slice(seam + int(0.05 * face.unit), seam + int(0.09 * face.unit)), slice(x - 10, x + 11)
    said = {"jawOpen": 0.2, "mouthLowerDown": 0.18, "tongueUp": 0.7}
    behind, between = (rgb(renderer.render(motion(**said, tongueOut=out)).copy()).astype(int) for out in (0.0, 1.0))
    redness = [float((picture[gap][..., 0] - picture[gap][..., 1]).mean()) for picture in (behind, between)]
    assert redness[1] > redness[0] + 15, redness
    cheek = (
        slice(seam - 5, seam + 5),
        slice(int(face.corner_right[0] + 0.15 * face.unit), int(face.corner_right[0] + 0.3 * face.unit)),
    )
    assert np.array_equal(behind[cheek], between[cheek])
    closed = [renderer.render(motion(jawOpen=0.1, mouthClose=0.1, tongueOut=out)).copy() for out in (0.0, 1.0)]
    assert np.abs(closed[0].astype(int) - closed[1].astype(int)).max() <= 8
