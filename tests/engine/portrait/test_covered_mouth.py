"""A covered mouth gets a remark, and no other mouth does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tests.engine.portrait.covers import COVERS
from tests.engine.portrait.photos import encoded, portrait
from visavis.engine.portrait.chip import take_chip
from visavis.engine.portrait.covered_mouth import is_mouth_covered
from visavis.engine.portrait.examine import examine_photo
from visavis.engine.portrait.face import FoundFace, describe_face, find_face, refine_mesh
from visavis.engine.portrait.models import Models
from visavis.engine.portrait.quality import remarks_on_mouth
from visavis.library import PORTRAITS

models = cache(Models)
PHOTO = "a photo"


@cache
def picture_of(name: str) -> Image.Image:
    if name == PHOTO:
        return portrait(900)
    path = next(each.path for each in PORTRAITS if each.slug == name)
    return Image.open(path).convert("RGB")


def face_in(picture: Image.Image) -> tuple[FoundFace, NDArray[np.float32]]:
    """The face in a picture, and the spread of its landmarks, px."""
    upright, found = find_face(np.asarray(picture), models())
    assert found.quarter_turns == 0
    landmarks, spread = refine_mesh(upright, found, models())
    return describe_face(landmarks), spread


def seems_covered(picture: Image.Image) -> bool:
    face, spread = face_in(picture)
    return is_mouth_covered(take_chip(np.asarray(picture), face), spread / face.eye_distance_px)


@pytest.mark.parametrize("name", ["iris", "tomas", PHOTO])
@pytest.mark.parametrize("cover", COVERS)
def test_a_covered_mouth_is_seen(name: str, cover: str) -> None:
    face, _ = face_in(picture_of(name))
    assert seems_covered(COVERS[cover](picture_of(name), face.landmarks[:, :2]))


@pytest.mark.parametrize("name", [PHOTO, *(each.slug for each in PORTRAITS)])
def test_a_mouth_that_shows_is_not_called_covered(name: str) -> None:
    assert not seems_covered(picture_of(name))


@pytest.mark.parametrize("name", ["iris", "amara", PHOTO])
def test_a_mouth_that_hardly_shows_is_not_called_covered(name: str) -> None:
    picture = picture_of(name)
    small_px = round(30 / face_in(picture)[0].eye_distance_px * picture.width)
    assert not seems_covered(picture.convert("L").convert("RGB"))
    assert not seems_covered(picture.point(lambda level: level // 4))
    assert not seems_covered(picture.filter(ImageFilter.GaussianBlur(4)))
    assert not seems_covered(picture.resize((small_px, small_px * picture.height // picture.width)))
    assert not seems_covered(picture.rotate(20, fillcolor=(140, 140, 140)))


def test_the_report_warns_of_it_and_speaks_of_no_beard() -> None:
    face, _ = face_in(picture_of("iris"))
    masked = COVERS["a black mask"](picture_of("iris"), face.landmarks[:, :2])
    report = examine_photo(encoded(masked, "PNG"), models()).report
    codes = {remark.code: remark.severity for remark in report.remarks}
    assert codes["MOUTH_COVERED"] == "warning" and "BEARD" not in codes and report.verdict == "fair"


def test_nothing_is_said_of_lips_and_teeth_that_cannot_be_seen() -> None:
    assert remarks_on_mouth(0.3, True, covered=True) == []
    shown = {remark.code for remark in remarks_on_mouth(0.3, True, covered=False)}
    assert shown == {"MOUTH_WIDE_OPEN", "SMILE_WITH_TEETH"}
