"""What an image claims in its header, read without decoding it."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.engine.portrait.photos import encoded, gif_claiming, png_claiming
from visavis.engine.images.image_size import claimed_pixels
from visavis.engine.images.image_type import ImageType, image_type

WIDE = Image.new("RGB", (300, 200), (1, 2, 3))


def animated(kind: str) -> bytes:
    file = io.BytesIO()
    WIDE.save(file, kind, save_all=True, append_images=[Image.new("RGB", (300, 200), (200, 2, 3))], comment=b"a,b" * 99)
    return file.getvalue()


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(encoded(WIDE, "JPEG"), id="JPEG"),
        pytest.param(
            encoded(WIDE, "JPEG", progressive=True, comment=b"\xff\xc0" * 50), id="progressive, with a comment"
        ),
        pytest.param(encoded(WIDE, "PNG"), id="PNG"),
        pytest.param(encoded(WIDE, "GIF"), id="GIF"),
        pytest.param(animated("GIF"), id="animated GIF with a comment"),
        pytest.param(encoded(WIDE, "WEBP", quality=50), id="WebP"),
        pytest.param(encoded(WIDE, "WEBP", lossless=True), id="WebP without loss"),
        pytest.param(encoded(WIDE.convert("RGBA"), "WEBP", exif=b"x"), id="WebP with more"),
        pytest.param(animated("WEBP"), id="animated WebP"),
    ],
)
def test_the_size_is_in_the_header(image: bytes) -> None:
    assert claimed_pixels(image, image_type(image)) == 300 * 200


def test_the_larger_of_a_gifs_claims_counts() -> None:
    assert claimed_pixels(gif_claiming(5, 65_000), "GIF") == 65_000**2
    assert claimed_pixels(gif_claiming(65_000, 5), "GIF") == 65_000**2
    assert claimed_pixels(png_claiming(60_000, 60_000), "PNG") == 60_000**2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_header_that_is_cut_anywhere_claims_nothing_or_its_size(kind: ImageType) -> None:
    whole = encoded(WIDE, kind)
    for length in range(min(len(whole), 900)):
        assert claimed_pixels(whole[:length], kind) in (0, 300 * 200)
