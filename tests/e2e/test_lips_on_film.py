"""The lips on film: recordings of a voice that was not in the training data are rendered, and the lips are measured in
the pictures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tools.mediapipe import environment
from visavis.library import DEFAULT_PORTRAIT

SHARED = Path(__file__).parents[3] / "shared"
MEASURE = SHARED / "lipsync" / "measure.py"
SPEECH = SHARED / "speech" / "lj"
CLIPS = ("LJ001-0001", "LJ001-0006")  # twelve closures, thirteen open vowels

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(
        not (MEASURE.is_file() and SPEECH.is_dir()),
        reason="the recordings or the lip-sync measure of ../shared are missing",
    ),
]


def film_figures(clip: str, folder: Path, tracker: Path) -> dict[str, float]:
    """Render a clip with the command line, and return the film's figures by the lip-sync measure. `tracker`: a Python
    that has mediapipe.
    """
    film = folder / f"{clip}.mp4"
    render = [sys.executable, "-m", "visavis.cli", "render", "--avatar", str(DEFAULT_PORTRAIT.path)]
    subprocess.run(
        [*render, "--speech", str(SPEECH / f"{clip}.flac"), "--out", str(film)], check=True, capture_output=True
    )
    measure = [str(tracker), str(MEASURE), str(film), "--phones", str(SPEECH / f"{clip}.phones.tsv")]
    printed = subprocess.run(measure, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(printed.strip().splitlines()[-1])
    return figures


@pytest.fixture(scope="module")
def tracker() -> Path:
    try:
        return environment.prepare()
    except (FileNotFoundError, subprocess.SubprocessError) as error:
        pytest.skip(f"the environment of mediapipe cannot be made: {error}")


@pytest.fixture(scope="module")
def figures(tracker: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    return [film_figures(clip, tmp_path_factory.mktemp("film"), tracker) for clip in CLIPS]


def over_all(figures: list[dict[str, float]], name: str, counted: str) -> float:
    """Return the mean of a share, weighted by the number of sounds in each clip, which is the figure `counted`."""
    return sum(one[name] * one[counted] for one in figures if one[counted]) / sum(one[counted] for one in figures)


def test_the_face_is_found_in_every_picture(figures: list[dict[str, float]]) -> None:
    assert all(one["face_found"] == 1.0 and one["frames"] > 40 for one in figures), figures


def test_lips_close_for_bilabials_and_open_for_open_vowels(figures: list[dict[str, float]]) -> None:
    assert sum(one["closures"] for one in figures) >= 10 and sum(one["openings"] for one in figures) >= 10, figures
    assert over_all(figures, "closure_recall", "closures") >= 0.8, figures
    assert over_all(figures, "opening_recall", "openings") >= 0.85, figures
    assert over_all(figures, "false_closure", "vowels") <= 0.1, figures


def test_lips_are_closed_in_silence(figures: list[dict[str, float]]) -> None:
    silent = [one["silence_closed"] for one in figures if np.isfinite(one["silence_closed"])]
    assert silent and min(silent) >= 0.95, figures


def test_lips_round_for_rounded_vowels(figures: list[dict[str, float]]) -> None:
    assert np.mean([one["rounding_d"] for one in figures]) >= 1.0, figures


def test_lips_move_with_the_sound(figures: list[dict[str, float]]) -> None:
    assert all(abs(one["offset_ms"]) <= 20 for one in figures), figures
    assert all(one["corr0"] >= 0.5 for one in figures), figures
