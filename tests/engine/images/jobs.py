"""What tests have the sandbox do with an image, beside its real jobs: named by the first argument."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from visavis.engine.errors import ImageRefused, Reason


def run(image: bytes, arguments: list[str]) -> bytes:
    does, *more = arguments
    if does == "give back":
        print("libraries write to stdout too")
        os.write(2, b"and to stderr\n")
        return image
    if does == "refuse":
        raise ImageRefused(Reason.NO_FACE, "Nobody is here", suggestion="Come back")
    if does == "tell limits":
        limits = {
            name: resource.getrlimit(getattr(resource, name))
            for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE")
        }
        return json.dumps(limits | {"nice": os.nice(0)}).encode()
    if does == "tell environment":
        return json.dumps(sorted(os.environ)).encode()
    if does == "tell modules":
        return json.dumps(sorted(sys.modules)).encode()
    if does == "take memory":
        bytearray(5 << 30)
    if does == "write much":
        with Path(more[0]).open("wb") as file:
            while True:
                file.write(bytes(8 << 20))
    raise AssertionError(does)
