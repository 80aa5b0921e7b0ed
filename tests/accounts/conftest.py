"""Runs commands of `visavis` in this process, which is much quicker than in one of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from visavis import cli

Visavis = Callable[..., list[str]]


@pytest.fixture
def visavis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Visavis:
    """Run a command with the data folder `tmp_path`; return the lines that it prints, those on stderr last."""
    monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["visavis", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit):
            cli.main()
        printed = capsys.readouterr()
        return (printed.out + printed.err).splitlines()

    return run
