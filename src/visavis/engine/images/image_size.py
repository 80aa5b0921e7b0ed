"""Reads the size that an image claims in its header. It decodes nothing, so it is safe in any process."""

from __future__ import annotations

from visavis.engine.images.image_type import ImageType
from visavis.engine.images.jpeg import jpeg_size

MAX_BLOCKS = 1000  # extensions before the first picture of a GIF


def claimed_pixels(image: bytes, kind: ImageType) -> int:
    """Return how many pixels the image claims to have; 0 if its header cannot be read, or if it claims none."""
    sizes = {"JPEG": _jpeg, "PNG": _png, "GIF": _gif, "WEBP": _webp}[kind](image)
    return max((width * height for width, height in sizes), default=0)


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _jpeg(image: bytes) -> list[tuple[int, int]]:
    size = jpeg_size(image)
    return [] if size is None else [size]


def _png(image: bytes) -> list[tuple[int, int]]:
    return [(int.from_bytes(image[16:20], "big"), int.from_bytes(image[20:24], "big"))] if len(image) >= 24 else []


def _gif(image: bytes) -> list[tuple[int, int]]:
    """A picture may be larger than the screen that the header names, and decoders enlarge the screen."""
    if len(image) < 13:
        return []
    sizes = [(_little(image[6:8]), _little(image[8:10]))]
    at = 13 + (3 << (image[10] & 7) + 1 if image[10] & 0x80 else 0)  # after the table of colours
    for _ in range(MAX_BLOCKS):
        if image[at : at + 1] == b"," and at + 9 <= len(image):
            left, top, width, height = (_little(image[at + i : at + i + 2]) for i in (1, 3, 5, 7))
            return [*sizes, (left + width, top + height)]
        if image[at : at + 1] != b"!":
            break
        at += 2
        while at < len(image) and image[at]:
            at += 1 + image[at]
        at += 1
    return sizes


def _webp(image: bytes) -> list[tuple[int, int]]:
    """The first chunk names the size, in one of three forms (RFC 9649)."""
    chunk, start = image[12:16], 20
    if chunk == b"VP8X" and len(image) >= start + 10:
        return [(_little(image[start + 4 : start + 7]) + 1, _little(image[start + 7 : start + 10]) + 1)]
    if chunk == b"VP8 " and len(image) >= start + 10:
        return [(_little(image[start + 6 : start + 8]) & 0x3FFF, _little(image[start + 8 : start + 10]) & 0x3FFF)]
    if chunk == b"VP8L" and len(image) >= start + 5:
        bits = _little(image[start + 1 : start + 5])
        return [((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)]
    return []
