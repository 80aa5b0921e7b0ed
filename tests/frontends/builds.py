"""@visavis/client in the pages of others: built by Vite, webpack and Next, in React 18 and 19. Only `make conformance`
runs this: the first time it installs what builds the pages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser

from tests.e2e.browser import CHROMIUM, chromium, opened_page
from tests.frontends.built import Workshop, served, workshop
from tests.live_server import LiveServer

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.timeout(1200),  # the first one waits until all is installed
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

WEBPACK = "webpack --mode production --entry ./main.js --output-path . --output-filename built.js"
BUNDLERS = {"vite": ("dist", "vite build"), "webpack": (".", WEBPACK), "next": ("out", "next build")}

SPEAK = """
async ([server, session, speak]) => {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  const sound = new OscillatorNode(context, { frequency: 440 });
  sound.connect(out);
  sound.start();
  const avatar = await window.visavis.connect({ server, session, tokens: { speak } });
  const started = new Promise((resolve) => {
    avatar.on("message", ({ type }) => type === "agent.playback.started" && resolve(type));
  });
  const speech = await avatar.speakFrom(out.stream.getAudioTracks()[0]);
  const type = await started;
  speech.stop();
  avatar.close();
  return type;
}
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def pages() -> Iterator[Workshop]:
    try:
        with workshop() as opened:
            yield opened
    except FileNotFoundError:
        pytest.skip("no bundlers can be installed: there is no npm")


@pytest.mark.parametrize("bundler", BUNDLERS)
async def test_a_built_page_speaks_a_track(
    bundler: str, pages: Workshop, browser: Browser, live_server: LiveServer
) -> None:
    out, command = BUNDLERS[bundler]
    folder = pages.page(bundler, *command.split(), out=out)
    async with httpx.AsyncClient(base_url=live_server.base_url, headers={"x-api-key": live_server.key}) as http:
        created = (await http.post("/v1/sessions", json={"avatar": live_server.look})).json()["session"]["session_id"]
        made = (await http.post(f"/v1/sessions/{created}/tokens", json={"purpose": "speak"})).json()
        with served(folder) as address:
            async with opened_page(browser, address, expected="status of 404") as page:
                await page.wait_for_selector("body[data-element=true]", state="attached")
                told = await page.evaluate(SPEAK, [live_server.base_url, created, made["token"]["token"]])
        await http.post(f"/v1/sessions/{created}/end")
    assert told == "agent.playback.started"


@pytest.mark.parametrize("version", [18, 19])
async def test_props_and_events_in_react(version: int, pages: Workshop, browser: Browser) -> None:
    with served(pages.react("props", version=version)) as address:
        async with opened_page(browser, address, expected="") as page:  # it tells of the room that is not there
            await page.wait_for_function("window.told !== undefined")
            found: list[Any] = await page.evaluate(
                """async () => {
                  const avatar = document.querySelector("visavis-avatar");
                  const drawn = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
                  const found = [version.split(".")[0], avatar.session, avatar.speakToken, avatar.muted];
                  for (const muted of [true, false]) {
                    setMuted(muted);
                    await drawn();
                    found.push(avatar.muted);
                  }
                  avatar.room = "http://127.0.0.1:9/rooms/none";
                  await new Promise((resolve) => setTimeout(resolve, 100));
                  return [...found, told[0]];
                }"""
            )
    assert found == [str(version), "sess_1", "vvt_2", False, True, False, "connecting"]
