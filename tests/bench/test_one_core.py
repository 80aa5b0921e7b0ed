"""The benchmarks of one core, with little to do: what they print is what they did."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from visavis.bench import pipeline, render
from visavis.cli import app
from visavis.engine.audio.files import read_speech
from visavis.engine.motion.frame import MotionFrame
from visavis.library import SAMPLE
from visavis.library.prepared import FOLDER

SMALL = (64, 64)
SPOKEN_S = 3


@functools.cache
def few_frames() -> list[MotionFrame]:
    return render.speaking_motion()[:5]


def prepared_before(_photo: bytes, folder: Path) -> None:
    """Give the pack that the library has of the photo."""
    shutil.copytree(FOLDER / "iris", folder)


@pytest.fixture(autouse=True)
def little_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, (sound, rate_hz) = few_frames(), read_speech(SAMPLE)
    monkeypatch.setattr(render, "speaking_motion", lambda: frames)
    monkeypatch.setattr(pipeline, "read_speech", lambda _: (sound[: SPOKEN_S * rate_hz], rate_hz))
    monkeypatch.setattr(pipeline, "prepare_avatar", prepared_before)
    for bench in (render, pipeline):
        monkeypatch.setattr(bench, "SIZES", (SMALL, (128, 64)))
    monkeypatch.setattr(render, "PASSES", 1)
    monkeypatch.setattr(pipeline, "RUNS", 2)
    monkeypatch.setattr(pipeline, "IDLE_S", 0.4)
    monkeypatch.setattr(pipeline, "ROUNDS", 1)


def invoked(*arguments: str) -> Result:
    result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, ["bench", *arguments])
    assert result.exit_code == 0, result.output
    return result


def test_rendering_is_measured_at_every_size() -> None:
    record = json.loads(invoked("render", "--json").output)
    assert (record["benchmark"], record["frames"]) == ("render", 5)
    assert list(record["sizes"]) == ["64x64", "128x64"]
    for figures in record["sizes"].values():
        assert figures["fps"] * figures["frame_ms"] == pytest.approx(1000, rel=0.02)
        assert min(figures["eyes_ms"], figures["fields_ms"], figures["warp_ms"], figures["mouth_ms"]) > 0
    assert record["render_fps_per_core"] == record["sizes"]["64x64"]["fps"]


def test_the_pipeline_is_measured_from_speech_to_encoded_media() -> None:
    record = json.loads(invoked("pipeline", "--json").output)
    assert record["frames"] == pytest.approx(SPOKEN_S * 25, abs=25)
    assert all(record[f"{step}_ms"] > 0 for step in ("speech_to_motion", "face", "render", "vp8", "opus"))
    assert record["cost_ratio"] > 1
    least, most = record["pipeline_fps_spread"]
    assert 0 < least <= record["pipeline_fps_per_core"] <= most
    assert record["video_kbps"] > 0 and record["idle_fps_per_core"] > 0
    assert list(record["sizes"]) == ["64x64", "128x64"]


def test_without_json_they_are_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "prepare_avatar", prepared_before)
    table = invoked("render").output
    assert "Rendering 5 frames of speech" in table and "64x64" in table and "frames a second per core" in table
    table = invoked("pipeline").output
    assert "speech to motion" in table and "128x64:" in table and "in silence" in table
    assert "times what encoding alone takes" in table
