"""The pages in a real Firefox: the room page plays the session, and the playground speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.e2e.browser import BARRIERS, RECEIVED, WATCH
from tests.e2e.firefox import FIREFOX, Firefox, firefox
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
TICKS_WHEN_BUSY = [TICKS / pace for pace in PACES]  # a busy machine shows fewer a second
STATUS_IS = "(wanted) => document.querySelector('.chip [role=status]')?.textContent === wanted"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Firefox]:
    async with firefox() as running:
        yield running


def assert_at_25_fps(steps: list[int]) -> None:
    """A busy machine leaves pictures out, so that some steps are longer."""
    assert all(any(step % ticks == 0 for ticks in TICKS_WHEN_BUSY) for step in steps) and TICKS in steps, steps


async def test_the_room_page_plays_pictures_and_sound(
    server: LiveServer, sessions: SessionClient, browser: Firefox
) -> None:
    async with running_session(server, sessions, "playback") as (session, channel):
        room = session["daily_room"]
        async with browser.opened_page(f"{room['url']}#t={room['token']}") as page:
            await page.until("() => document.querySelector('#room')?.dataset.state === 'live'")
            idle = await page.evaluate(WATCH, 25)
            quiet = await page.evaluate(RECEIVED)
            assert_at_25_fps(await page.evaluate(RTP_STEPS))
            await speak(channel, SAMPLE, "sample")
            assert (await receive(channel))["type"] == "agent.playback.started"
            talking = await page.evaluate(WATCH, 50)
            loud = await page.evaluate(RECEIVED)
            assert await page.evaluate(BARRIERS) == []
    assert (talking["width"], talking["height"]) == (512, 512)
    assert max(idle["differences"]) > 0, "the resting face is a still picture"
    assert max(talking["differences"]) > 0.5
    assert quiet["audio"]["audioEnergy"] < 1e-4 < loud["audio"]["audioEnergy"]


async def test_the_playground_greets_and_speaks(server: LiveServer, browser: Firefox) -> None:
    async with browser.opened_page(server.sign_in_address()) as page:
        await page.until("() => document.querySelector('.player')?.dataset.shown === 'true'")
        await page.until(f"() => ({STATUS_IS})('Speaking')")  # the greeting
        assert_at_25_fps(await page.evaluate(RTP_STEPS))
        assert (await page.evaluate(RECEIVED))["audio"]["audioEnergy"] > 1e-4
