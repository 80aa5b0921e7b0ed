"""The pages in a real Firefox: the room page plays the session, and the playground speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.e2e.browser import BARRIERS, RECEIVED, WATCH
from tests.e2e.firefox import FIREFOX, Firefox, Page, firefox
from tests.e2e.wire_session import receive, running_session, speak
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient
from visavis.library import SAMPLE
from visavis.stage.pace import PACES

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(FIREFOX is None, reason="there is no Firefox on this machine"),
]

# Returns the steps in RTP time (90 kHz) between 60 pictures that are shown. A picture that is missed makes a long step.
RTP_STEPS = """
async () => {
  const [connection] = window.connections.slice(-1);
  const receiver = connection.getReceivers().find((one) => one.track.kind === "video");
  const read = () => receiver.getSynchronizationSources()[0].rtpTimestamp;
  const steps = [];
  for (let before = read(); steps.length < 60; ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const now = read();
    if (now !== before) steps.push((now - before) >>> 0);
    before = now;
  }
  return steps;
}
"""
TICKS = 3600  # of RTP time from picture to picture, at 25 a second
TICKS_WHEN_BUSY = [int(TICKS / pace) for pace in PACES]  # a busy machine shows fewer a second
WINDOWS = 5  # of 60 pictures
STATUS_IS = "(wanted) => document.querySelector('.chip [role=status]')?.textContent === wanted"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Firefox]:
    async with firefox() as running:
        yield running


def whole_pictures(most: int) -> set[int]:
    """Return the steps up to `most` that some pictures make, each at one of the paces."""
    reached = {0}
    for step in range(1, most + 1):
        if any(step - ticks in reached for ticks in TICKS_WHEN_BUSY):
            reached.add(step)
    return reached


async def assert_smooth(page: Page, http: httpx.AsyncClient) -> None:
    """See that pictures are shown at the times of the pace that the server tells. A busy machine leaves some out, and
    looks late: then some steps are longer, but not all.
    """

    async def ticks() -> int:
        capacity = (await http.get("/v1/capacity")).json()["capacity"]
        return round(TICKS * 25 / float(capacity["frame_rate"]))

    paces, seen = {await ticks()}, list[int]()
    for _ in range(WINDOWS):
        steps: list[int] = await page.evaluate(RTP_STEPS)
        paces.add(await ticks())
        seen += steps
        assert set(steps) <= whole_pictures(max(steps)), steps
        if not paces.isdisjoint(steps):
            return
    raise AssertionError(f"no two pictures follow each other at any pace of {paces}: {seen}")


async def test_the_room_page_plays_pictures_and_sound(
    server: LiveServer, sessions: SessionClient, browser: Firefox, http: httpx.AsyncClient
) -> None:
    async with running_session(server, sessions, "playback") as (session, channel):
        room = session["daily_room"]
        async with browser.opened_page(f"{room['url']}#t={room['token']}") as page:
            await page.until("() => document.querySelector('#room')?.dataset.state === 'live'")
            idle = await page.evaluate(WATCH, 25)
            quiet = await page.evaluate(RECEIVED)
            await assert_smooth(page, http)
            await speak(channel, SAMPLE, "sample")
            assert (await receive(channel))["type"] == "agent.playback.started"
            talking = await page.evaluate(WATCH, 50)
            loud = await page.evaluate(RECEIVED)
            assert await page.evaluate(BARRIERS) == []
    assert (talking["width"], talking["height"]) == (512, 512)
    assert max(idle["differences"]) > 0, "the resting face is a still picture"
    assert max(talking["differences"]) > 0.5
    assert quiet["audio"]["audioEnergy"] < 1e-4 < loud["audio"]["audioEnergy"]


async def test_the_playground_greets_and_speaks(server: LiveServer, browser: Firefox, http: httpx.AsyncClient) -> None:
    async with browser.opened_page(server.sign_in_address()) as page:
        await page.until("() => document.querySelector('.player')?.dataset.shown === 'true'")
        await page.until(f"() => ({STATUS_IS})('Speaking')")  # the greeting
        await assert_smooth(page, http)
        assert (await page.evaluate(RECEIVED))["audio"]["audioEnergy"] > 1e-4
