"""The meter saves once a second, whatever fails, on a virtual clock."""

from __future__ import annotations

from typing import Any, cast

import anyio
import structlog.testing

from tests.virtual_clock import run_virtually
from visavis.sessions.live_table import LiveTable
from visavis.sessions.meter import Meter
from visavis.store.usage import UsageStore


class Saves(Meter):
    """Notes when it saves. Fails while `works` is false."""

    def __init__(self) -> None:
        super().__init__(table=LiveTable({}), usage=cast(UsageStore, None))
        self.times_s: list[float] = []
        self.works = True

    async def save(self) -> None:
        self.times_s.append(anyio.current_time())
        if not self.works:
            raise OSError("database is locked")


def test_the_ledger_is_saved_every_second_and_a_failure_is_logged_once() -> None:
    meter = Saves()

    async def scenario() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meter.run)
            for works in (True, False, True, False):
                meter.works = works
                await anyio.sleep(3.0)
            tasks.cancel_scope.cancel()

    with structlog.testing.capture_logs() as logs:
        run_virtually(scenario)
    assert meter.times_s[:9] == [float(second) for second in range(1, 10)]
    assert [log["event"] for log in logs] == ["usage_not_saved", "usage_not_saved"]
    assert logs[0]["problem"] == "database is locked"


def test_without_sessions_nothing_is_written() -> None:
    class Refusing:
        async def save(self, *_arguments: Any) -> Any:
            raise AssertionError

    run_virtually(lambda: Meter(table=LiveTable({}), usage=cast(UsageStore, Refusing())).save())
