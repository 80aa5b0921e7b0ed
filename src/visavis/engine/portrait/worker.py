"""`python -m visavis.engine.portrait.worker DIR [POINTS]`: image bytes on stdin, a pack in the empty folder DIR, one
JSON line on stdout.

POINTS are seven places in the picture as json (points.py), of a face that is not to be looked for.

The one process in which an untrusted image is decoded and mediapipe is loaded. It lives for one photo, within limits on
memory, time and file size, and imports neither network nor service code. Exit status: 0 done, 3 refused (the line says
why), anything else a fault of ours or of the limits.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
from PIL import Image

from visavis.engine.portrait.examine import Examination, examine_photo
from visavis.engine.portrait.image_type import MAX_IMAGE_BYTES
from visavis.engine.portrait.points import read_points
from visavis.engine.portrait.quality import remarks_on_mouth
from visavis.engine.portrait.report import (
    IMAGE_NAME,
    PREVIEW_NAME,
    REPORT_NAME,
    PreparationReport,
    refusal_line,
    report_line,
)
from visavis.errors import PortraitRefused

REFUSED = 3
# address space; the largest photos that pass take 1.3 GB of it on 2 cores, and more cores reserve more
MEMORY_LIMIT_BYTES = 4 << 30
CPU_LIMIT_S = 60
FILE_LIMIT_BYTES = 128 << 20
BE_NICE = 10  # live sessions on the same machine go first; an upload takes what they leave


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


def save_examination(examination: Examination, folder: Path) -> PreparationReport:
    """Bake the pack and write it with its pictures; return the report, baking time included."""
    from visavis.engine.render.pack import bake  # imported late: a refused photo needs none of it

    began = time.perf_counter()
    pack = bake(examination.study)
    pack.save(folder)
    steps_ms = examination.report.steps_ms | {"bake": round((time.perf_counter() - began) * 1000, 1)}
    remarks = (*examination.report.remarks, *remarks_on_mouth(pack.parted, pack.teeth.size > 0))
    report = replace(examination.report, steps_ms=steps_ms, remarks=remarks)
    Image.fromarray(examination.study.picture).save(folder / IMAGE_NAME, quality=92, subsampling=0)
    Image.fromarray(examination.preview).save(folder / PREVIEW_NAME, quality=90)
    (folder / REPORT_NAME).write_text(report_line(report), encoding="utf-8")
    return report


def main() -> int:
    """Work through one photo. stdout is kept for the answer and stderr for our own tracebacks; the C++ libraries log to
    neither.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", buffering=1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    set_limits()
    cv2.setNumThreads(1)
    folder = Path(sys.argv[1])
    image = sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1)
    try:
        points = read_points(sys.argv[2]) if len(sys.argv) > 2 else None
        report = save_examination(examine_photo(image, points=points), folder)
    except PortraitRefused as refusal:
        print(refusal_line(refusal), file=answers, flush=True)
        return REFUSED
    print(report_line(report), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # all is written; taking mediapipe apart in order would cost another tenth of a second
