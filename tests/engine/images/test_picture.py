"""Pictures for backgrounds: whatever a stranger sends becomes a JPEG of ours or a refusal, decoded in a process of its
own.
"""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from visavis.engine.errors import ImageRefused, Reason
from visavis.engine.images.picture import read_picture

pytestmark = pytest.mark.anyio


def encoded(kind: str, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, : size[0] // 2] = (250, 20, 20)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_pictures_of_every_kind_become_jpegs(kind: str) -> None:
    picture = Image.open(io.BytesIO(await read_picture(encoded(kind))))
    assert picture.format == "JPEG" and picture.size == (64, 48)
    left, right = np.asarray(picture)[24, 10], np.asarray(picture)[24, 54]
    assert left[0] > 200 and right.max() < 60


async def test_a_photo_stands_upright_and_fits_the_largest_output() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    picture = Image.open(io.BytesIO(await read_picture(encoded("JPEG", (2500, 1000), exif=exif))))
    assert picture.size == (768, 1920)


@pytest.mark.parametrize("image", [b"", b"GIF89a", b"<svg/>", encoded("PNG")[:60], b"\x89PNG\r\n\x1a\n" + bytes(200)])
async def test_what_is_no_picture_is_refused(image: bytes) -> None:
    with pytest.raises(ImageRefused) as refused:
        await read_picture(image)
    assert refused.value.reason in (Reason.UNREADABLE, Reason.UNKNOWN_TYPE)


async def test_too_large_is_said() -> None:
    with pytest.raises(ImageRefused) as refused:
        await read_picture(bytes(10_000_001))
    assert refused.value.reason == Reason.TOO_LARGE
