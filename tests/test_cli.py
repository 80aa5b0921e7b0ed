"""The command line refuses invalid options before it begins long work."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from visavis.cli import app
from visavis.library import SAMPLE

COMMANDS = {
    "render": ["render", "--avatar", "photo.jpg", "--speech", str(SAMPLE)],
    "watch": ["watch", "--whep", "http://127.0.0.1:9/rooms/none/whep", "--seconds", "1"],
    "demo": ["demo", "--once"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("out", "message"), [("missing/film.mp4", "there is no folder"), ("", "is a folder")])
def test_a_film_that_cannot_be_written_is_refused_before_the_work(
    command: str, out: str, message: str, tmp_path: Path
) -> None:
    result = CliRunner(env={"COLUMNS": "400", "NO_COLOR": "1"}).invoke(
        app, [*COMMANDS[command], "--out", str(tmp_path / out)]
    )
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("size", ["100", "512x", "63x64", "1922x64", "101x100"])
def test_a_size_that_cannot_be_rendered_is_refused(size: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*COMMANDS["render"], "--out", str(tmp_path / "film.mp4"), "--size", size])
    assert result.exit_code == 2
