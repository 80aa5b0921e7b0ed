"""A photo becomes an avatar pack: the way in for everyone outside the engine. The sandbox does the work
(prepare_job.py).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from visavis.engine.errors import SandboxFailed
from visavis.engine.images.sandbox import Job, run_job, run_job_async
from visavis.engine.portrait.points import SevenPoints
from visavis.engine.portrait.report import PreparationReport, read_report

# of the wall clock: two seconds of work may wait long on a busy machine, and a good photo must not be refused for that
TIMEOUT_S = 60.0


def prepare_avatar(
    image: bytes, folder: Path, *, points: SevenPoints | None = None, timeout_s: float = TIMEOUT_S
) -> PreparationReport:
    """Make the avatar pack of the person in `image` in `folder`, which must be absent or empty; when this raises, it is
    so again.

    The pack holds what `AvatarPack.save` writes, `image.jpg` (the levelled, framed photo, at most 1200 px wide),
    `preview.jpg` (500 x 500) and `report.json`. `points` say where the face is; without them it is found. Blocks for
    about two seconds. Raises ImageRefused: `reason`, `message` and `suggestion` say what is wrong with the photo;
    FileExistsError; SandboxFailed when the fault is ours.
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
    """As `prepare_avatar`, without blocking the event loop. When cancelled, the process is killed and `folder` is as it
    was.
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
    return Job(module="visavis.engine.pack.prepare_job", arguments=(str(folder), *given), timeout_s=timeout_s)


def _report(answer: bytes) -> PreparationReport:
    try:
        return read_report(answer.decode())
    except ValueError:
        raise SandboxFailed("The image worker gave no report") from None
