"""Transparency in a page of another origin, in a real Chromium: the page is visible around the person, and no colour of
the photo's background is left.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.async_api import Browser, Page, expect
from websockets.asyncio.client import ClientConnection

from tests.e2e.browser import CHROMIUM, chromium
from tests.e2e.wire_session import receive, running_session
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
TIMEOUT_MS = 30_000
SIDE = 512
MAGENTA = np.array([255, 0, 255])
PAGE = """<!doctype html><html lang="en"><title>A page of somebody's</title>
<style>body {{ margin: 0; background: {ground} }}
visavis-avatar, iframe {{ width: 512px; height: 512px; border: 0 }}</style>
<body>{content}</body></html>"""
WITHOUT_WEBGL = """
const found = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  return kind.startsWith("webgl") ? null : found.call(this, kind, ...rest); };
"""


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@asynccontextmanager
async def page_with(browser: Browser, content: str, *, ground: str, script: str = "") -> AsyncIterator[Page]:
    """Open a page of another origin with `content` on the colour `ground`."""
    context = await browser.new_context(viewport={"width": SIDE, "height": SIDE})
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    if script:
        await page.add_init_script(script)
    body = PAGE.format(ground=ground, content=content).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
            + body
        )
        await writer.drain()
        writer.close()

    elsewhere = await asyncio.start_server(answer, "127.0.0.1", 0)  # another port is another origin
    try:
        await page.goto(f"http://127.0.0.1:{elsewhere.sockets[0].getsockname()[1]}/")
        yield page
    finally:
        await context.close()
        elsewhere.close()
    assert not errors, errors


async def screenshot(page: Page) -> NDArray[np.int32]:
    """Return the screen, RGB (512, 512, 3)."""
    return np.asarray(Image.open(io.BytesIO(await page.screenshot())).convert("RGB")).astype(np.int32)


async def update(channel: ClientConnection, background: dict[str, Any]) -> None:
    await channel.send(json.dumps({"type": "session.update", "output": {"background": background}}))
    while (await receive(channel))["type"] != "session.updated":
        pass


def element(server: LiveServer, room: dict[str, Any]) -> str:
    address = f"{room['url']}#t={room['token']}"
    return f'<script src="{server.base_url}/alpha.js"></script><visavis-avatar room="{address}"></visavis-avatar>'


@pytest.mark.parametrize("script", ["", WITHOUT_WEBGL], ids=["webgl", "pixels"])
async def test_the_page_is_visible_around_the_person(
    server: LiveServer, sessions: SessionClient, browser: Browser, script: str
) -> None:
    async with running_session(server, sessions) as (session, channel):
        await update(channel, {"type": "transparent"})
        async with page_with(browser, element(server, session["daily_room"]), ground="#f0f", script=script) as page:
            avatar = page.locator("visavis-avatar")
            await expect(avatar).to_have_attribute("transparent", "", timeout=TIMEOUT_MS)
            await page.wait_for_function(
                "document.querySelector('visavis-avatar').shadowRoot.querySelector('canvas').width === 512",
                timeout=TIMEOUT_MS,
            )
            await page.wait_for_timeout(500)  # the first pictures of a stream are coarse
            picture = await screenshot(page)
            await update(channel, {"type": "color", "color": "#204060"})  # and back again, live
            await expect(avatar).not_to_have_attribute("transparent", "", timeout=TIMEOUT_MS)
            await page.wait_for_timeout(500)
            opaque = await screenshot(page)
    for corner in (picture[:60, :40], picture[:60, -40:], picture[150:250, :40]):
        assert np.abs(corner - MAGENTA).max() <= 1, "the page is not visible"
    face = picture[200:260, 236:276].reshape(-1, 3).mean(axis=0)
    assert face[0] > face[1] > face[2] > 60 and face[1] > 90, face  # skin
    # At the edges the picture must lie between magenta and the person's colours nearby. Rests of the photo's background
    # would have more green than these.
    outside = (np.abs(picture - MAGENTA).sum(axis=2) <= 30).astype(np.uint8)
    edge = (cv2.dilate(outside, np.ones((9, 9), np.uint8)) > 0) & (outside == 0)
    assert 1_000 < edge.sum() < 20_000
    green = picture[..., 1].astype(np.uint8)
    own = cv2.dilate(np.where(edge | (outside > 0), 0, green).astype(np.uint8), np.ones((21, 21), np.uint8)).astype(int)
    assert (picture[..., 1] > own + 20)[edge].mean() < 0.01
    assert np.abs(opaque[:60, :40] - np.array([32, 64, 96])).max() <= 6
    assert np.abs(opaque[200:260, 236:276].reshape(-1, 3).mean(axis=0) - face).max() < 14


async def test_the_room_page_is_transparent_in_a_frame(
    server: LiveServer, sessions: SessionClient, browser: Browser
) -> None:
    async with running_session(server, sessions) as (session, channel):
        await update(channel, {"type": "transparent"})
        room = session["daily_room"]
        content = f'<iframe title="The avatar" src="{room["url"]}?t={room["token"]}" allow="autoplay"></iframe>'
        async with page_with(browser, content, ground="#0c0") as page:
            frame = page.frame_locator("iframe").locator("#room")
            await expect(frame).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
            await expect(frame).to_have_attribute("data-transparent", "", timeout=TIMEOUT_MS)
            await page.wait_for_timeout(500)
            picture = await screenshot(page)
    assert np.abs(picture[40:100, :40] - np.array([0, 204, 0])).max() <= 1
    assert picture[200:260, 236:276].reshape(-1, 3).mean(axis=0)[0] > 120
