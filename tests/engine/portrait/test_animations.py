"""Animations: the first picture with a face is used, whatever comes before it."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image

from tests.engine.portrait.photos import cat, portrait
from visavis.engine.errors import ImageRefused, Reason
from visavis.engine.portrait.examine import EXAMINED_PICTURES, Examination, examine_photo
from visavis.engine.portrait.models import Models

models = cache(Models)


def blank(level: int) -> Image.Image:
    return Image.new("RGB", (512, 512), (level, level, level))


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (512, 512, 3), np.uint8))


def animation(kind: str, *pictures: Image.Image) -> bytes:
    file = io.BytesIO()
    pictures[0].save(file, kind, save_all=True, append_images=pictures[1:], duration=100)
    return file.getvalue()


def used(examination: Examination) -> list[str]:
    return [remark.message for remark in examination.report.remarks if remark.code == "LATER_PICTURE"]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_picture_with_a_face_is_used(kind: str) -> None:
    passed_over = (blank(255), blank(0), cat().resize((512, 512)))
    examination = examine_photo(animation(kind, *passed_over, portrait()), models())
    assert used(examination) == ["Picture 4 of the animation is used: it is the first with a face"]
    assert examination.report.photo_eye_distance_px > 40
    assert used(examine_photo(animation(kind, portrait(), blank(0)), models())) == []


def test_an_animation_without_a_face_is_refused_in_true_words() -> None:
    with pytest.raises(ImageRefused) as refused:
        examine_photo(animation("GIF", *(blank(8 * level) for level in range(30))), models())
    assert refused.value.reason == Reason.NO_FACE and "pictures" not in refused.value.message
    pictures = [noise(seed) for seed in range(EXAMINED_PICTURES + 3)]
    with pytest.raises(ImageRefused, match=f"the {EXAMINED_PICTURES + 1} pictures of the animation that were examined"):
        examine_photo(animation("WEBP", *pictures), models())
