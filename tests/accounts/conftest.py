"""The service on both databases, and commands of `visavis` that run in this process: much quicker than in their own."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.conftest import Service, open_service
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


@pytest.fixture
async def service(tmp_path: Path, database_url: str) -> AsyncIterator[Service]:
    """The service with fakes, once on each database."""
    async with open_service(tmp_path, database_url=database_url) as opened:
        yield opened
