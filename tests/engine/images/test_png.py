"""PNGs with metadata that is broken, immense or made to take memory: the picture is taken all the same."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.engine.portrait.photos import encoded, portrait
from visavis.engine.images.decode import decode_image
from visavis.engine.images.png import PROFILE_MOST_BYTES, without_text

PLAIN = encoded(portrait(256), "PNG")
HEADER_END = 33


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def holding(*chunks: bytes) -> bytes:
    return PLAIN[:HEADER_END] + b"".join(chunks) + PLAIN[HEADER_END:]


def noise() -> bytes:
    return np.random.default_rng(1).integers(0, 256, 1_500_000, np.uint8).tobytes()


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: [chunk(b"eXIf", b"broken")], id="broken orientation"),
        pytest.param(lambda: [chunk(b"iCCP", b"icc\0\0" + zlib.compress(noise()))], id="a profile of 1.5 MB"),
        pytest.param(lambda: [chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(100 << 20)))], id="a profile of 100 MB"),
        pytest.param(lambda: [chunk(b"iCCP", b"icc\0\0broken")], id="a broken profile"),
        pytest.param(lambda: [chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(100 << 20)))], id="text of 100 MB"),
        pytest.param(
            lambda: [chunk(b"zTXt", b"k%d\0\0" % i + zlib.compress(bytes(1 << 20))) for i in range(80)], id="texts"
        ),
        pytest.param(lambda: [chunk(b"teXt", b"")] * 10_000, id="many chunks"),
    ],
)
def test_metadata_keeps_no_picture_from_being_read(made: Callable[[], list[bytes]]) -> None:
    assert np.array_equal(decode_image(holding(*made())).picture, decode_image(PLAIN).picture)


def test_nothing_else_is_taken_out() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = portrait(256).quantize(8)
    animation = encoded(portrait(256), "PNG", save_all=True, append_images=[Image.new("RGB", (256, 256))])
    for image in (
        PLAIN,
        animation,
        encoded(portrait(256), "PNG", exif=exif),
        encoded(palette, "PNG", transparency=3),
        PLAIN + b"something behind the picture",
        PLAIN[:-12],
        PLAIN[:5000],
        holding(chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(PROFILE_MOST_BYTES)))),
    ):
        assert without_text(image) == image
    assert without_text(holding(chunk(b"tIME", bytes(7)))) == PLAIN
