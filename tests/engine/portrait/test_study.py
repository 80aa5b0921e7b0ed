"""A photo's study: level, framed, its matte on the person, its background without one."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.engine.portrait.photos import encoded, on_wall, portrait, see_through
from visavis.engine.portrait.background import fill_background
from visavis.engine.portrait.crop import Cut, cut_out, inverse, map_points
from visavis.engine.portrait.examine import Examination, examine_photo
from visavis.engine.portrait.face import describe_face
from visavis.engine.portrait.fill import fill_from_known
from visavis.engine.portrait.matte import without_islands
from visavis.engine.portrait.models import Models
from visavis.engine.portrait.study import PortraitStudy

models = cache(Models)


@cache
def examined(variant: str = "as it is") -> Examination:
    turned = portrait().rotate(20, Image.Resampling.BICUBIC, expand=True, fillcolor=(160, 150, 145))
    photos = {
        "as it is": lambda: encoded(portrait(), "PNG"),
        "rolled": lambda: encoded(turned, quality=95),
        "large": lambda: encoded(portrait(3000), quality=85),
        "tall": lambda: encoded(on_wall(900, 2400, (portrait(800), (50, 100))), quality=90),
        "wide": lambda: encoded(on_wall(2400, 700, (portrait(600), (900, 80))), quality=90),
        "cut out": lambda: encoded(see_through(), "PNG"),
    }
    return examine_photo(photos[variant](), models())


ALL = ["as it is", "rolled", "large", "tall", "wide", "cut out"]


@pytest.mark.parametrize("variant", ALL)
def test_the_picture_is_level_and_within_its_measures(variant: str) -> None:
    study = examined(variant).study
    face = describe_face(study.landmarks)
    height, width = study.matte.shape
    assert abs(face.roll_deg) <= 2.0
    assert 300 < width <= 1200 and 300 < height <= 1600
    assert face.eye_distance_px >= 88
    assert 0 < face.eye_centre[0] < width and 0 < face.eye_centre[1] < 0.6 * height


@pytest.mark.parametrize("variant", ALL)
def test_the_landmarks_still_lie_on_the_face_after_framing(variant: str) -> None:
    """The lips' landmarks enclose what is reddest, the irises' what is darkest, in the framed picture itself."""
    study = examined(variant).study
    red = study.picture[..., 0].astype(float) - study.picture[..., 1]
    lips = study.landmarks[
        [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185], :2
    ]
    on_lips, around = np.zeros(red.shape, np.uint8), np.zeros(red.shape, np.uint8)
    centre = lips.mean(axis=0)
    cv2.fillPoly(on_lips, [np.rint(lips).astype(np.int32)], (1,))
    cv2.fillPoly(around, [np.rint(centre + 1.5 * (lips - centre)).astype(np.int32)], (1,))
    cv2.fillPoly(
        on_lips,
        [
            np.rint(
                study.landmarks[
                    [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191], :2
                ]
            ).astype(np.int32)
        ],
        (0,),
    )
    assert red[on_lips > 0].mean() > red[(around > 0) & (on_lips == 0)].mean() + 5
    light = study.picture.mean(axis=2)
    for iris, lid in ((468, (33, 133)), (473, (362, 263))):
        x, y = np.rint(study.landmarks[iris, :2]).astype(int)
        assert (
            light[y - 2 : y + 3, x - 2 : x + 3].mean()
            < 0.8 * light[int(y + 0.35 * abs(study.landmarks[lid[1], 0] - study.landmarks[lid[0], 0])) + 4, x]
        )


def test_orientation_is_kept() -> None:
    tall, wide = examined("tall").study.matte.shape, examined("wide").study.matte.shape
    assert tall[0] >= tall[1] and wide[1] >= wide[0]


def test_the_preview_shows_the_face_in_its_middle() -> None:
    preview = examined().preview
    assert preview.shape == (500, 500, 3)
    boxes = models().faces(np.ascontiguousarray(preview), full_range=False, min_score=0.5)
    assert len(boxes) == 1
    x, y, width, height = boxes[0].box
    assert abs(x + width / 2 - 250) < 30 and abs(y + height / 2 - 250) < 60 and width > 120


@pytest.mark.parametrize("variant", ALL)
def test_the_matte_holds_the_person_and_not_the_wall(variant: str) -> None:
    study = examined(variant).study
    face = describe_face(study.landmarks)
    unit, (x, y) = face.eye_distance_px, face.eye_centre
    oval = np.zeros(study.matte.shape, np.uint8)
    cv2.fillConvexPoly(oval, cv2.convexHull(np.rint(study.landmarks[:, :2]).astype(np.int32)), (1,))
    assert (study.matte[oval > 0] > 250).mean() > 0.97
    beside = study.matte[int(max(0, y - 0.2 * unit)) : int(y + 0.4 * unit)]
    assert beside[:, int(x + 2.3 * unit) : int(x + 3.0 * unit)].mean() < 12  # the wall beside her right
    assert beside[:, int(max(0, x - 3.0 * unit)) : int(x - 2.3 * unit)].mean() < 12


def test_islands_of_the_matte_are_no_part_of_the_person() -> None:
    study = examined().study
    matte = np.zeros_like(study.matte, np.float32)
    face = describe_face(study.landmarks)
    middle = (round(face.eye_centre[0]), round(face.eye_centre[1] + 0.5 * face.eye_distance_px))
    cv2.circle(matte, middle, round(2 * face.eye_distance_px), 1.0, -1)
    person = matte.copy()
    cv2.circle(matte, (matte.shape[1] - 60, 60), 40, 0.9, -1)
    assert np.array_equal(without_islands(matte, face), person) and not np.array_equal(matte, person)


def test_the_background_has_nobody_in_it() -> None:
    study = examined().study
    assert models().faces(np.ascontiguousarray(study.background), full_range=False, min_score=0.7) == []
    face = describe_face(study.landmarks)
    unit, (x, y) = face.eye_distance_px, face.eye_centre
    # Behind her head it has the colour of the wall beside her head, and the wall itself is as it was.
    behind = (
        study.background[int(y - 0.5 * unit) : int(y + 0.5 * unit), int(x - unit) : int(x + unit)]
        .reshape(-1, 3)
        .mean(axis=0)
    )
    beside = (
        study.picture[int(y - 0.5 * unit) : int(y + 0.5 * unit), int(x + 2.2 * unit) : int(x + 3 * unit)]
        .reshape(-1, 3)
        .mean(axis=0)
    )
    assert np.abs(behind - beside).max() < 25
    empty = cv2.erode((study.matte == 0).astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    assert np.array_equal(study.background[empty], study.picture[empty])


def test_a_plain_wall_is_filled_with_itself() -> None:
    picture = np.full((120, 160, 3), (90, 140, 200), np.uint8)
    matte = np.zeros((120, 160), np.uint8)
    cv2.circle(picture, (80, 60), 30, (250, 20, 20), -1)
    cv2.circle(matte, (80, 60), 31, 255, -1)
    filled = fill_background(picture, matte, eye_distance_px=20)
    assert np.abs(filled.astype(int) - (90, 140, 200)).max() <= 2


@pytest.mark.parametrize("level", [0, 255])
def test_a_matte_of_all_or_nothing_is_no_fault(level: int) -> None:
    picture = np.random.default_rng(1).integers(0, 255, (64, 48, 3)).astype(np.uint8)
    assert fill_background(picture, np.full((64, 48), level, np.uint8), eye_distance_px=10).shape == picture.shape


def test_filling_keeps_what_is_known_and_stays_in_its_range() -> None:
    random = np.random.default_rng(2)
    image = random.uniform(40, 200, (77, 51, 3)).astype(np.float32)
    known = random.random((77, 51)) < 0.2
    filled = fill_from_known(image, known)
    assert np.allclose(filled[known], image[known], atol=1e-3)
    assert filled.min() >= 39 and filled.max() <= 201


def test_a_cut_moves_pixels_and_points_alike() -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    cv2.circle(picture, (250, 120), 6, (255, 255, 255), -1)
    for scale in (0.4, 1.0, 2.5):
        cut = Cut(
            anchor=(240, 130),
            roll_deg=12,
            left=80,
            top=60,
            scale=scale,
            width_px=round(160 * scale),
            height_px=round(120 * scale),
        )
        seen = cut_out(picture, cut)[..., 0].astype(float)
        y, x = np.mgrid[0 : seen.shape[0], 0 : seen.shape[1]]
        middle = np.array([(x * seen).sum(), (y * seen).sum()]) / seen.sum()
        point = map_points(np.array([[250, 120]], np.float32), cut.matrix())
        assert np.abs(point[0] - middle).max() < 0.6
        assert np.allclose(map_points(point, inverse(cut.matrix())), [[250, 120]], atol=1e-3)


def test_stray_hair_moves_with_the_head_and_a_busy_wall_does_not() -> None:
    picture = np.array(portrait(1024))
    hair, wall = picture.copy(), picture.copy()
    cv2.line(hair, (560, 160), (690, 60), (60, 40, 20), 2, cv2.LINE_AA)  # from her hair out over the wall
    for x in range(650, 1024, 12):
        wall[:420, x : x + 3] //= 2
    straight = examine_photo(encoded(Image.fromarray(hair), "PNG"), models()).study
    striped = examine_photo(encoded(Image.fromarray(wall), "PNG"), models()).study
    plain = examine_photo(encoded(Image.fromarray(picture), "PNG"), models()).study

    def above_right(study: PortraitStudy) -> float:
        face = describe_face(study.landmarks)
        unit, (x, y) = face.eye_distance_px, face.eye_centre
        return float(
            (
                study.matte[
                    int(max(0, y - 1.8 * unit)) : int(y - 0.8 * unit), int(x + 2.1 * unit) : int(x + 2.9 * unit)
                ]
                > 100
            ).sum()
        )

    assert above_right(plain) == 0
    assert above_right(straight) > 30
    assert above_right(striped) < above_right(straight)
