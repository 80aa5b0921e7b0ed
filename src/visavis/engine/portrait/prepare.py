"""A photo becomes an avatar pack: the way in for everyone outside this folder. The work is done by a process of its own
(worker.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import anyio

from visavis.engine.portrait.image_type import image_type
from visavis.engine.portrait.points import SevenPoints
from visavis.engine.portrait.report import IMAGE_NAME, PREVIEW_NAME, PreparationReport, read_line
from visavis.errors import PortraitRefused, PreparationFailed

__all__ = ["IMAGE_NAME", "PREVIEW_NAME", "PreparationReport", "SevenPoints", "prepare_avatar", "prepare_avatar_async"]

# of the wall clock: two seconds of work may wait long on a busy machine, and a good photo must not be refused for that
TIMEOUT_S = 60.0
# What the worker may know of this process's environment: enough to start, and no secrets.
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
# arenas count against the address space
FRUGAL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
QUIET = {"GLOG_minloglevel": "3", "TF_CPP_MIN_LOG_LEVEL": "3"}


def prepare_avatar(
    image: bytes, out_dir: Path, *, points: SevenPoints | None = None, timeout_s: float = TIMEOUT_S
) -> PreparationReport:
    """Make the avatar pack of the person in `image` at `out_dir`, which must be absent or empty; afterwards it is a
    whole pack, or as it was.

    The pack holds what `bake` writes, `image.jpg` (the levelled, framed photo, at most 1200 px wide), `preview.jpg`
    (500 x 500) and `report.json`. `points` say where the face is; without them it is found. Blocks for about two
    seconds. Raises the PortraitRefused family: `code`, `message` and `suggestion` say what is wrong with the photo;
    FileExistsError; VisavisError when the fault is ours.
    """
    image_type(image)
    with _built_aside(out_dir) as folder, _as_file(image) as stdin:
        try:
            done = subprocess.run(
                _command(folder, points),
                stdin=stdin,
                capture_output=True,
                timeout=timeout_s,
                env=_environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _took_too_long() from None
        return _outcome(done.returncode, done.stdout, done.stderr)


async def prepare_avatar_async(
    image: bytes, out_dir: Path, *, points: SevenPoints | None = None, timeout_s: float = TIMEOUT_S
) -> PreparationReport:
    """As `prepare_avatar`, without blocking the event loop. When cancelled, the worker is killed and `out_dir` is as it
    was.
    """
    image_type(image)
    with _built_aside(out_dir) as folder, _as_file(image) as stdin:
        try:
            with anyio.fail_after(timeout_s):
                done = await anyio.run_process(_command(folder, points), stdin=stdin, env=_environment(), check=False)
        except TimeoutError:
            raise _took_too_long() from None
        return _outcome(done.returncode, done.stdout, done.stderr)


@contextmanager
def _as_file(image: bytes) -> Iterator[IO[bytes]]:
    """Give an unnamed file that holds `image`: unlike a pipe, it cannot break when the worker dies before it has read
    all.
    """
    with tempfile.TemporaryFile() as file:
        file.write(image)
        file.seek(0)
        yield file


@contextmanager
def _built_aside(out_dir: Path) -> Iterator[Path]:
    """Give a fresh folder beside `out_dir`; rename it into place (an empty folder there is replaced) if all goes well,
    else remove it.
    """
    if out_dir.exists() and any(out_dir.iterdir()):
        raise FileExistsError(f"{out_dir} is not empty")
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}-", dir=out_dir.parent))
    try:
        yield folder
        folder.chmod(0o755)
        folder.rename(out_dir)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _command(folder: Path, points: SevenPoints | None = None) -> list[str]:
    given = [] if points is None else [points.json()]
    return [sys.executable, "-P", "-m", "visavis.engine.portrait.worker", str(folder), *given]


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | FRUGAL | QUIET


def _took_too_long() -> PortraitRefused:
    return PortraitRefused(
        "The image took too long to work through", suggestion="Save the photo again, smaller, and send the new file"
    )


def _outcome(status: int, answer: bytes, complaint: bytes) -> PreparationReport:
    try:
        return read_line(answer.decode())
    except ValueError:
        if status < 0:  # ended by a signal: a limit was reached, or a decoder fell over the image
            raise PortraitRefused(
                "The image could not be worked through", suggestion="Save the photo again and send the new file"
            ) from None
        last_line = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise PreparationFailed(f"The portrait worker failed with status {status}: {last_line}") from None
