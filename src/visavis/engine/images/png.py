"""Takes out of a PNG what is not needed for its pixels: text, and colour profiles of immense size. The decoder would
refuse a sound picture for them, because they may be made to take memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

SIGNATURE_BYTES = 8
PROFILE_MOST_BYTES = 4 << 20  # honest ones have up to 2 MB
# Chunks that are not critical and tell what the pixels mean: transparency, colours, orientation, animation.
KEPT = frozenset((b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"eXIf", b"acTL", b"fcTL", b"fdAT"))


def without_text(image: bytes) -> bytes:
    """Return a PNG without the chunks that are not needed. What follows a chunk that cannot be read stays."""
    view, parts, at = memoryview(image), [image[:SIGNATURE_BYTES]], SIGNATURE_BYTES
    for name, end in _chunks(image):
        is_critical = not name[0] & 0x20  # the case of the first letter (RFC 2083, 3.3)
        if is_critical or (name in KEPT and (name != b"iCCP" or _is_small(view[at + 8 : end - 4]))):
            parts.append(bytes(view[at:end]))
        at = end
    return b"".join((*parts, view[at:]))


def _chunks(image: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the name of each chunk, and where it ends."""
    at = SIGNATURE_BYTES
    while at + 12 <= len(image):
        end = at + 12 + int.from_bytes(image[at : at + 4], "big")
        if end > len(image):
            return
        yield image[at + 4 : at + 8], end
        at = end


def _is_small(profile: memoryview) -> bool:
    """Whether a compressed colour profile, after its name and a byte for the method, is no larger than is taken."""
    _, _, squeezed = bytes(profile).partition(b"\0")
    inflate = zlib.decompressobj()
    try:
        return len(inflate.decompress(squeezed[1:], PROFILE_MOST_BYTES + 1)) <= PROFILE_MOST_BYTES
    except zlib.error:
        return False
