"""What is said of a photo, and seven points in place of a finder; on portraits that the project drew itself."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageFilter

from visavis.engine.errors import ImageRefused, Reason
from visavis.engine.portrait.examine import Examination, examine_photo
from visavis.engine.portrait.models import Models
from visavis.engine.portrait.placed import bend, place_face, seven_places
from visavis.engine.portrait.points import NAMES, SevenPoints, judge_points
from visavis.library import DEFAULT_PORTRAIT

models = cache(Models)


@cache
def drawn() -> Image.Image:
    return Image.open(DEFAULT_PORTRAIT.path).convert("RGB")


def examined(picture: Image.Image) -> Examination:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return examine_photo(file.getvalue(), models())


@cache
def plain() -> Examination:
    return examined(drawn())


def codes(examination: Examination) -> set[str]:
    return {remark.code for remark in examination.report.remarks}


def test_a_good_photo_gets_no_warning() -> None:
    report = plain().report
    assert report.verdict == "good"
    assert (report.photo_width_px, report.photo_height_px) == drawn().size
    assert all(remark.severity == "info" for remark in report.remarks)


def smaller(share: float) -> Image.Image:
    return drawn().resize((round(drawn().width * share), round(drawn().height * share)), Image.Resampling.LANCZOS)


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        pytest.param(lambda: drawn().point(lambda level: level // 5), "LIGHT_DARK", id="in the dark"),
        pytest.param(lambda: drawn().point(lambda level: min(255, level * 4)), "LIGHT_BURNT", id="burnt out"),
        pytest.param(
            lambda: drawn().filter(ImageFilter.GaussianBlur(drawn().width / 90)), "FACE_BLURRED", id="out of focus"
        ),
        pytest.param(lambda: drawn().convert("L").convert("RGB"), "GREYSCALE", id="in grey"),
        pytest.param(lambda: smaller(22 / plain().report.photo_eye_distance_px), "FACE_SMALL", id="a thumbnail"),
        pytest.param(lambda: drawn().rotate(15, fillcolor=(150, 150, 150)), "FACE_TILTED", id="tilted"),
    ],
)
def test_what_is_wrong_with_a_photo_is_said(picture: Callable[[], Image.Image], code: str) -> None:
    assert code not in codes(plain())
    assert code in codes(examined(picture()))


def placed() -> SevenPoints:
    """Where Iris has the seven places, in her framed picture."""
    study = plain().study
    height, width = study.matte.shape
    return SevenPoints(
        **{
            name: (float(x / width), float(y / height))
            for name, (x, y) in zip(NAMES, seven_places(study.landmarks), strict=True)
        }
    )


def test_points_on_a_face_that_no_model_sees_bend_the_mean_face_to_it() -> None:
    blank = np.full((600, 480, 3), 200, np.uint8)
    places = [(0.3, 0.35), (0.72, 0.33), (0.38, 0.7), (0.66, 0.69), (0.52, 0.66), (0.53, 0.76), (0.53, 0.9)]
    points = SevenPoints(**dict(zip(NAMES, places, strict=True)))
    face = place_face(blank, points, models())
    targets = np.array(points.in_px(480, 600))
    unit = float(np.hypot(*(targets[1] - targets[0])))
    assert np.abs(seven_places(face.landmarks) - targets).max() < 0.02 * unit
    assert np.array_equal(face.landmarks[13], face.landmarks[14])  # lips of which nothing is seen are closed
    # the nose between eyes and lip
    assert face.landmarks[1, 1] > targets[:2, 1].mean() and face.landmarks[1, 1] < targets[4, 1]


def test_points_where_the_face_is_find_what_the_finder_finds() -> None:
    study = plain().study
    face = place_face(study.picture, placed(), models())
    apart = np.hypot(*(face.landmarks - study.landmarks)[:, :2].T) / face.eye_distance_px
    assert apart.mean() < 0.05


def test_a_mesh_that_fits_already_is_not_bent() -> None:
    landmarks = plain().study.landmarks
    assert np.abs(bend(landmarks, seven_places(landmarks)) - landmarks)[:, :2].max() < 0.05


FACE = [(30.0, 30.0), (60.0, 30.0), (35.0, 60.0), (55.0, 60.0), (45.0, 57.0), (45.0, 64.0), (45.0, 80.0)]


@pytest.mark.parametrize(
    ("moved", "to"),
    [(1, (30.5, 30.0)), (6, (45.0, 50.0)), (4, (45.0, 70.0)), (2, (57.0, 60.0)), (6, (150.0, 80.0))],
    ids=["one eye", "chin above the mouth", "lips upside down", "corners crossed", "chin elsewhere"],
)
def test_points_that_cannot_be_a_face_are_refused(moved: int, to: tuple[float, float]) -> None:
    judge_points(FACE)
    with pytest.raises(ImageRefused) as refused:
        judge_points([to if i == moved else point for i, point in enumerate(FACE)])
    assert refused.value.reason == Reason.WRONG_POINTS and refused.value.suggestion
