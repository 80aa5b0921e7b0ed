"""Walks the markers of a JPEG without decoding it: its size, its scans, and whether it has an end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame; the others are tables
# Within the data of a scan, 0xFF is followed by a zero or by the number of a restart (ITU-T T.81, B.1.1.5 and B.1.1.2).
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# Between segments, decoders pass over whatever is no marker, and over markers that stand alone (B.1.1.3).
_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")
MAX_SEGMENTS = 20_000  # of a file that is damaged or made to take time


@dataclass(frozen=True, slots=True)
class Segment:
    """`marker`: the byte after 0xFF. `start`: where the marker is; `end`: where the next segment starts. The data of a
    scan belongs to its segment.
    """

    marker: int
    start: int
    end: int


def jpeg_segments(image: bytes) -> Iterator[Segment]:
    """Yield the segments of the first picture in `image`, without the start of the image, as far as it can be read."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(image, at)
        if found is None:
            return
        at, marker = found.start(), image[found.end() - 1]
        if marker == END_OF_IMAGE:
            yield Segment(marker, at, at + 2)
            return
        end = at + 2 + int.from_bytes(image[at + 2 : at + 4], "big")
        if end < at + 4:
            return
        if marker == START_OF_SCAN:
            found = _MARKER_IN_SCAN.search(image, end)
            end = len(image) if found is None else found.start()
        yield Segment(marker, at, end)
        at = end


def jpeg_size(image: bytes) -> tuple[int, int] | None:
    """Return the width and height that the header claims, None if it claims none."""
    for segment in jpeg_segments(image):
        if segment.marker in FRAMES and segment.start + 9 <= len(image):
            height = int.from_bytes(image[segment.start + 5 : segment.start + 7], "big")
            return int.from_bytes(image[segment.start + 7 : segment.start + 9], "big"), height
        if segment.marker == START_OF_SCAN:
            return None
    return None


def has_end(image: bytes) -> bool:
    return any(segment.marker == END_OF_IMAGE for segment in jpeg_segments(image))
