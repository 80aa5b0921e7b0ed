"""Faces that an edge of the photo cuts: refused if too much is missing, else drawn in the colours of the face."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from PIL import Image

from tests.engine.portrait.photos import encoded
from tests.engine.render.conftest import motion
from visavis.engine.errors import ImageRefused, Reason
from visavis.engine.pack.bake import bake
from visavis.engine.portrait.examine import Examination, examine_photo
from visavis.engine.portrait.models import Models
from visavis.engine.portrait.placed import seven_places
from visavis.engine.portrait.points import NAMES, SevenPoints
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.render.plan import to_texture
from visavis.library import DEFAULT_PORTRAIT

models = cache(Models)


@cache
def drawn() -> Image.Image:
    return Image.open(DEFAULT_PORTRAIT.path).convert("RGB")


@cache
def whole() -> Examination:
    return examine_photo(encoded(drawn(), "PNG"), models())


def cut(side: str, share: float) -> Image.Image:
    """The portrait without that share of it at one side."""
    width, height = drawn().size
    left, top, right, bottom = (share if name == side else 0.0 for name in ("left", "top", "right", "bottom"))
    return drawn().crop(
        (round(width * left), round(height * top), round(width * (1 - right)), round(height * (1 - bottom)))
    )


def marked(side: str, share: float) -> SevenPoints:
    """Where the face of the portrait is in `cut(side, share)`, as a person would mark it."""
    study, report = whole().study, whole().report
    x0 = report.photo_width_px * share if side == "left" else 0.0
    picture = cut(side, share)
    # The portrait is level and wide: its framed picture is the photo itself.
    assert study.picture.shape[:2] == drawn().size[::-1]
    places = (seven_places(study.landmarks) - (x0, 0.0)) / picture.size
    return SevenPoints(**{name: (float(x), float(y)) for name, (x, y) in zip(NAMES, places, strict=True)})


def inside_of_the_open_mouth(examination: Examination) -> tuple[float, ...]:
    """The mean Y, U, V between the lips of the widely open mouth."""
    renderer = CpuRenderer(bake(examination.study), 512, 512)
    picture = renderer.render(motion(jawOpen=1.0))
    x, y = renderer.plan.seam[len(renderer.plan.seam) // 2].astype(int)
    x, y = x // 2 * 2, y // 2 * 2 + 8
    half = np.s_[y // 2 : y // 2 + 6, x // 2 - 6 : x // 2 + 6]
    luma = picture[y : y + 12, x - 12 : x + 12]
    u, v = picture[512:640].reshape(256, 256), picture[640:768].reshape(256, 256)
    return float(luma.mean()), float(u[half].mean()), float(v[half].mean())


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_face_without_a_cheek_is_refused(side: str) -> None:
    with pytest.raises(ImageRefused, match="cut off") as refused:
        examine_photo(encoded(cut(side, 0.425), "PNG"), models())
    assert refused.value.reason == Reason.NO_FACE


@pytest.mark.parametrize(
    ("side", "share", "word"),
    [("left", 0.38, "side"), ("right", 0.38, "side"), ("top", 0.18, "top"), ("bottom", 0.36, "chin")],
)
def test_a_face_that_is_cut_a_little_is_drawn_in_its_colours(side: str, share: float, word: str) -> None:
    examination = examine_photo(encoded(cut(side, share), "PNG"), models())
    said = {remark.code: remark.message for remark in examination.report.remarks}
    assert f"({word}" in said["HEAD_CROPPED"]
    assert inside_of_the_open_mouth(examination) == pytest.approx(inside_of_the_open_mouth(whole()), abs=8)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_marked_face_without_a_cheek_is_drawn_in_its_colours(side: str) -> None:
    examination = examine_photo(encoded(cut(side, 0.425), "PNG"), models(), marked(side, 0.425))
    x = examination.study.landmarks[:, 0]
    assert x.min() < -20 or x.max() > examination.study.picture.shape[1] + 20
    assert inside_of_the_open_mouth(examination) == pytest.approx(inside_of_the_open_mouth(whole()), abs=8)


@pytest.mark.parametrize("side", ["left", "right"])
def test_lips_are_drawn_over_opaque_skin_although_the_edge_is_near(side: str) -> None:
    examination = examine_photo(encoded(cut(side, 0.39), "PNG"), models())
    plan = CpuRenderer(bake(examination.study), 512, 512).plan
    corner, aside = (plan.face.corner_left, -0.25) if side == "left" else (plan.face.corner_right, 0.25)
    at = np.array([corner, corner + np.array([aside * plan.face.unit, 0.0])], np.float32)
    (x0, y), (x1, _) = to_texture(np.sort(at, axis=0), plan.zoom, plan.origin).astype(int)
    around = plan.texture[y - 20 : y + 30, x0:x1]
    assert around.size and not around[..., 3].any()
