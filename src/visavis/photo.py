"""`visavis photo`: reports how suitable a photo is for an avatar, without a server."""

from __future__ import annotations

import tempfile
from pathlib import Path

from visavis.engine.pack.prepare import prepare_avatar


def print_report(photo: Path) -> None:
    """Print the report on a photo, warnings first. Raises `ImageRefused`."""
    with tempfile.TemporaryDirectory(prefix="visavis-") as folder:
        report = prepare_avatar(photo.read_bytes(), Path(folder) / "pack")
    print(f"{photo.name}: {report.verdict}; {report.photo_eye_distance_px:.0f} px between the eyes")
    for remark in sorted(report.remarks, key=lambda remark: remark.severity != "warning"):
        mark = "!" if remark.severity == "warning" else "?" if remark.kind == "guessed" else "-"
        advice = f" {remark.suggestion}." if remark.suggestion else ""
        print(f"  {mark} {remark.message}.{advice} [{remark.code}]")
