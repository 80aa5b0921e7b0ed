"""Which uploads are worth a decoder's time: told from the first bytes and the size alone, so that it is safe in any process."""

from __future__ import annotations

from typing import Literal

from visavis.errors import ImageTooLarge, ImageTypeRefused, PortraitRefused

ImageType = Literal["JPEG", "PNG", "GIF", "WEBP"]

MAX_IMAGE_BYTES = 10_000_000
MAX_PIXELS = 80_000_000  # an 8,000 px square photo passes; 16 bit RGBA of that size needs 512 MB while decoding
TYPE_SUGGESTION = "Send a JPEG, PNG, WebP or GIF"


def image_type(image: bytes) -> ImageType:
    """Return the type that the content shows, whatever name or label it came with.

    Raises ImageTooLarge (over MAX_IMAGE_BYTES), PortraitRefused IMAGE_UNREADABLE (empty) and ImageTypeRefused (anything else).
    """
    if len(image) > MAX_IMAGE_BYTES:
        raise ImageTooLarge(f"The image has {len(image) / 1e6:.1f} MB; at most 10 MB are taken", suggestion="Send a smaller or more compressed photo")
    if not image:
        raise PortraitRefused("The image is empty", suggestion=TYPE_SUGGESTION)
    if image[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if image[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if image[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "WEBP"
    raise ImageTypeRefused("The file is not a JPEG, PNG, WebP or GIF image", suggestion=TYPE_SUGGESTION)
