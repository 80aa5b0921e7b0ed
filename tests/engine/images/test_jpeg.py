"""JPEGs that lack their end, are damaged, or are made to take time."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.engine.portrait.photos import encoded, portrait
from visavis.engine.errors import ImageRefused, Reason
from visavis.engine.images.decode import MAX_SCANS, decode_image
from visavis.engine.images.jpeg import END_OF_IMAGE, START_OF_SCAN, jpeg_segments, jpeg_size
from visavis.engine.images.jpeg_damage import is_damaged

PLAIN = encoded(portrait(), quality=90)
PROGRESSIVE = encoded(portrait(), quality=90, progressive=True)
RANDOM = np.random.default_rng(1)


def with_scans(count: int, side_px: int = 64) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    image = encoded(Image.new("RGB", (side_px, side_px), (120, 135, 150)), progressive=True)
    scans = [segment for segment in jpeg_segments(image) if segment.marker == START_OF_SCAN]
    last = image[scans[-1].start : scans[-1].end]
    return image[: scans[-1].end] + last * (count - len(scans)) + image[scans[-1].end :]


def garbage(image: bytes, kept_share: float) -> bytes:
    """The image, with random bytes for what follows that share of it, and its end."""
    kept = int(len(image) * kept_share)
    return image[:kept] + RANDOM.integers(0, 256, len(image) - kept - 2, np.uint8).tobytes() + image[-2:]


@pytest.mark.parametrize("image", [PLAIN, PROGRESSIVE], ids=["baseline", "progressive"])
def test_the_segments_cover_the_file(image: bytes) -> None:
    segments = list(jpeg_segments(image + b"something behind the picture \xff\xda"))
    assert segments[0].start == 2 and segments[-1].end == len(image) and segments[-1].marker == END_OF_IMAGE
    assert all(one.end == other.start for one, other in pairwise(segments))
    assert jpeg_size(image) == (512, 512)


@pytest.mark.parametrize("between", [b"\x00", b"\xff\xd3", b"no marker \xff\x00 here", b"\xff" * 9])
def test_what_decoders_pass_over_hides_no_scans(between: bytes) -> None:
    image = with_scans(MAX_SCANS)
    first = next(segment for segment in jpeg_segments(image) if segment.marker == START_OF_SCAN)
    hidden = image[: first.start] + between + image[first.start :]
    assert np.array_equal(decode_image(hidden).picture, decode_image(image).picture)
    assert [each.marker for each in jpeg_segments(hidden)] == [each.marker for each in jpeg_segments(image)]


@pytest.mark.parametrize("image", [PLAIN, PROGRESSIVE], ids=["baseline", "progressive"])
def test_a_photo_that_lacks_only_its_end_marker_is_a_photo(image: bytes) -> None:
    for end in (b"", b"\xff"):
        assert np.array_equal(decode_image(image[:-2] + end).picture, decode_image(image).picture)


@pytest.mark.parametrize("image", [PLAIN, PROGRESSIVE], ids=["baseline", "progressive"])
def test_one_that_lacks_more_is_incomplete(image: bytes) -> None:
    for length in (len(image) - 60, len(image) * 9 // 10, len(image) // 2):
        with pytest.raises(ImageRefused) as refused:
            decode_image(image[:length])
        assert refused.value.reason == Reason.UNREADABLE


@pytest.mark.parametrize("image", [PLAIN, PROGRESSIVE], ids=["baseline", "progressive"])
def test_damage_that_decoders_pass_over_is_seen(image: bytes) -> None:
    assert not is_damaged(image)
    half = len(image) // 2
    for damaged in (
        image[:half] + b"\xff\xd9",
        image[:half] + bytes(half),
        image[:half] + b"\xaa" * half + b"\xff\xd9",
        image[:half] + image[half + 500 :],
        garbage(image, 0.5),
        garbage(image, 0.9),
    ):
        assert is_damaged(damaged)


def test_padding_and_what_follows_the_end_are_no_damage() -> None:
    for padding in (b"\0" * 3, b"ab", b"\0" * 500):
        assert not is_damaged(PLAIN[:-2] + padding + PLAIN[-2:])
    assert not is_damaged(PLAIN + RANDOM.integers(0, 256, 5000, np.uint8).tobytes())


def test_many_scans_are_refused() -> None:
    assert decode_image(with_scans(MAX_SCANS)).picture.shape == (64, 64, 3)
    with pytest.raises(ImageRefused, match=f"{MAX_SCANS + 1} scans"):
        decode_image(with_scans(MAX_SCANS + 1))


def test_a_marker_within_another_segment_is_no_scan() -> None:
    file = io.BytesIO()
    portrait().save(file, "JPEG", comment=b"\xff\xda" * 1000)
    assert decode_image(file.getvalue()).picture.shape == (512, 512, 3)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1)])
def test_a_line_is_a_picture(size: tuple[int, int]) -> None:
    picture = decode_image(encoded(Image.new("RGB", size, (120, 135, 150)))).picture
    assert min(picture.shape[:2]) == 1 and max(picture.shape[:2]) >= 1300


def test_a_broken_orientation_is_none() -> None:
    image = encoded(portrait(128))
    for entry in (b"broken", b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abc\0\0\0\0\0"):
        exif = b"Exif\0\0" + entry
        damaged = image[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + image[2:]
        assert np.array_equal(decode_image(damaged).picture, decode_image(image).picture)
