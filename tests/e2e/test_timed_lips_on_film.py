"""The lips of speech with timings, on film: they close at every closure and at no vowel."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from visavis.library import DEFAULT_PORTRAIT

from .test_lips_on_film import MEASURE, SPEECH, tracker

__all__ = ["tracker"]  # the fixture

CLIP = "LJ001-0002"


@pytest.mark.shared
@pytest.mark.skipif(
    not (MEASURE.is_file() and SPEECH.is_dir()),
    reason="the recordings or the lip-sync measure of ../shared are missing",
)
def test_lips_follow_the_timings(tmp_path: Path, tracker: Path) -> None:
    film, phones = tmp_path / "film.mp4", SPEECH / f"{CLIP}.phones.tsv"
    render = [
        sys.executable,
        "-m",
        "visavis.cli",
        "render",
        "--avatar",
        str(DEFAULT_PORTRAIT.path),
        "--speech",
        str(SPEECH / f"{CLIP}.flac"),
    ]
    subprocess.run([*render, "--phones", str(phones), "--out", str(film)], check=True, capture_output=True)
    printed = subprocess.run(
        [str(tracker), str(MEASURE), str(film), "--phones", str(phones)], check=True, capture_output=True, text=True
    ).stdout
    figures = json.loads(printed.strip().splitlines()[-1])
    assert figures["closures"] >= 4 and figures["closure_recall"] == 1.0, figures
    assert figures["false_closure"] == 0.0 and figures["corr0"] >= 0.9 and abs(figures["offset_ms"]) <= 20, figures
