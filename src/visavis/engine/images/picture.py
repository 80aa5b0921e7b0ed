"""A stranger's picture for a background becomes a JPEG of ours, decoded in the sandbox (picture_job.py)."""

from __future__ import annotations

from visavis.engine.images.sandbox import Job, run_job_async
from visavis.errors import BackgroundRefused, ImageTooLarge, PortraitRefused

TIMEOUT_S = 10.0
_JOB = Job(module="visavis.engine.images.picture_job", timeout_s=TIMEOUT_S)


async def read_picture(image: bytes) -> bytes:
    """Return the first picture in `image` as a JPEG of at most 1920 px, upright. Raises `BackgroundRefused`, and
    `ImageTooLarge` for too many bytes or pixels.

    When cancelled, the process is killed.
    """
    try:
        return await run_job_async(image, _JOB)
    except ImageTooLarge:
        raise
    except PortraitRefused as refused:
        raise BackgroundRefused(refused.message, suggestion=refused.suggestion) from None
