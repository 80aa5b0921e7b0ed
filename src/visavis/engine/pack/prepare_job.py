"""The job for a photo: study it, bake a pack, and write the pack and its pictures into a folder."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import cv2
from PIL import Image

from visavis.engine.portrait.examine import Examination, examine_photo
from visavis.engine.portrait.points import SevenPoints
from visavis.engine.portrait.quality import MOUTH_COVERED, remarks_on_mouth
from visavis.engine.portrait.report import (
    IMAGE_NAME,
    PREVIEW_NAME,
    REPORT_NAME,
    PreparationReport,
    write_report,
)


def run(image: bytes, arguments: list[str]) -> bytes:
    """Return the report on the photo, as JSON. `arguments`: the empty folder for the pack, and the seven points if they
    are given. Raises ImageRefused.
    """
    cv2.setNumThreads(1)
    folder, *given = arguments
    points = SevenPoints.from_plain(given[0]) if given else None
    report = save_examination(examine_photo(image, points=points), Path(folder))
    return write_report(report).encode()


def save_examination(examination: Examination, folder: Path) -> PreparationReport:
    """Bake the pack and write it with its pictures; return the report, baking time included."""
    from visavis.engine.pack.bake import bake  # imported here because a refused photo does not need it

    began = time.perf_counter()
    pack = bake(examination.study)
    pack.save(folder)
    steps_ms = examination.report.steps_ms | {"bake": round((time.perf_counter() - began) * 1000, 1)}
    said = examination.report.remarks
    covered = any(remark.code == MOUTH_COVERED for remark in said)
    remarks = (*said, *remarks_on_mouth(pack.parted, pack.teeth.size > 0, covered=covered))
    report = replace(examination.report, steps_ms=steps_ms, remarks=remarks)
    Image.fromarray(examination.study.picture).save(folder / IMAGE_NAME, quality=92, subsampling=0)
    Image.fromarray(examination.preview).save(folder / PREVIEW_NAME, quality=90)
    (folder / REPORT_NAME).write_text(write_report(report), encoding="utf-8")
    return report
