"""The stage of a session is killed while its room page watches in a real Chromium: the picture comes back by itself,
the channel stays open, and the rest of the speech is heard.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from tests.e2e.browser import CHROMIUM, chromium, opened_page
from tests.e2e.conftest import anyio_backend, http, sessions
from tests.e2e.wire_session import receive, running_session, speak
from tests.faults.scale import FULL
from tests.faults.waiting import until
from tests.live_server import LiveServer
from tests.processes import children
from tests.used_folder import used_before
from visavis.demo.server_process import ServerProcess
from visavis.demo.session_client import SessionClient
from visavis.library import SAMPLE

__all__ = ["anyio_backend", "http", "sessions"]  # the fixtures of a real server

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
TIMEOUT_MS = 30_000
KILLS = 5 if FULL else 1
MAX_GAP_S = 3.0

# Notes when each frame is shown, and every state of the page.
NOTE_FRAMES = """
window.shownAt = [];
window.states = [];
addEventListener("DOMContentLoaded", () => {
  const video = document.querySelector("video");
  const look = () => { window.shownAt.push(performance.now()); video.requestVideoFrameCallback(look); };
  video.requestVideoFrameCallback(look);
  const room = document.querySelector("#room");
  new MutationObserver(() => window.states.push(room.dataset.state)).observe(room, { attributeFilter: ["data-state"] });
});
"""
LONGEST_GAP_MS = """
(sinceMs) => {
  const times = window.shownAt.filter((at) => at >= sinceMs);
  return Math.max(0, ...times.slice(1).map((at, k) => at - times[k]));
}
"""


async def busiest(pids: list[int]) -> int:
    """Return the process that has taken most processor time in a second: the stage that performs."""

    def ticks(pid: int) -> int:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])

    before = {pid: ticks(pid) for pid in pids}
    await asyncio.sleep(1)
    return max(pids, key=lambda pid: ticks(pid) - before[pid])


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    settings = {"VISAVIS_SPARE_STAGE": "true"}  # as a server has it
    with ServerProcess(data_dir=used_before(folder / "data"), log=folder / "log", settings=settings) as running:
        running.wait_ready()
        yield running
        assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture(scope="module")
def server(process: ServerProcess) -> LiveServer:
    key = process.create_key("tests")
    with httpx.Client(base_url=process.base_url, headers={"x-api-key": key}) as client:
        character = client.get("/v1/avatars/public").json()["avatars"][0]["avatar_id"]
        looks = client.get("/v1/avatars", params={"parent_id": character, "characters_only": "false"}).json()
    return LiveServer(base_url=process.base_url, key=key, look=looks["avatars"][0]["avatar_id"], process=process)


async def test_the_room_page_comes_back_without_a_reload(
    process: ServerProcess, server: LiveServer, sessions: SessionClient, tmp_path: Path
) -> None:
    async with (
        chromium() as browser,
        running_session(server, sessions, "playback") as (session, channel),
    ):
        room = session["daily_room"]
        url = f"{room['url']}#t={room['token']}"
        async with opened_page(browser, url, expected="Failed to load resource", script=NOTE_FRAMES) as page:
            await expect(page.locator("#room")).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
            gaps_s = []
            for number in range(KILLS):
                await speak(channel, SAMPLE, f"u{number}")
                while (await receive(channel))["type"] != "agent.playback.started":
                    pass
                began_ms = await page.evaluate("performance.now()")
                began_s = time.monotonic()
                if FULL:  # until the spare stage is there
                    pids = partial(children, process.pid, "visavis.stage")
                    await until(lambda: len(pids()) >= 2, seen=pids)  # noqa: B023  it is used at once
                os.kill(await busiest(children(process.pid, "visavis.stage")), signal.SIGKILL)
                message = await receive(channel)
                while message["type"] != "agent.playback.finished":
                    message = await receive(channel)
                assert (message["utterance_id"], message["interrupted"]) == (f"u{number}", False)
                await page.wait_for_function(
                    "(n) => window.shownAt.length > n + 25", arg=await page.evaluate("window.shownAt.length")
                )
                gaps_s.append(await page.evaluate(LONGEST_GAP_MS, began_ms - 100) / 1000)
                print(f"picture gone for {gaps_s[-1]:.2f} s, finished after {time.monotonic() - began_s:.2f} s")
                await expect(page.locator("#room")).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
            states = await page.evaluate("window.states")
            assert "refused" not in states and "ended" not in states
            if FULL:
                assert max(gaps_s) <= MAX_GAP_S, gaps_s
                assert set(states) <= {"connecting", "live"}, "no error is shown"
        await sessions.read(session["session_id"], "started")
