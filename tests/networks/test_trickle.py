"""The room page takes the ICE servers of each join from its answer, sends candidates as it finds them, and looks for
another path when the one that it has is gone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aioice import stun
from playwright.async_api import Browser, Request, Response, Route, expect

from tests.e2e.browser import CHROMIUM, chromium, opened_page
from tests.e2e.wire_session import running_session
from tests.live_server import LiveServer
from tests.networks.relay import Network, relays
from tests.networks.scale import FULL
from visavis.demo.session_client import SessionClient

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
TIMEOUT_MS = 30_000
MAPPED = ("203.0.113.9", 50_000)
SERVERS_OF = "number => window.connections[number]?.getConfiguration().iceServers.map((one) => one.username ?? '')"


# Notes the longest time between two pictures from now on, in ms.
NOTE_GAPS = """
() => {
  const video = document.querySelector("video");
  let lastMs = performance.now();
  window.longestGapMs = 0;
  const look = (nowMs) => {
    window.longestGapMs = Math.max(window.longestGapMs, nowMs - lastMs);
    lastMs = nowMs;
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}
"""
# Waits for so many pictures; returns the longest gap.
PICTURES = """
(count) => new Promise((resolve) => {
  const video = document.querySelector("video");
  const look = () => {
    count -= 1;
    if (count === 0) resolve(window.longestGapMs);
    else video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
})
"""


class StunServer(asyncio.DatagramProtocol):
    """Tells everybody the same address."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str | int, ...]) -> None:
        request = stun.parse_message(data)
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = MAPPED
        self._transport.sendto(bytes(response), address)


@asynccontextmanager
async def stun_server(host: str) -> AsyncIterator[int]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(StunServer, local_addr=(host, 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def test_each_join_has_its_own_ice_servers_and_candidates_follow_the_offer(
    server: LiveServer, sessions: SessionClient, browser: Browser
) -> None:
    offers: list[str] = []
    patched: asyncio.Queue[tuple[Request, int]] = asyncio.Queue()

    async def join(route: Route) -> None:
        """Add ICE servers to the answer, and keep the page from connecting: it gets no candidates."""
        answer = await route.fetch()
        sdp = await answer.text()
        host = re.search(r"a=candidate:\S+ 1 udp \d+ ([0-9.]+) ", sdp)
        assert host is not None
        async with stun_server(host[1]) as port:
            offers.append(route.request.post_data or "")
            links = f'<stun:{host[1]}:{port}>; rel="ice-server", <turn:{host[1]}:{port}>; rel="ice-server"; '
            links += 'username="fresh-1"; credential="c"; credential-type="password"'
            bare = re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", sdp)
            await route.fulfill(response=answer, headers=answer.headers | {"link": links}, body=bare)
            await asyncio.wait_for(sent.wait(), 20)

    async def note(response: Response) -> None:
        body = response.request.post_data or ""
        if response.request.method == "PATCH" and f" {MAPPED[0]} {MAPPED[1]} typ srflx" in body:
            await patched.put((response.request, response.status))
            sent.set()

    sent = asyncio.Event()
    async with running_session(server, sessions) as (session, _), opened_page(browser, "about:blank") as page:
        room = session["daily_room"]
        page.on("response", note)
        await page.route("**/whep", join)
        await page.goto(f"{room['url']}#t={room['token']}")
        request, status = await asyncio.wait_for(patched.get(), 20)
        assert await page.evaluate(SERVERS_OF, 0) == ["", "fresh-1"]
    assert "a=candidate:" not in offers[0], "the offer does not wait for candidates"
    assert status == 204
    assert request.headers["content-type"] == "application/trickle-ice-sdpfrag"


async def test_the_page_finds_another_path_without_joining_again(
    server: LiveServer, sessions: SessionClient, browser: Browser
) -> None:
    """The relay moves: nothing comes by the path of before, and nobody says so."""
    restarted = asyncio.Event()
    async with (
        running_session(server, sessions) as (session, _),
        relays(Network()) as through,
        opened_page(browser, "about:blank") as page,
    ):

        async def join(route: Route) -> None:
            answer = await route.fetch()
            await route.fulfill(response=answer, body=await through.rewrite(await answer.text()))

        async def change(route: Route) -> None:
            if route.request.method != "PATCH":
                await route.continue_()
            elif route.request.headers.get("if-match") != "*":
                await route.fulfill(status=204)  # the stage must not know the viewer's addresses
            else:
                answer = await route.fetch()
                assert answer.status == 200, await answer.text()
                await route.fulfill(response=answer, body=await through.rewrite(await answer.text()))
                restarted.set()

        await page.route("**/whep", join)
        await page.route("**/whep/*", change)
        room = session["daily_room"]
        await page.goto(f"{room['url']}#t={room['token']}")
        await expect(page.locator("#room")).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
        async with asyncio.timeout(TIMEOUT_MS / 1000):
            await page.evaluate(NOTE_GAPS)
            await page.evaluate(PICTURES, 10)
            through.close()
            await restarted.wait()
            gap_ms = await page.evaluate(PICTURES, 10)
        connections = await page.evaluate("window.connections.length")
        assert await page.locator("#room").get_attribute("data-state") == "live"
    print(f"\nanother path: the picture stood still for {gap_ms:.0f} ms")
    assert connections == 1
    if FULL:
        assert gap_ms <= 3000
