"""What a browser with LiveKit's own client and React components sees and hears of an agent with an avatar. Only `make
conformance` runs this: the first time it installs what builds the page.
"""

from __future__ import annotations

import secrets
import statistics
import wave
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page
from visavis_client import AsyncVisavis

from tests.e2e.browser import CHROMIUM, RECEIVED, WATCH, chromium, opened_page
from tests.frontends.built import served, workshop
from tests.livekit.agent import Agent
from tests.livekit.conftest import client, livekit, start
from tools.livekit.server import LiveKitServer
from visavis.library import SAMPLE

__all__ = ["client", "livekit"]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.timeout(1200),  # the first one waits until all is installed
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
TIMEOUT_MS = 60_000
# That the agent's two tracks are the avatar's, and come.
FOUND = """[agent?.cameraTrack, agent?.microphoneTrack].every(
  (track) => track?.participant.identity === "avatar" && track.publication.isSubscribed
)"""

# That they come, whatever React says.
THERE = """[...(room.remoteParticipants.get("avatar")?.trackPublications.values() ?? [])]
  .filter((track) => track.isSubscribed).length === 2"""


@pytest.fixture
async def agent(livekit: LiveKitServer) -> AsyncIterator[Agent]:
    """An agent that tells its state, as those of livekit-agents do: until then a page shows nothing of it."""
    joined = Agent(livekit, f"room-{secrets.token_hex(6)}")
    await joined.join(livekit.token(joined.room_name, joined.identity, "canUpdateOwnMetadata", kind="agent"))
    yield joined
    await joined.leave()


@pytest.fixture
async def page(livekit: LiveKitServer) -> AsyncIterator[Page]:
    """The page of a visitor in the agent's room."""
    try:
        with workshop() as pages, served(pages.react("agent", version=19)) as address:
            async with chromium() as browser, opened_page(browser, address, expected="") as opened:
                yield opened
    except FileNotFoundError:
        pytest.skip("no bundler can be installed: there is no npm")


async def test_the_agents_tracks_are_the_avatars_and_its_lips_move_with_its_speech(
    client: AsyncVisavis, livekit: LiveKitServer, agent: Agent, page: Page
) -> None:
    session = await start(client, livekit, agent)
    token = livekit.token(agent.room_name, "visitor")
    await page.evaluate("(link) => window.show(...link)", [livekit.url, token])
    await page.wait_for_function("room?.state === 'connected'", timeout=TIMEOUT_MS)
    await agent.room.local_participant.set_attributes({"lk.agent.state": "listening"})
    await page.wait_for_function(FOUND, timeout=TIMEOUT_MS)

    idle: dict[str, Any] = await page.evaluate(WATCH, 50)
    quiet = (await page.evaluate(RECEIVED))["audio"]["audioEnergy"]
    with wave.open(str(SAMPLE)) as recording:  # a voice: at a tone lips stand still
        stream = await agent.open(rate_hz=recording.getframerate())
        await stream.write(recording.readframes(recording.getnframes()))
    await stream.aclose()
    await agent.wait_started(1)
    talking: dict[str, Any] = await page.evaluate(WATCH, 75)
    loud = (await page.evaluate(RECEIVED))["audio"]["audioEnergy"]
    assert (talking["width"], talking["height"]) == (1280, 1280)
    resting, moving = statistics.median(idle["differences"]), statistics.median(talking["differences"])
    print(f"the picture changes by {resting:.3f} grey levels at rest, by {moving:.3f} in speech")
    assert moving > 2 * resting > 0
    assert quiet < 1e-4 < loud
    await agent.wait_finished(1)

    await page.evaluate("() => void room.simulateScenario('signal-reconnect')")
    await page.wait_for_function("room.state !== 'connected'", timeout=TIMEOUT_MS)
    await page.wait_for_function(f"room.state === 'connected' && {FOUND}", timeout=TIMEOUT_MS)
    assert (await page.evaluate(WATCH, 10))["width"] == 1280, "its picture plays"
    # Everybody is left and met again: useAgent of 2.9.24 says then that its agent has left, with an avatar or without.
    await page.evaluate("() => void room.simulateScenario('full-reconnect')")
    await page.wait_for_function("room.state !== 'connected'", timeout=TIMEOUT_MS)
    await page.wait_for_function(f"room.state === 'connected' && {THERE}", timeout=TIMEOUT_MS)
    await session.end()
