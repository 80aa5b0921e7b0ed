"""What a file is told from its first bytes: the types that are taken, and what a person calls the others."""

from __future__ import annotations

import pytest

from visavis.engine.errors import ImageRefused
from visavis.engine.images.image_type import image_type

ISO = b"\x00\x00\x00\x18ftyp"

OTHERS = [
    (ISO + b"heic\x00\x00\x00\x00mif1heic", "a HEIC photo"),
    (ISO + b"avif\x00\x00\x00\x00avifmif1", "an AVIF image"),
    (ISO + b"isom\x00\x00\x02\x00isomiso2", "a video"),
    (b"\x1aE\xdf\xa3\x01\x00", "a video"),
    (b"%PDF-1.7", "a PDF document"),
    (b"II*\x00\x08\x00", "a TIFF image"),
    (b"MM\x00*\x00\x00", "a TIFF image"),
    (b"BM\x36\x00\x00\x00", "a BMP image"),
    (b"8BPS\x00\x01", "a Photoshop document"),
    (b"PK\x03\x04\x14\x00", "a ZIP archive"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
    (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn -->\n<svg/>", "an SVG drawing"),
    (b"\r\n <!DOCTYPE html><html></html>", "a web page"),
]


@pytest.mark.parametrize(("image", "name"), OTHERS, ids=[f"{name} {number}" for number, (_, name) in enumerate(OTHERS)])
def test_a_file_of_another_type_is_called_by_its_name(image: bytes, name: str) -> None:
    with pytest.raises(ImageRefused) as refused:
        image_type(image)
    assert refused.value.message == f"The file is {name}; JPEG, PNG, WebP and GIF are taken"
    assert refused.value.suggestion is not None and "JPEG or PNG" in refused.value.suggestion


@pytest.mark.parametrize("image", [b"\x00\x01\x02\x03", b"hello", b"<?xml version='1.0'?><page/>"])
def test_what_has_no_name_is_no_image(image: bytes) -> None:
    with pytest.raises(ImageRefused, match=r"^The file is not a JPEG, PNG, WebP or GIF image$"):
        image_type(image)
