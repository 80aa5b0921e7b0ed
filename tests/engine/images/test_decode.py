"""Untrusted bytes become upright RGB, or a refusal with a code."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.engine.portrait.photos import (
    REFUSED_BEFORE_LOOKING,
    animated_gif,
    encoded,
    portrait,
    see_through,
    with_exif_orientation,
)
from visavis.engine.errors import ImageRefused
from visavis.engine.images.decode import BEHIND_TRANSPARENCY, decode_image

ORIGINAL = np.asarray(portrait()).astype(int)


def difference(picture: NDArray[np.uint8]) -> float:
    return float(np.abs(picture.astype(int) - ORIGINAL).mean())


@pytest.mark.parametrize("name", REFUSED_BEFORE_LOOKING)
def test_what_is_no_sound_image_is_refused_with_its_reason(name: str) -> None:
    make, reason = REFUSED_BEFORE_LOOKING[name]
    with pytest.raises(ImageRefused) as refused:
        decode_image(make())
    assert refused.value.reason == reason
    assert refused.value.suggestion


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_each_type_shows_the_same_picture(kind: str) -> None:
    decoded = decode_image(encoded(portrait(), kind, quality=95))
    assert decoded.picture.shape == (512, 512, 3) and decoded.picture.dtype == np.uint8 and decoded.reduced == 1
    assert difference(decoded.picture) < 4 and decoded.opacity is None


@pytest.mark.parametrize("mode", ["P", "CMYK", "RGBA"])
def test_other_colour_modes_show_the_same_picture(mode: str) -> None:
    picture = portrait().quantize(256) if mode == "P" else portrait().convert(mode)
    decoded = decode_image(encoded(picture, "JPEG" if mode == "CMYK" else "PNG", quality=95)).picture
    assert difference(decoded) < 7


def test_sixteen_bit_grey_keeps_its_range() -> None:
    grey = np.asarray(portrait().convert("L"))
    decoded = decode_image(encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG")).picture
    assert np.abs(decoded[..., 0].astype(int) - grey).max() <= 1


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_orientation_is_applied(orientation: int) -> None:
    picture = decode_image(with_exif_orientation(orientation)).picture
    assert difference(picture) < 4


def test_transparency_lies_on_light_grey() -> None:
    picture = decode_image(encoded(see_through(), "PNG")).picture
    assert tuple(picture[5, 5]) == BEHIND_TRANSPARENCY
    assert np.array_equal(picture[200, 225], ORIGINAL[200, 225])


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_cut_out_brings_its_opacity_upright(orientation: int) -> None:
    stored = see_through() if orientation == 1 else see_through().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = orientation
    opacity = decode_image(encoded(stored, "PNG", exif=exif)).opacity
    assert opacity is not None and np.array_equal(opacity, np.asarray(see_through().getchannel("A")))


def test_rounded_corners_are_no_cut_out() -> None:
    picture = portrait().convert("RGBA")
    opaque = np.full((512, 512), 255, np.uint8)
    opaque[:20, :20] = 0
    picture.putalpha(Image.fromarray(opaque))
    assert decode_image(encoded(picture, "PNG")).opacity is None


def test_an_animation_gives_its_first_picture() -> None:
    picture = decode_image(animated_gif(frames=30)).picture
    assert difference(picture) < 15  # 64 colours


def test_a_large_photo_is_reduced_while_it_is_decoded() -> None:
    decoded = decode_image(encoded(portrait().resize((6000, 6000)), quality=50))
    assert decoded.reduced == 2 and decoded.picture.shape == (3000, 3000, 3)


def test_an_embedded_colour_profile_is_honoured() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    tagged = decode_image(encoded(portrait(), "PNG", icc_profile=lab.tobytes())).picture
    broken = decode_image(encoded(portrait(), "PNG", icc_profile=b"not a profile")).picture
    assert difference(tagged) < 1 and difference(broken) == 0
