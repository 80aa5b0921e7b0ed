"""Two browsers and a player that is not ours watch a session while its stages and its server are killed: the picture is
back within 3 s, and nobody has to reload.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e.browser import CHROMIUM, chromium
from tests.e2e.browser import opened_page as opened_in_chromium
from tests.e2e.firefox import FIREFOX, firefox
from tests.e2e.test_gstreamer import MISSING, PYTHON
from tests.faults.restarts import WITHIN_S, Place, Session, place
from tests.faults.scale import only_in_full
from tests.faults.test_viewers_come_back import LONGEST_GAP_MS, NOTE_FRAMES, busiest

pytestmark = [pytest.mark.anyio, pytest.mark.browser]
WATCHER = Path(__file__).parents[1] / "e2e" / "gstreamer_watcher.py"
KILLS = ("stage", "stage", "server", "stage", "server")
MORE_PICTURES = 50  # that each must show after a kill
MAX_GAP_S = 3.0


class Watcher(Protocol):
    name: str

    async def pictures(self) -> int:
        """Return how many it has shown."""
        ...

    async def longest_gap_s(self, since_s: float) -> float:
        """Return the longest time between two pictures that ended after an instant of `time.monotonic`."""
        ...


class PageWatcher:
    """The room page in a browser."""

    def __init__(self, name: str, page: object) -> None:
        self.name, self._page = name, page

    async def _evaluate(self, function: str, *arguments: object) -> float:
        found = await self._page.evaluate(function, *arguments)  # type: ignore[attr-defined]
        return float(found)

    async def pictures(self) -> int:
        return int(await self._evaluate("() => window.shownAt.length"))

    async def longest_gap_s(self, since_s: float) -> float:
        ago_ms = (time.monotonic() - since_s) * 1000
        since_ms = await self._evaluate("() => performance.now()") - ago_ms - 200
        return await self._evaluate(LONGEST_GAP_MS, since_ms) / 1000


class GStreamerWatcher:
    name = "GStreamer"

    def __init__(self) -> None:
        self._pictures = 0
        self._gaps: list[tuple[float, float]] = []  # when each ended, and how long it was

    async def read(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            told = json.loads(line)
            self._pictures = told.get("pictures", self._pictures)
            if "gap_s" in told:
                self._gaps.append((time.monotonic(), told["gap_s"]))

    async def pictures(self) -> int:
        return self._pictures

    async def longest_gap_s(self, since_s: float) -> float:
        return max((gap_s for at_s, gap_s in self._gaps if at_s >= since_s), default=0.0)


@asynccontextmanager
async def gstreamer(url: str, token: str) -> AsyncIterator[GStreamerWatcher]:
    process = await asyncio.create_subprocess_exec(PYTHON, str(WATCHER), f"{url}/whep", token, stdout=PIPE)
    assert process.stdout is not None
    watcher = GStreamerWatcher()
    reading = asyncio.create_task(watcher.read(process.stdout))
    try:
        yield watcher
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading


@asynccontextmanager
async def watchers(room: dict[str, str]) -> AsyncIterator[list[Watcher]]:
    """All watchers that this machine has, each with a picture."""
    address = f"{room['url']}#t={room['token']}"
    found: list[Watcher] = []
    async with AsyncExitStack() as stack:
        if CHROMIUM is not None:
            browser = await stack.enter_async_context(chromium())
            opened = opened_in_chromium(browser, address, expected="Failed to load resource", script=NOTE_FRAMES)
            found.append(PageWatcher("Chromium", await stack.enter_async_context(opened)))
        if FIREFOX is not None:
            other = await stack.enter_async_context(firefox())
            page = await stack.enter_async_context(other.opened_page(address, expected="", script=NOTE_FRAMES))
            found.append(PageWatcher("Firefox", page))
        if not MISSING:
            found.append(await stack.enter_async_context(gstreamer(room["url"], room["token"])))
        await until_all_show(found, [0] * len(found))
        yield found


async def until_all_show(watching: list[Watcher], before: list[int]) -> None:
    async with asyncio.timeout(WITHIN_S):
        for watcher, shown in zip(watching, before, strict=True):
            while await watcher.pictures() < shown + MORE_PICTURES:  # noqa: ASYNC110 (foreign processes tell nobody)
                await asyncio.sleep(0.1)


def stages_of(here: Place) -> list[int]:
    """Return the stage processes that use the data folder, whoever has started them."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if b"visavis.stage" in line and str(here.folder).encode() in line:
                found.append(int(entry.name))
    return found


@only_in_full
@pytest.mark.skipif(CHROMIUM is None and FIREFOX is None and bool(MISSING), reason="there is no player here")
async def test_the_picture_is_back_within_3_s_in_every_player(tmp_path: Path) -> None:
    gaps: dict[str, list[float]] = {}
    with place(tmp_path, VISAVIS_STAGES="", VISAVIS_SPARE_STAGE="true") as here:
        here.start()
        await here.ready()
        session = await Session.start(here)
        async with watchers(session.room) as watching:
            for what in KILLS:
                async with asyncio.timeout(WITHIN_S):
                    while len(stages_of(here)) < 2:  # noqa: ASYNC110 (until the spare stage is there)
                        await asyncio.sleep(0.1)
                here.stages |= set(stages_of(here))
                before, began_s = [await one.pictures() for one in watching], time.monotonic()
                if what == "stage":
                    os.kill(await busiest(stages_of(here)), signal.SIGKILL)
                else:
                    here.kill()
                    here.start()
                    await here.ready()
                await until_all_show(watching, before)
                for one in watching:
                    gaps.setdefault(f"{one.name}, {what}", []).append(round(await one.longest_gap_s(began_s), 2))
        print(f"\nlongest time without a picture, s: {gaps}")
        assert here.row(session.session_id)["status"] == "started"
        here.stages |= set(stages_of(here))
        await here.stop()
        await here.until_stages_end()
    assert max(max(each) for each in gaps.values()) <= MAX_GAP_S, gaps
