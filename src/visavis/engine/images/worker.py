"""`python -m visavis.engine.images.worker JOB [ARGUMENT…]`: reads an image from stdin, writes the job's answer to
stdout.

Untrusted images are decoded only in this process. It lives for one image, has limits on memory, time and file size, and
imports no network code and no service code. Exit status: 0 if the job is done; REFUSED if it refuses the image (stdout
is then the JSON of refusal.py); anything else is a fault of ours, or a limit.
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

# Of address space. The largest photos that are accepted need 1.3 GB on 2 cores; more cores reserve more.
MEMORY_LIMIT_BYTES = 4 << 30
CPU_LIMIT_S = 60
FILE_LIMIT_BYTES = 128 << 20
BE_NICE = 10  # live sessions on the same machine have priority


class JobModule(Protocol):
    """A job. It is imported before the limits are set, and runs within them."""

    def run(self, image: bytes, arguments: list[str]) -> bytes:
        """Return the answer. Raises ImageRefused."""
        ...


def set_limits() -> None:
    """Limit this process. Some systems do not enforce a limit (macOS: address space); there, the timeout of the caller
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
    """Work on one image. Only the answer goes to stdout, and only our own tracebacks to stderr; what C++ libraries
    print goes nowhere.
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
    os._exit(status)  # everything is written; an orderly end of mediapipe would take another tenth of a second
