"""The sandbox: a stranger's image is decoded in a process that lives for one image. This module starts the process,
limits its time and reads its answer; worker.py is the process.

The work is a *job*: a module with a function `run(image: bytes, arguments: list[str]) -> bytes`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import IO

import anyio
from anyio.to_thread import run_sync

from visavis.engine.errors import ImageRefused, Reason, SandboxFailed
from visavis.engine.images.image_type import image_type
from visavis.engine.images.refusal import REFUSED, read_refusal

# The variables that the process gets from our environment: enough to start, and no secrets.
KEPT_VARIABLES = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TMPDIR",
)
# One thread for each library. Arenas of malloc count against the limit of the address space.
FRUGAL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
QUIET = {"GLOG_minloglevel": "3", "TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work on an image. `timeout_s`: wall clock time, with the start of the process."""

    module: str
    arguments: tuple[str, ...] = ()
    timeout_s: float


def run_job(image: bytes, job: Job) -> bytes:
    """Return the answer of the job. Raises ImageRefused, and SandboxFailed if the fault is ours. Blocks."""
    image_type(image)
    with _as_file(image) as stdin:
        try:
            done = subprocess.run(
                _command(job),
                stdin=stdin,
                capture_output=True,
                timeout=job.timeout_s,
                env=_environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _took_too_long() from None
    return _answer(done.returncode, done.stdout, done.stderr)


async def run_job_async(image: bytes, job: Job) -> bytes:
    """Like `run_job`, without blocking the event loop. If this is cancelled, the process is killed."""
    image_type(image)
    with await run_sync(_as_file, image) as stdin:
        try:
            with anyio.fail_after(job.timeout_s):
                done = await anyio.run_process(_command(job), stdin=stdin, env=_environment(), check=False)
        except TimeoutError:
            raise _took_too_long() from None
    return _answer(done.returncode, done.stdout, done.stderr)


def _as_file(image: bytes) -> IO[bytes]:
    """Return an unnamed file with `image`. Unlike a pipe, it cannot break if the process dies before it has read
    everything.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    file.write(image)
    file.seek(0)
    return file


def _command(job: Job) -> list[str]:
    return [sys.executable, "-P", "-m", "visavis.engine.images.worker", job.module, *job.arguments]


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | FRUGAL | QUIET


def _took_too_long() -> ImageRefused:
    return ImageRefused(
        Reason.UNREADABLE,
        "The image took too long to work through",
        suggestion="Save the photo again, smaller, and send the new file",
    )


def _answer(status: int, answer: bytes, complaint: bytes) -> bytes:
    if status == 0:
        return answer
    if status == REFUSED:
        try:
            refusal = read_refusal(answer)
        except ValueError:
            raise SandboxFailed("The image worker refused without a reason") from None
        raise refusal
    if status < 0:  # ended by a signal: it reached a limit, or a decoder crashed
        raise ImageRefused(
            Reason.UNREADABLE,
            "The image could not be worked through",
            suggestion="Save the photo again and send the new file",
        )
    last_line = complaint.decode(errors="replace").strip().rpartition("\n")[2]
    raise SandboxFailed(f"The image worker failed with status {status}: {last_line}")
