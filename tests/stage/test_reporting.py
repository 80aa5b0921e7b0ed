"""What the stage learns from its own use of the processor, second by second."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from visavis.stage import reporting
from visavis.stage.costs import CostModel
from visavis.stage.port.report import StageReport
from visavis.stage.reporting import JOINING_REPORTS, Reporting
from visavis.stage.session import StageSession

pytestmark = pytest.mark.anyio


async def test_the_seconds_in_which_a_viewer_joins_teach_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handshake takes as much as many seconds of watching: a burst of joins once tripled what viewers cost."""
    monkeypatch.setattr(reporting, "REPORT_EVERY_S", 0.0)
    learned: list[int] = []

    class Costs(CostModel):
        def learn(self, *_: object, **__: object) -> None:
            learned.append(len(reports) + 1)

    def no_sessions() -> Mapping[str, StageSession]:
        return {}

    reports: list[StageReport] = []
    enough = asyncio.Event()

    def take(report: StageReport) -> None:
        reports.append(report)
        if len(reports) == 10:
            own.viewer_joins()
        if len(reports) == 20:
            enough.set()

    own = Reporting(sessions=no_sessions, costs=Costs(), pacing=None)
    running = asyncio.create_task(own.run(take))
    await asyncio.wait_for(enough.wait(), 10)
    running.cancel()
    assert [number for number in range(1, 21) if number not in learned] == list(range(11, 12 + JOINING_REPORTS))
