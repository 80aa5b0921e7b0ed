"""Makes an avatar pack from a photo. The sandbox does the work (prepare_job.py)."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from visavis.engine.errors import SandboxFailed
from visavis.engine.images.sandbox import Job, run_job, run_job_async
from visavis.engine.portrait.points import SevenPoints
from visavis.engine.portrait.report import PreparationReport, read_report

# Wall clock time. On a busy machine, two seconds of work may take long, and a good photo must not be refused for that.
TIMEOUT_S = 60.0
MEMORY_BYTES = 640 << 20  # a study takes 300 MB, 480 MB where hair and noise are everywhere


def prepare_avatar(
    image: bytes, folder: Path, *, points: SevenPoints | None = None, timeout_s: float = TIMEOUT_S
) -> PreparationReport:
    """Write the avatar pack of the person in `image` into `folder`, which must be missing or empty. If this raises, the
    folder is again as it was.

    It writes the files of `AvatarPack.save`, `image.jpg` (the levelled, framed photo, at most 1200 px wide),
    `preview.jpg` (500 x 500) and `report.json`. `points`: where the face is; without them it is found. Blocks for about
    two seconds. Raises ImageRefused: `reason`, `message` and `suggestion` say what is wrong with the photo;
    FileExistsError; SandboxFailed if the fault is ours.
    """
    there = _make_room(folder)
    try:
        return _report(run_job(image, _job(folder, points, timeout_s)))
    except BaseException:
        _clear(folder, there)
        raise


async def prepare_avatar_async(
    image: bytes, folder: Path, *, points: SevenPoints | None = None, timeout_s: float = TIMEOUT_S
) -> PreparationReport:
    """Like `prepare_avatar`, without blocking the event loop. If this is cancelled, the process is killed, and the
    folder is as it was.
    """
    there = await run_sync(_make_room, folder)
    try:
        return _report(await run_job_async(image, _job(folder, points, timeout_s)))
    except BaseException:
        with anyio.CancelScope(shield=True):
            await run_sync(_clear, folder, there)
        raise


def _make_room(folder: Path) -> bool:
    """Make the folder; return whether it was there, empty. Raises FileExistsError when it holds something."""
    there = folder.exists()
    if there and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    folder.mkdir(parents=True, exist_ok=True)
    return there


def _clear(folder: Path, there: bool) -> None:
    """Leave the folder as `_make_room` found it."""
    shutil.rmtree(folder, ignore_errors=True)
    if there:
        folder.mkdir()


def _job(folder: Path, points: SevenPoints | None, timeout_s: float) -> Job:
    given = () if points is None else (points.plain(),)
    return Job(
        module="visavis.engine.pack.prepare_job",
        arguments=(str(folder), *given),
        timeout_s=timeout_s,
        memory_bytes=MEMORY_BYTES,
    )


def _report(answer: bytes) -> PreparationReport:
    try:
        return read_report(answer.decode())
    except ValueError:
        raise SandboxFailed("The image worker gave no report") from None
