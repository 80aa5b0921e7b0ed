"""Tasks that fail alone."""

from __future__ import annotations

import asyncio

import anyio
import pytest
import structlog.testing

from visavis.sessions.isolated_tasks import IsolatedTasks

pytestmark = pytest.mark.anyio


async def test_a_task_that_fails_or_cancels_itself_stops_no_other() -> None:
    done: list[str] = []

    async def fail() -> None:
        raise ZeroDivisionError("a fault of ours")

    async def cancelled_by_nobody() -> None:
        never = asyncio.get_running_loop().create_future()
        never.cancel()
        await never

    async def work() -> None:
        await anyio.sleep(0.01)
        done.append("work")

    with structlog.testing.capture_logs() as logs:
        async with anyio.create_task_group() as group:
            tasks = IsolatedTasks(group)
            tasks.start("work", work)
            tasks.start("fail", fail, session_id="sess_1")
            tasks.start("cancelled", cancelled_by_nobody)
    assert done == ["work"]
    assert [(log["event"], log["task"], log.get("session_id")) for log in logs] == [
        ("task_failed", "fail", "sess_1"),
        ("task_cancelled_itself", "cancelled", None),
    ]


async def test_the_group_still_cancels_its_tasks() -> None:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            IsolatedTasks(group).start("forever", anyio.sleep_forever)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
