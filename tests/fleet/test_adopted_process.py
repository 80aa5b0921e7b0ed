"""A process of another server is killed and waited for, also on a system where nothing but its id names it."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from visavis.fleet.adopted_process import AdoptedProcess

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["descriptor", "id"], autouse=True)
def _named_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "id":
        monkeypatch.delattr(os, "pidfd_open", raising=False)


async def test_it_is_killed_and_waited_for() -> None:
    child = await asyncio.create_subprocess_exec("sleep", "60")
    adopted = AdoptedProcess(child.pid)
    waiting = [asyncio.create_task(adopted.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    assert adopted.returncode is None
    adopted.kill()
    assert await child.wait() == -signal.SIGKILL
    assert await asyncio.gather(*waiting) == [0, 0] and adopted.returncode == 0
    with pytest.raises(ProcessLookupError):
        adopted.kill()


async def test_one_that_has_ended_is_not_adopted() -> None:
    child = await asyncio.create_subprocess_exec("true")
    await child.wait()
    with pytest.raises(ProcessLookupError):
        AdoptedProcess(child.pid)
