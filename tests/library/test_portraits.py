"""The portraits of the library make good avatars: the service accepts them, and Face Mesh lands on the drawn eyes,
brows and lips.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from PIL import Image

from visavis.engine.portrait.examine import Examination, examine_photo
from visavis.engine.portrait.face import describe_face
from visavis.library import DEFAULT_PORTRAIT, PORTRAITS, LibraryPortrait

EVERY = pytest.mark.parametrize("portrait", PORTRAITS, ids=[portrait.slug for portrait in PORTRAITS])

LIPS = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
BELOW_LIPS, ABOVE_LIPS = [18, 83, 313], [164, 167, 393]
EYES = (
    [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246],
    [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466],
)
BROWS = ([70, 63, 105, 66, 107, 55, 65, 52, 53, 46], [300, 293, 334, 296, 336, 285, 295, 282, 283, 276])
IRIS_CENTRES = (468, 473)


@cache
def examined(portrait: LibraryPortrait) -> Examination:
    return examine_photo(portrait.path.read_bytes())


def inside(picture: NDArray[np.uint8], outline: NDArray[np.float32]) -> NDArray[np.float64]:
    """Pixels (n, 3) of `picture` inside a polygon (m, 2)."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    within = Outline(outline).contains_points(np.stack([x.ravel(), y.ravel()], 1)).reshape(height, width)
    colours: NDArray[np.float64] = picture[within].astype(np.float64)
    return colours


def brightness(pixels: NDArray[np.float64]) -> float:
    return float((pixels @ [0.3, 0.59, 0.11]).mean())


def pinkness(pixels: NDArray[np.float64]) -> float:
    """How little green there is: lips differ in it from skin of any tone, which brown skin's red alone does
    not tell.
    """
    return float((1 - pixels[:, 1] / pixels.sum(1)).mean())


def around(picture: NDArray[np.uint8], points: NDArray[np.float32], radius_px: int = 3) -> NDArray[np.float64]:
    patches = [
        picture[int(y) - radius_px : int(y) + radius_px, int(x) - radius_px : int(x) + radius_px].reshape(-1, 3)
        for x, y in points
    ]
    colours: NDArray[np.float64] = np.concatenate(patches).astype(np.float64)
    return colours


def test_one_portrait_is_the_default_and_slugs_are_unique() -> None:
    assert [portrait for portrait in PORTRAITS if portrait.is_default] == [DEFAULT_PORTRAIT]
    assert len({portrait.slug for portrait in PORTRAITS}) == len(PORTRAITS)


@EVERY
def test_the_file_is_a_jpeg_of_sensible_size(portrait: LibraryPortrait) -> None:
    assert portrait.path.stat().st_size <= 220_000
    with Image.open(portrait.path) as image:
        assert image.format == "JPEG"
        assert image.width / image.height == pytest.approx(4 / 3)  # no artificial sides in 4:3, little of them in 16:9
        assert image.width == 1200  # as wide as a picture may be that nobody scales down
        assert not image.getexif()


@EVERY
def test_the_head_is_frontal_large_and_wholly_inside(portrait: LibraryPortrait) -> None:
    study = examined(portrait).study
    face = describe_face(study.landmarks)
    assert max(abs(face.roll_deg), abs(face.yaw_deg)) <= 2
    outline = study.landmarks[:, :2]
    height = study.matte.shape[0]
    assert 0.32 <= np.ptp(outline[:, 1]) / height <= 0.5
    assert not (study.matte[: height // 40] > 128).any(), "no room above the head"
    middle = study.matte[int(outline[:, 1].min()) : int(outline[:, 1].max())]
    assert not (middle[:, [0, -1]] > 128).any(), "the head touches a side"


@EVERY
def test_the_report_suggests_nothing_better(portrait: LibraryPortrait) -> None:
    report = examined(portrait).report
    assert report.verdict == "good"
    assert [remark.code for remark in report.remarks if remark.severity == "warning" or remark.suggestion] == []


@EVERY
def test_lips_are_closed_at_rest(portrait: LibraryPortrait) -> None:
    points = examined(portrait).study.landmarks[:, :2]
    gap, width = np.linalg.norm(points[13] - points[14]), np.linalg.norm(points[61] - points[291])
    assert gap <= 0.05 * width


@EVERY
def test_landmarks_lie_on_the_drawn_lips(portrait: LibraryPortrait) -> None:
    study = examined(portrait).study
    points = study.landmarks[:, :2]
    lips = pinkness(inside(study.picture, points[LIPS]))
    assert lips > pinkness(around(study.picture, points[BELOW_LIPS])) + 0.015
    assert lips > pinkness(around(study.picture, points[ABOVE_LIPS])) + 0.015


PALE_BROWED = {"edith"}


@EVERY
def test_landmarks_lie_on_the_drawn_irises_and_brows(portrait: LibraryPortrait) -> None:
    study = examined(portrait).study
    points = study.landmarks[:, :2]
    forehead = brightness(around(study.picture, points[[9]], 8))
    for eye, brow, iris in zip(EYES, BROWS, IRIS_CENTRES, strict=True):
        assert brightness(around(study.picture, points[[iris]], 3)) < 0.6 * brightness(
            inside(study.picture, points[eye])
        )
        assert (
            brightness(inside(study.picture, points[brow]))
            < (0.93 if portrait.slug in PALE_BROWED else 0.85) * forehead
        )
