"""A headless Chromium that watches a room page, and what its decoded pictures show. Needs Chromium and playwright."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from playwright.async_api import Page

SIDE_PX = 256  # of the pictures that are taken from the page; as SIDE below
LIVE_WITHIN_S = 30.0
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--autoplay-policy=no-user-gesture-required")

# Takes every picture of the page's video as it is presented: the time at which its pixels can be read (unix, ms), and
# its green channel. `window.takePictures()` returns what came since the last call.
TAKE_PICTURES = """
() => {
  const SIDE = 256;
  const video = document.querySelector("video");
  const context = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
  let times = [], pictures = [];
  const look = () => {
    context.drawImage(video, 0, 0, SIDE, SIDE);
    const pixels = context.getImageData(0, 0, SIDE, SIDE).data;
    times.push(performance.timeOrigin + performance.now());
    const grey = new Uint8Array(SIDE * SIDE);
    for (let i = 0; i < grey.length; i++) grey[i] = pixels[4 * i + 1];
    pictures.push(grey);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  window.takePictures = async () => {
    const taken = new Blob(pictures), at = times;
    times = []; pictures = [];
    const reader = new FileReader();
    await new Promise((done) => { reader.onload = done; reader.readAsDataURL(taken); });
    return [at, reader.result];
  };
}
"""


def chromium_path() -> str | None:
    """Return the Chromium of this machine, or the one that VISAVIS_CHROMIUM names."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("VISAVIS_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def missing() -> str | None:
    """Return what must be installed before a browser can watch, None if nothing."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is missing: pip install playwright"
    return None if chromium_path() else "Chromium is missing: apt-get install chromium"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """`times_s`: unix time at which the page could read each, float64 (n,). `grey`: uint8 (n, SIDE_PX, SIDE_PX)."""

    times_s: NDArray[np.float64]
    grey: NDArray[np.uint8]


class RoomPage:
    """A page that plays a room."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def take_pictures(self) -> Pictures:
        """Return the pictures since the last call."""
        times_ms, address = await self._page.evaluate("window.takePictures()")
        data = base64.b64decode(address.partition(",")[2])
        return Pictures(
            times_s=np.array(times_ms, np.float64) / 1000,
            grey=np.frombuffer(data, np.uint8).reshape(-1, SIDE_PX, SIDE_PX),
        )


@asynccontextmanager
async def room_page(url: str, token: str) -> AsyncIterator[RoomPage]:
    """Open the room page in a new browser and wait until it plays. Raises TimeoutError."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
        try:
            page = await browser.new_page(viewport={"width": 640, "height": 640})
            await page.goto(f"{url}#t={token}")
            async with asyncio.timeout(LIVE_WITHIN_S):
                await page.wait_for_selector("#room[data-state=live]", timeout=LIVE_WITHIN_S * 1000)
                await page.wait_for_function("document.querySelector('video')?.videoWidth > 0")
            await page.evaluate(TAKE_PICTURES)
            yield RoomPage(page)
        finally:
            await browser.close()
