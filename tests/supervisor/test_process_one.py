"""A machine's supervisor as process 1 of a container."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import cast

import pytest

from visavis.supervisor import command
from visavis.supervisor.supervisor import Supervisor

pytestmark = pytest.mark.anyio

WITHIN_S = 10


async def test_as_process_1_it_reaps_orphans_as_long_as_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    reaps, ended = asyncio.Event(), asyncio.Event()

    class WatchedOrphans:
        async def run(self) -> None:
            reaps.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    class BriefSupervisor:
        def stop(self) -> None: ...

        async def run(self, announce: Callable[[], None]) -> None:
            await asyncio.wait_for(reaps.wait(), WITHIN_S)

    monkeypatch.setattr(command, "Orphans", WatchedOrphans)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    await command._supervise(cast(Supervisor, BriefSupervisor()))
    await asyncio.wait_for(ended.wait(), WITHIN_S)
