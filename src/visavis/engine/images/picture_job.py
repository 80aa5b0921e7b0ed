"""The job for a background picture: decode it, turn it upright, and reduce it to the size of the largest output."""

from __future__ import annotations

import io

from PIL import Image

from visavis.engine.images.decode import decode_image

LONG_SIDE_PX = 1920  # of the largest output


def run(image: bytes, arguments: list[str]) -> bytes:
    """Return a JPEG. Raises ImageRefused."""
    picture = Image.fromarray(decode_image(image).picture)
    picture.thumbnail((LONG_SIDE_PX, LONG_SIDE_PX), Image.Resampling.LANCZOS)
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=92, subsampling=0)
    return jpeg.getvalue()
