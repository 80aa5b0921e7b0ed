"""Lets `.ci/run` run again what has not passed: tests that failed, and those that a crashed worker left."""

from __future__ import annotations

from pathlib import Path

import pytest


class PassedBefore:
    """A plug-in of pytest: leaves out the tests that stand in a file, and adds those that pass or are skipped now."""

    def __init__(self, file: Path, *, writes: bool) -> None:
        self._file, self._writes = file, writes
        self._failed: set[str] = set()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        passed = set(self._file.read_text().splitlines()) if self._file.exists() else set()
        left_out = [item for item in items if item.nodeid in passed]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item.nodeid not in passed]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)
        if report.when == "teardown" and report.nodeid not in self._failed and self._writes:
            with self._file.open("a") as file:
                file.write(report.nodeid + "\n")
