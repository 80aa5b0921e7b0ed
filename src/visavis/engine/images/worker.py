"""`python -m visavis.engine.images.worker JOB [ARGUMENT…]`: image bytes on stdin, what the job makes of them on stdout.

The one process in which untrusted images are decoded. It lives for one image, within limits on memory, time and file
size, and imports neither network nor service code. Exit status: 0 done, REFUSED (stdout is refusal.py's JSON), anything
else a fault of ours or of the limits.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from importlib import import_module
from typing import Protocol, cast

from visavis.engine.errors import ImageRefused
from visavis.engine.images.image_type import MAX_IMAGE_BYTES
from visavis.engine.images.refusal import REFUSED, write_refusal

# address space; the largest photos that pass take 1.3 GB of it on 2 cores, and more cores reserve more
MEMORY_LIMIT_BYTES = 4 << 30
CPU_LIMIT_S = 60
FILE_LIMIT_BYTES = 128 << 20
BE_NICE = 10  # live sessions on the same machine go first; an upload takes what they leave


class JobModule(Protocol):
    """What is done with an image; imported before the limits are set, run within them."""

    def run(self, image: bytes, arguments: list[str]) -> bytes:
        """Return the answer. Raises ImageRefused."""
        ...


def set_limits() -> None:
    """Bound this process. Where a system knows a limit only by name (macOS and address space), the caller's timeout
    remains.
    """
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_LIMIT_BYTES),
        (resource.RLIMIT_CPU, CPU_LIMIT_S),
        (resource.RLIMIT_FSIZE, FILE_LIMIT_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))
    with contextlib.suppress(OSError):
        os.nice(BE_NICE)


def main() -> int:
    """Work through one image. stdout is kept for the answer and stderr for our own tracebacks; the C++ libraries log to
    neither.
    """
    answers = os.fdopen(os.dup(1), "wb")
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", buffering=1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    job = cast(JobModule, import_module(sys.argv[1]))
    set_limits()
    image = sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1)
    status = 0
    try:
        answer = job.run(image, sys.argv[2:])
    except ImageRefused as refusal:
        answer, status = write_refusal(refusal), REFUSED
    answers.write(answer)
    answers.flush()
    return status


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # all is written; taking mediapipe apart in order would cost another tenth of a second
