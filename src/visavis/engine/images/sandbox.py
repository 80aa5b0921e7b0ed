"""The sandbox: a stranger's image is decoded in a process that lives for one image. This module starts the process,
limits its time and reads its answer; worker.py is the process.

The work is a *job*: a module with a function `run(image: bytes, arguments: list[str]) -> bytes`.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryFile, gettempdir
from typing import IO

import anyio
from anyio.to_thread import run_sync

from visavis.engine.child_process import kept_environment
from visavis.engine.errors import ImageRefused, Reason, SandboxBusy, SandboxFailed
from visavis.engine.images.image_size import claimed_pixels
from visavis.engine.images.image_type import MAX_PIXELS, ImageType, image_type
from visavis.engine.images.refusal import DISK_FULL, REFUSED, read_refusal
from visavis.engine.images.reservations import Reservation, Reservations

# One thread for each library. Arenas of malloc count against the limit of the address space.
FRUGAL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
QUIET = {"GLOG_minloglevel": "3", "TF_CPP_MIN_LOG_LEVEL": "3"}


# How much memory decoding takes, by type: measured on the largest images, with a third to spare. PNG, GIF and WebP are
# decoded in full before they are reduced.
DECODING_BYTES_PER_PIXEL: dict[ImageType, int] = {"JPEG": 12, "PNG": 16, "GIF": 16, "WEBP": 16}
DECODING_BASE_BYTES = 200 << 20
MOST_MEMORY_BYTES = 1536 << 20
MOST_ANSWER_BYTES = 32 << 20  # a decoder that was broken into could write for ever
POLL_S = 0.1  # how often a process that waits for memory looks again

_RESERVATIONS = Reservations()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work on an image. `timeout_s`: wall clock time, with the start of the process. `memory_bytes`: what the work
    needs after the image is decoded and reduced.
    """

    module: str
    arguments: tuple[str, ...] = ()
    timeout_s: float
    memory_bytes: int


def run_job(image: bytes, job: Job) -> bytes:
    """Return the answer of the job. Raises ImageRefused, SandboxBusy, OSError if the disk has no room, and
    SandboxFailed if the fault is ours. Blocks.

    It does not wait for memory, because nothing else of its process gives any back.
    """
    memory_bytes = memory_limit_bytes(image, job)
    reservation = _RESERVATIONS.reserve(memory_bytes)
    if reservation is None:
        raise _too_little_memory()
    with _RESERVATIONS.released_after(reservation), ExitStack() as opened:
        stdin, stdout, stderr = _open_files(image, opened)
        try:
            done = subprocess.run(
                _command(job, memory_bytes),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                timeout=job.timeout_s,
                env=_environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _took_too_long() from None
        return _answer(done.returncode, stdout, stderr)


async def run_job_async(image: bytes, job: Job) -> bytes:
    """Like `run_job`, without blocking the event loop. If this is cancelled, the process is killed. While another
    process has the memory, this one waits for it.
    """
    memory_bytes = memory_limit_bytes(image, job)
    reservation = await _reserve(memory_bytes, job.timeout_s)
    with _RESERVATIONS.released_after(reservation), ExitStack() as opened:
        stdin, stdout, stderr = await run_sync(_open_files, image, opened)
        try:
            with anyio.fail_after(job.timeout_s):
                async with await anyio.open_process(
                    _command(job, memory_bytes), stdin=stdin, stdout=stdout, stderr=stderr, env=_environment()
                ) as process:
                    reservation.pid = process.pid
                    status = await process.wait()
        except TimeoutError:
            raise _took_too_long() from None
        return await run_sync(_answer, status, stdout, stderr)


async def _reserve(size_bytes: int, timeout_s: float) -> Reservation:
    """Reserve memory, and wait for it while other processes have some. Raises SandboxBusy."""
    with anyio.move_on_after(timeout_s):
        while True:
            reservation = _RESERVATIONS.reserve(size_bytes)
            if reservation is not None:
                return reservation
            if not _RESERVATIONS.are_held:
                break
            await anyio.sleep(POLL_S)  # nothing tells when memory is free again
    raise _too_little_memory()


def memory_limit_bytes(image: bytes, job: Job) -> int:
    """Return how much memory the job's process gets for this image, by what its header claims. Raises ImageRefused for
    what is no image.
    """
    kind = image_type(image)
    pixels = claimed_pixels(image, kind)
    if pixels > MAX_PIXELS:  # decode.py refuses it before it decodes anything
        return job.memory_bytes
    needed_bytes = DECODING_BASE_BYTES + DECODING_BYTES_PER_PIXEL[kind] * pixels
    return min(MOST_MEMORY_BYTES, max(job.memory_bytes, needed_bytes))


def _open_files(image: bytes, opened: ExitStack) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    """Open unnamed files: one with `image`, and two for what the process writes. Unlike a pipe, the first cannot break
    if the process dies before it has read everything, and the size of the others is bounded (worker.py).
    """
    stdin, stdout, stderr = (opened.enter_context(TemporaryFile()) for _ in range(3))  # noqa: SIM115
    try:
        stdin.write(image)
        stdin.seek(0)
    except OSError as error:
        raise OSError(error.errno, error.strerror, gettempdir()) from error
    return stdin, stdout, stderr


def _command(job: Job, memory_bytes: int) -> list[str]:
    worker = "visavis.engine.images.worker"
    return [sys.executable, "-P", "-m", worker, str(memory_bytes), job.module, *job.arguments]


def _environment() -> dict[str, str]:
    return kept_environment() | FRUGAL | QUIET


def _too_little_memory() -> SandboxBusy:
    return SandboxBusy("The server has too little memory for this image now", suggestion="Try again in a few seconds")


def _took_too_long() -> ImageRefused:
    return ImageRefused(
        Reason.UNREADABLE,
        "The image took too long to work through",
        suggestion="Save the photo again, smaller, and send the new file",
    )


def _answer(status: int, stdout: IO[bytes], stderr: IO[bytes]) -> bytes:
    stdout.seek(0)
    answer = stdout.read(MOST_ANSWER_BYTES)
    if status == 0:
        return answer
    if status == REFUSED:
        try:
            refusal = read_refusal(answer)
        except ValueError:
            raise SandboxFailed("The image worker refused without a reason") from None
        raise refusal
    if status == DISK_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), gettempdir())
    if sys.platform != "win32" and status == -signal.SIGXCPU:
        raise _took_too_long()
    if status < 0:  # ended by another signal: it reached a limit, or a decoder crashed
        raise ImageRefused(
            Reason.UNREADABLE,
            "The image could not be worked through",
            suggestion="Save the photo again and send the new file",
        )
    stderr.seek(0)
    last_line = stderr.read(MOST_ANSWER_BYTES).decode(errors="replace").strip().rpartition("\n")[2]
    raise SandboxFailed(f"The image worker failed with status {status}: {last_line}")
