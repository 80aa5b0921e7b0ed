"""OBS plays a room's page as a browser source, which is Chromium within OBS. Debian's OBS is built without it, so a
Chromium of the same settings stands for it: OBS's user agent, flags and style sheet, and no ground behind the page.
"""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.async_api import async_playwright, expect

from tests.e2e.browser import CHROMIUM
from tests.e2e.test_alpha import update
from tests.e2e.wire_session import running_session
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
TIMEOUT_MS = 30_000
SIDE = 512
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/127.0.0.0 Safari/537.36 "
USER_AGENT += "OBS/31.0.0"
# obs-browser, browser-app.cpp: OnBeforeCommandLineProcessing
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-gpu-compositing", "--disable-spell-checking"]
FLAGS += ["--autoplay-policy=no-user-gesture-required", "--disable-features=HardwareMediaKeyHandling,WebBluetooth"]
STYLE = "body { background-color: rgba(0, 0, 0, 0); margin: 0px auto; overflow: hidden; }"  # a browser source's own
ADD_STYLE = """(text) => {
  const style = document.createElement("style");
  style.innerHTML = text;
  document.querySelector("head").appendChild(style);
}"""  # obs-browser-source's own way; the page's policy refuses it, so that the page itself must have no ground
BINDING = "window.obsstudio = { pluginVersion: '2.24.4' };"
PLAYS = "document.querySelector('video').muted === false && document.querySelector('video').paused === false"


async def test_the_avatar_stands_in_the_scene_without_a_box(server: LiveServer, sessions: SessionClient) -> None:
    async with running_session(server, sessions) as (session, channel), async_playwright() as playwright:
        await update(channel, {"type": "transparent"})
        room = session["daily_room"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            context = await browser.new_context(user_agent=USER_AGENT, viewport={"width": SIDE, "height": SIDE})
            page = await context.new_page()
            await page.add_init_script(BINDING)
            await page.goto(f"{room['url']}#t={room['token']}")
            await page.evaluate(ADD_STYLE, STYLE)
            await expect(page.locator("#room")).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
            await expect(page.locator("canvas")).to_have_js_property("width", SIDE, timeout=TIMEOUT_MS)
            await page.wait_for_timeout(500)  # the first pictures of a stream are coarse
            assert await page.evaluate(PLAYS), "sound plays without a click"
            shown = await page.screenshot(omit_background=True)
        finally:
            await browser.close()
    alpha = np.asarray(Image.open(io.BytesIO(shown)).convert("RGBA"))[..., 3]
    assert alpha[:60, :40].max() == 0 == alpha[150:250, :40].max(), "the scene is visible around the person"
    assert alpha[200:260, 236:276].min() == 255, "the person covers it"
