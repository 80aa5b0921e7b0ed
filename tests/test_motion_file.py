"""`visavis motion`: the motion of a recording as a file that a game engine can read."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
from typer.testing import CliRunner

from visavis.cli import app
from visavis.engine.errors import PhonesUnreadable
from visavis.engine.motion.arkit_names import ARKIT
from visavis.errors import InvalidRequest
from visavis.library import SAMPLE
from visavis.motion_file import write_motion

SECONDS = 1.2


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples, rate_hz = soundfile.read(SAMPLE, frames=int(soundfile.info(SAMPLE).samplerate * SECONDS))
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    soundfile.write(path, samples, rate_hz)
    return path


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phones") / "phones.tsv"
    path.write_text("# comments and words are ignored\n0.0\t0.4\tM\tword\n\n0.4\t0.8\tAA1\n0.8\t1.2\tP\n")
    return path


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_json_line_is_a_frame_with_its_time(speech: Path, phones: Path, tmp_path: Path) -> None:
    out = tmp_path / "motion.jsonl"
    assert (
        CliRunner()
        .invoke(app, ["motion", "--speech", str(speech), "--out", str(out), "--phones", str(phones), "--fps", "60"])
        .exit_code
        == 0
    )
    frames = lines_of(out)
    assert len(frames) == 72 and [frame["time_s"] for frame in frames[::6]] == [round(k / 10, 6) for k in range(12)]
    assert list(frames[0]["coefficients"]) == list(ARKIT) and set(frames[0]["head"]) == {
        "yaw_deg",
        "pitch_deg",
        "roll_deg",
    }
    gaps = [frame["coefficients"]["jawOpen"] - frame["coefficients"]["mouthClose"] for frame in frames]
    assert gaps[12] == 0 and gaps[36] > 0.4 and gaps[60] == 0
    assert all(0 <= value <= 1 for frame in frames for value in frame["coefficients"].values())


def test_csv_contains_the_same_values(speech: Path, phones: Path, tmp_path: Path) -> None:
    for name in ("motion.csv", "motion.jsonl"):
        assert write_motion(speech=speech, out=tmp_path / name, fps=25, phones=phones, alphabet="arpabet", seed=3) == 30
    rows = list(csv.DictReader((tmp_path / "motion.csv").read_text().splitlines()))
    for row, frame in zip(rows, lines_of(tmp_path / "motion.jsonl"), strict=True):
        assert {name: float(value) for name, value in row.items()} == {
            "time_s": frame["time_s"],
            **frame["coefficients"],
            **frame["head"],
        }


def test_without_phones_the_mouth_moves_and_the_same_seed_gives_the_same_motion(speech: Path, tmp_path: Path) -> None:
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        write_motion(speech=speech, out=tmp_path / f"{name}.jsonl", seed=seed)
    first, again, other = (lines_of(tmp_path / f"{name}.jsonl") for name in ("first", "again", "other"))
    assert first == again != other
    assert max(frame["coefficients"]["jawOpen"] for frame in first) > 0.2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0.0\t0.4\tM\n0.4\t0.8\tXQ\n", "line 2: 'XQ' is not a symbol of arpabet"),
        ("0.0\tx\tM\n", "line 1: it must be start_s"),
        ("# a\n0.0\t9.0\tM\n", "line 2: it ends at 9000 ms"),
        ("0.5\t0.6\tM\n0.0\t0.5\tM\n", "line 2: it starts at 0 ms"),
    ],
)
def test_an_error_in_a_file_of_phones_names_its_line(speech: Path, tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "phones.tsv"
    path.write_text(text)
    with pytest.raises(PhonesUnreadable, match=why):
        write_motion(speech=speech, out=tmp_path / "motion.csv", phones=path)
    assert list(tmp_path.iterdir()) == [path]


def test_other_suffixes_are_refused(speech: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="must end in"):
        write_motion(speech=speech, out=tmp_path / "motion.fbx")
