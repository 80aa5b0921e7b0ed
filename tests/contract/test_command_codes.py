"""The codes that only commands print: one line on stderr and exit status 1."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.fakes import FakeFleet, fake_prepare
from visavis import cli
from visavis.demo.contract import check
from visavis.demo.server_process import ServerProcess
from visavis.errors import ContractBroken, ServerFailed, ServerNotStarted
from visavis.server import RunningServer
from visavis.settings import Settings


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        yield port


def run_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command in this process; return its output on stderr."""
    monkeypatch.setattr(sys, "argv", ["visavis", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_an_invalid_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("VISAVIS_RATE_LIMIT_PER_MINUTE", "none")
    error = run_command(monkeypatch, capsys, "keys", "list")
    assert error.startswith("visavis: VISAVIS_RATE_LIMIT_PER_MINUTE: ")
    assert error.endswith(" [SETTING_INVALID]\n")


def test_a_data_folder_that_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").write_text("no folder")
    monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path / "data"))
    error = run_command(monkeypatch, capsys, "serve", "--port", "0")
    assert error == (
        f"visavis: The data folder {tmp_path / 'data'} cannot be used: File exists [DATA_FOLDER_UNUSABLE] "
        "Set VISAVIS_DATA_DIR.\n"
    )


def test_an_unknown_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["visavis", "keys", "create", "--name", "one"])
    with contextlib.suppress(SystemExit):
        cli.main()
    capsys.readouterr()
    error = run_command(monkeypatch, capsys, "keys", "revoke", "key_0")
    assert error == "visavis: There is no key 'key_0' [KEY_NOT_FOUND] `visavis keys list` prints the ids.\n"


def test_a_file_that_is_not_a_sound_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "speech.wav").write_text("no sound")
    error = run_command(
        monkeypatch, capsys, "motion", "--speech", str(tmp_path / "speech.wav"), "--out", str(tmp_path / "m.csv")
    )
    assert error == (
        "visavis: speech.wav is not a sound file that can be read [AUDIO_UNREADABLE] "
        "Use WAV, FLAC, OGG, MP3, M4A or WebM.\n"
    )


def test_a_server_that_does_not_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, secret=SecretStr("short"), log_level="error")
    with (
        pytest.raises(ServerNotStarted) as failed,
        RunningServer(settings, fleet=FakeFleet(), prepare=fake_prepare),
    ):
        raise AssertionError("it started")
    assert failed.value.code == "SERVER_NOT_STARTED"


def test_the_demos_server_fails_if_its_port_is_in_use(taken_port: int) -> None:
    with pytest.raises(ServerFailed, match="Cannot listen on") as failed, ServerProcess(port=taken_port):
        raise AssertionError("it started")
    assert failed.value.code == "SERVER_FAILED"


def test_the_demo_fails_at_an_unexpected_answer() -> None:
    with pytest.raises(ContractBroken, match="has the keys b instead of a") as broken:
        check("an answer", {"b": 1}, {"a": int})
    assert broken.value.code == "CONTRACT_BROKEN"
