"""Measures the lips on rendered film: `visavis render` renders every clip, and a lip-sync measure tracks the face.

    python -m training.evaluate_film --portrait PHOTO --clips FOLDER --measure measure.py

FOLDER is the same as for training.evaluate. `measure.py FILM --phones TSV` prints one JSON object; it runs in the
environment of mediapipe (tools/mediapipe). Figures of COUNTED are weighted by their counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tools.mediapipe import environment

from .evaluate import speech_of

COUNTED = {"closure_recall": "closures", "opening_recall": "openings", "false_closure": "vowels"}
AVERAGED = ("silence_closed", "rounding_d", "gap_p90", "corr0", "corr_best", "offset_ms", "face_found", "nose_jitter")


def measure_clip(portrait: Path, speech: Path, phones: Path, measure: Path, film: Path) -> dict[str, float]:
    """Return the figures of one clip. Raises CalledProcessError if a step fails."""
    visavis = [sys.executable, "-m", "visavis.cli"]
    subprocess.run(
        [*visavis, "render", "--avatar", str(portrait), "--speech", str(speech), "--out", str(film)],
        check=True,
        capture_output=True,
    )
    out = subprocess.run(
        [environment.prepare(), measure, film, "--phones", phones], check=True, capture_output=True, text=True
    ).stdout
    return json.loads(out.strip().splitlines()[-1])


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--portrait", type=Path, required=True)
    options.add_argument("--clips", type=Path, required=True)
    options.add_argument("--measure", type=Path, required=True)
    options.add_argument("--keep", type=Path, help="folder for the films")
    a = options.parse_args()
    figures: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = a.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for phones in sorted(a.clips.glob("*.phones.tsv")):
            name = phones.name.removesuffix(".phones.tsv")
            figures.append(measure_clip(a.portrait, speech_of(phones), phones, a.measure, folder / f"{name}.mp4"))
            print(name, json.dumps(figures[-1]), flush=True)
    for key, count in COUNTED.items():
        hits = [(one[key] * one[count], one[count]) for one in figures if one[count]]
        print(
            f"{key:16s} {sum(h for h, _ in hits) / max(1, sum(n for _, n in hits)):8.3f}  of {sum(n for _, n in hits)}"
        )
    for key in AVERAGED:
        values = [one[key] for one in figures if key in one and np.isfinite(one[key])]
        print(f"{key:16s} {np.mean(values) if values else float('nan'):8.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
