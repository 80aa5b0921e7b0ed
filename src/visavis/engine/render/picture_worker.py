"""`python -m visavis.engine.render.picture_worker`: image bytes on stdin, a JPEG on stdout. Decoders of hostile bytes
belong behind a wall.

It lives for one picture, within limits on memory and time, and imports neither network nor service code. Exit status: 0
done, 3 refused (stdout is one JSON object that says why), anything else a fault of ours or of the limits.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys

from PIL import Image

from visavis.engine.portrait.decode import decode_image
from visavis.engine.portrait.image_type import MAX_IMAGE_BYTES
from visavis.engine.render.picture import REFUSED
from visavis.errors import ImageTooLarge, PortraitRefused

LONG_SIDE_PX = 1920  # of the largest output
MEMORY_LIMIT_BYTES = 4 << 30  # address space, as for portraits
CPU_LIMIT_S = 30
BE_NICE = 10


def _set_limits() -> None:
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_LIMIT_BYTES),
        (resource.RLIMIT_CPU, CPU_LIMIT_S),
        (resource.RLIMIT_CORE, 0),
    ):
        # where a system knows a limit only by name, the caller's timeout remains
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))
    with contextlib.suppress(OSError):
        os.nice(BE_NICE)


def main() -> int:
    _set_limits()
    answers = sys.stdout.buffer
    image = sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1)
    try:
        pixels = decode_image(image).picture
    except PortraitRefused as refusal:
        said = {
            "message": refusal.message,
            "suggestion": refusal.suggestion,
            "too_large": isinstance(refusal, ImageTooLarge),
        }
        answers.write(json.dumps(said).encode())
        return REFUSED
    picture = Image.fromarray(pixels)
    picture.thumbnail((LONG_SIDE_PX, LONG_SIDE_PX), Image.Resampling.LANCZOS)
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=92, subsampling=0)
    answers.write(jpeg.getvalue())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
