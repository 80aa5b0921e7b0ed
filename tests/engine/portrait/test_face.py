"""One face is found, however the photo was taken, or the refusal says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tests.engine.portrait.photos import cat, on_wall, portrait, profile
from visavis.engine.errors import ImageRefused, Reason
from visavis.engine.portrait.face import describe_face, find_face
from visavis.engine.portrait.models import Models
from visavis.library import PORTRAITS

EYE_CENTRE, EYE_DISTANCE_PX = np.array([225.0, 103.0]), 41.4  # of the portrait at 512 px, measured by hand
NOSE_TIP, UPPER_LIP, LOWER_LIP, CHIN = 1, 13, 14, 152


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


def pixels(picture: Image.Image) -> NDArray[np.uint8]:
    return np.array(picture.convert("RGB"))


def test_the_mesh_lies_on_the_face(models: Models) -> None:
    _, face = find_face(pixels(portrait()), models)
    assert np.hypot(*(np.array(face.eye_centre) - EYE_CENTRE)) < 3
    assert face.eye_distance_px == pytest.approx(EYE_DISTANCE_PX, abs=2)
    assert np.hypot(*(face.landmarks[NOSE_TIP, :2] - (223, 130))) < 6
    assert np.hypot(*(face.landmarks[CHIN, :2] - (222, 178))) < 6
    assert face.landmarks[LOWER_LIP, 1] - face.landmarks[UPPER_LIP, 1] > 2  # she shows her teeth
    assert abs(face.yaw_deg) < 5 and 0 < face.roll_deg < 6


@pytest.mark.parametrize(
    ("picture", "scale", "place"),
    [
        pytest.param(lambda: on_wall(2400, 1600, (portrait(), (1850, 1050))), 1.0, (1850, 1050), id="in a corner"),
        pytest.param(
            lambda: on_wall(2600, 3400, (portrait(700), (1000, 260))), 700 / 512, (1000, 260), id="a full figure"
        ),
        pytest.param(lambda: portrait(2000), 2000 / 512, (0, 0), id="large"),
        pytest.param(lambda: portrait(256), 0.5, (0, 0), id="small"),
        pytest.param(lambda: portrait().point(lambda level: level // 6), 1.0, (0, 0), id="in the dark"),
        pytest.param(
            lambda: portrait().filter(ImageFilter.ModeFilter(7)), 1.0, (0, 0), id="painted with a broad brush"
        ),
        pytest.param(lambda: portrait().crop((165, 40, 285, 190)), 1.0, (-165, -40), id="nothing but the face"),
        pytest.param(
            lambda: on_wall(
                1024, 1024, (portrait(1024), (0, 0)), (portrait().crop((140, 20, 320, 200)).resize((90, 90)), (20, 500))
            ),
            2.0,
            (0, 0),
            id="with a passer-by",
        ),
    ],
)
def test_the_face_is_found_where_it_is(
    picture: Callable[[], Image.Image], scale: float, place: tuple[int, int], models: Models
) -> None:
    _, face = find_face(pixels(picture()), models)
    assert np.hypot(*(np.array(face.eye_centre) - (EYE_CENTRE * scale + place))) < 5 * scale
    assert face.eye_distance_px == pytest.approx(EYE_DISTANCE_PX * scale, rel=0.08)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_photo_without_its_orientation_tag_is_turned(quarter_turns: int, models: Models) -> None:
    stored = np.ascontiguousarray(np.rot90(pixels(portrait()), quarter_turns))
    _, face = find_face(stored, models)
    left, right = face.landmarks[33, :2], face.landmarks[263, :2]
    assert np.hypot(*(right - left)) > EYE_DISTANCE_PX
    assert face.landmarks.shape == (478, 3) and np.isfinite(face.landmarks).all()


@pytest.mark.parametrize(
    ("slug", "turned_deg"),
    [
        ("iris", 81),
        ("iris", 150),
        ("iris", -100),
        ("iris-illustrated", 180),
        ("pip", 160),
        ("edith", 30),
    ],
)
def test_a_photo_turned_by_any_angle_is_brought_upright(slug: str, turned_deg: int, models: Models) -> None:
    path = next(each.path for each in PORTRAITS if each.slug == slug)
    picture = Image.open(path).convert("RGB").resize((600, 450))
    _, upright = find_face(pixels(picture), models)
    turned = picture.rotate(-turned_deg, Image.Resampling.BICUBIC, expand=True, fillcolor=(140, 140, 140))
    _, face = find_face(pixels(turned), models)
    assert abs(face.roll_deg) < 45
    assert face.roll_deg + 90 * face.quarter_turns - upright.roll_deg == pytest.approx(turned_deg % 360, abs=3)
    assert face.eye_distance_px == pytest.approx(upright.eye_distance_px, rel=0.04)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        pytest.param(cat, Reason.NO_FACE, id="a cat"),
        pytest.param(lambda: Image.new("RGB", (800, 600), (200, 180, 160)), Reason.NO_FACE, id="a wall"),
        pytest.param(lambda: Image.new("RGB", (1, 1)), Reason.NO_FACE, id="one pixel"),
        pytest.param(lambda: Image.new("RGB", (4000, 3)), Reason.NO_FACE, id="a hair"),
        pytest.param(lambda: portrait().crop((222, 0, 500, 400)), Reason.NO_FACE, id="half a face"),
        pytest.param(lambda: portrait().crop((60, 0, 400, 158)), Reason.NO_FACE, id="without a chin"),
        pytest.param(
            lambda: on_wall(
                1024, 512, (portrait(), (0, 0)), (portrait().transpose(Image.Transpose.FLIP_LEFT_RIGHT), (512, 0))
            ),
            Reason.SEVERAL_FACES,
            id="two people",
        ),
        pytest.param(lambda: on_wall(600, 450, (portrait(110), (250, 150))), Reason.FACE_TOO_SMALL, id="far away"),
        pytest.param(profile, Reason.FACE_TURNED_AWAY, id="from the side"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(
    picture: Callable[[], Image.Image], reason: Reason, models: Models
) -> None:
    with pytest.raises(ImageRefused) as refused:
        find_face(pixels(picture()), models)
    assert refused.value.reason == reason and refused.value.suggestion


@pytest.mark.parametrize(("yaw_deg", "roll_deg"), [(0, 0), (20, 0), (-25, 10), (0, -15)])
def test_angles_are_those_the_mesh_was_turned_by(yaw_deg: float, roll_deg: float, models: Models) -> None:
    _, face = find_face(pixels(portrait(1024)), models)
    level = (face.landmarks - face.landmarks.mean(axis=0)) @ about_z(-face.roll_deg).T
    yaw = math.radians(yaw_deg)
    turn = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    turned = describe_face((level @ turn.T @ about_z(roll_deg).T).astype(np.float32))
    assert abs(turned.yaw_deg) == pytest.approx(abs(yaw_deg), abs=4)
    assert turned.roll_deg == pytest.approx(roll_deg, abs=4)


def about_z(angle_deg: float) -> NDArray[np.float64]:
    angle = math.radians(angle_deg)
    return np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
