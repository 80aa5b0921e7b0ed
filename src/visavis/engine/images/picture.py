"""Decodes a stranger's picture for a background in the sandbox (picture_job.py)."""

from __future__ import annotations

from visavis.engine.images.sandbox import Job, run_job_async

TIMEOUT_S = 10.0
MEMORY_BYTES = 192 << 20
_JOB = Job(module="visavis.engine.images.picture_job", timeout_s=TIMEOUT_S, memory_bytes=MEMORY_BYTES)


async def read_picture(image: bytes) -> bytes:
    """Return the first picture in `image` as a JPEG of at most 1920 px, upright. Raises ImageRefused, and SandboxFailed
    if the fault is ours.

    If this is cancelled, the process is killed.
    """
    return await run_job_async(image, _JOB)
