"""`visavis render --text`: a film of words, or an error with its code."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import av
import pytest
from anyio.to_thread import run_sync
from typer.testing import CliRunner

from tests.contract.test_command_codes import run_command
from tests.voice import test_endpoint as endpoints
from tests.voice.speech_server import RATE_HZ, SpeechServer, speech_server, spoken
from visavis import cli

pytestmark = pytest.mark.anyio


@pytest.fixture
async def speech(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SpeechServer]:
    async with speech_server() as opened:
        monkeypatch.setenv("VISAVIS_VOICE_URL", opened.url)
        monkeypatch.setenv("VISAVIS_VOICE_STALL_S", "0.5")
        yield opened


def film_of(text: str, out: Path, *options: str) -> list[str]:
    return ["render", "--avatar", "iris", "--text", text, "--out", str(out), "--size", "64x64", "--fps", "5", *options]


async def test_a_text_becomes_a_film_of_its_length(
    speech: SpeechServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "film.mp4"
    text = 'Hello **there**. <break time="500ms"/> How are you?'
    monkeypatch.setattr(sys, "argv", ["visavis", *film_of(text, out, "--voice", "nova", "--language", "en")])
    await run_sync(partial(cli.app, standalone_mode=False, args=sys.argv[1:]))
    assert speech.texts == ["Hello there.", "How are you?"]
    assert {request["voice"] for request in speech.requests} == {"nova"}
    with av.open(str(out)) as film:
        assert film.duration is not None
        seconds = sum(len(spoken(part)) for part in speech.texts) / RATE_HZ + 0.5
        assert film.duration / 1e6 == pytest.approx(seconds, abs=0.25)


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [(endpoints.refuse, "VOICE_FAILED"), (endpoints.never, "VOICE_TIMED_OUT"), (endpoints.busy_for_long, "VOICE_BUSY")],
)
async def test_a_text_that_cannot_be_spoken_is_told(
    behaviour: object,
    code: str,
    speech: SpeechServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    speech.otherwise = behaviour  # type: ignore[assignment]
    out = tmp_path / "film.mp4"
    error = await run_sync(partial(run_command, monkeypatch, capsys, *film_of("Hello.", out)))
    assert f"[{code}]" in error and not out.exists()


def test_without_a_synthesiser_there_is_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VISAVIS_VOICE_URL", "")
    error = run_command(monkeypatch, capsys, *film_of("Hello.", tmp_path / "film.mp4"))
    assert "[SETTING_INVALID]" in error and "VISAVIS_VOICE_URL" in error


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--text", "a", "--speech", __file__],
        ["--text", "a", "--pcm-rate", "8000"],
        ["--speech", __file__, "--voice", "b"],
    ],
)
def test_options_that_do_not_belong_together_are_refused(options: list[str], tmp_path: Path) -> None:
    arguments = ["render", "--avatar", "iris", "--out", str(tmp_path / "film.mp4"), *options]
    result = CliRunner(env={"COLUMNS": "400", "NO_COLOR": "1"}).invoke(cli.app, arguments)
    assert result.exit_code == 2 and ("--text" in result.output or "--speech" in result.output)
