"""Tells where the time of a whole run of tests goes: the files of tests that took the most processor time."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass

import pytest

SHOWN = 40
TAKEN = "processor_s"  # of the property of a report


@dataclass(slots=True)
class Taken:
    tests: int = 0
    wall_s: float = 0.0
    processor_s: float = 0.0


class SecondsByFile:
    """A plug-in of pytest. The process that runs a test tells what it and the children that it has waited for took
    since the last test; the process that hears of all tests adds that up.
    """

    def __init__(self) -> None:
        self._before_s = _processor_s()
        self._files: dict[str, Taken] = defaultdict(Taken)

    def pytest_collection_finish(self) -> None:
        self._before_s = _processor_s()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        now_s = _processor_s()
        report.user_properties.append((TAKEN, now_s - self._before_s))
        self._before_s = now_s
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        taken = self._files[report.nodeid.partition("::")[0]]
        taken.tests += report.when == "call"
        taken.wall_s += report.duration
        taken.processor_s += sum(float(str(seconds)) for name, seconds in report.user_properties if name == TAKEN)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        ordered = sorted(self._files.items(), key=lambda file: -file[1].processor_s)
        sums = Taken(
            tests=sum(taken.tests for _, taken in ordered),
            wall_s=sum(taken.wall_s for _, taken in ordered),
            processor_s=sum(taken.processor_s for _, taken in ordered),
        )
        terminalreporter.section(f"files that took the most processor time, {SHOWN} of {len(ordered)}")
        terminalreporter.line("processor s  wall s  tests  (of a server that goes on, where it ends)")
        for name, taken in [("all files", sums), *ordered[:SHOWN]]:
            terminalreporter.line(f"{taken.processor_s:11.1f} {taken.wall_s:7.1f} {taken.tests:6}  {name}")


def _processor_s() -> float:
    """Return the processor time of this process and of the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
