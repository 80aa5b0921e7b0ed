"""The room page in Chromium, behind the networks that viewers have.

The tests assert what is shown, not how fast this machine is. `make networks` measures for longer, and prints.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.e2e.browser import CHROMIUM, chromium
from tests.e2e.browser_viewer import watch as watch_page
from tests.e2e.firefox import FIREFOX, firefox
from tests.e2e.wire_session import running_session
from tests.live_server import LiveServer
from tests.networks.front import front
from tests.networks.relay import Network
from tests.networks.scale import FULL, only_in_full
from tests.networks.viewing import NOTE_START, READ_START, Shown, count_shown, room_behind
from visavis.demo.session_client import SessionClient

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
TIMEOUT_MS = 30_000
WATCHED_S = 20.0
STARTS = 30

CLEAN = Network()
LOSSY = Network(lost=0.05, delay_s=0.025)
REORDERING = Network(lost=0.05, jitter_s=0.2)
NARROW = Network(delay_s=0.02, bits_per_s=450_000, queue_s=1.0)
VERY_NARROW = Network(delay_s=0.02, bits_per_s=300_000, queue_s=1.0)
FAR = Network(delay_s=0.27)
FAR_AND_LOSSY = Network(lost=0.02, delay_s=0.26, jitter_s=0.03)


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def watch(browser: Browser, room: dict[str, Any], network: Network, seconds: float) -> Shown:
    async with room_behind(browser, room, network) as page:
        await expect(page.locator("#room")).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
        return await count_shown(page, seconds)


async def test_a_viewer_half_a_second_away_stays_connected(
    server: LiveServer, sessions: SessionClient, browser: Browser
) -> None:
    async with running_session(server, sessions) as (session, _):
        shown = await watch(browser, session["daily_room"], FAR, 9.0)  # the old timers had disconnected it after 6 s
    assert shown.connections == 1
    assert shown.shown > 25, "pictures come until the end"


def page_of(room: dict[str, Any]) -> str:
    return f"{room['url']}#t={room['token']}"


@pytest.mark.skipif(FIREFOX is None, reason="there is no Firefox on this machine")
async def test_firefox_half_a_second_away_stays_connected_beside_chromium(
    server: LiveServer, sessions: SessionClient, browser: Browser
) -> None:
    async with (
        running_session(server, sessions) as (session, _),
        front(server.base_url, FAR) as address,
        firefox() as other,
        other.opened_page(page_of(session["daily_room"]).replace(server.base_url, address)) as page,
    ):
        in_firefox, in_chromium = await asyncio.gather(
            watch_page(page, 9.0), watch(browser, session["daily_room"], FAR, 9.0)
        )
    for shown in (Shown(**in_firefox), in_chromium):
        assert shown.connections == 1 and shown.shown > 25, shown


async def test_a_viewer_that_loses_packets_sees_pictures_and_keeps_them_longer(
    server: LiveServer, sessions: SessionClient, browser: Browser
) -> None:
    async with running_session(server, sessions) as (session, _):
        shown = await watch(browser, session["daily_room"], REORDERING, 6.0)
    assert shown.connections == 1
    assert shown.shown > 15
    assert shown.target_ms > 100


# --- in full


@only_in_full
async def test_the_bit_rate_fits_a_narrow_network(
    server: LiveServer, sessions: SessionClient, http: httpx.AsyncClient, browser: Browser
) -> None:
    async with (
        running_session(server, sessions) as (session, _),
        room_behind(browser, session["daily_room"], NARROW) as page,
    ):
        await expect(page.locator("#room")).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
        first = await count_shown(page, 15.0)
        then = await count_shown(page, 15.0)
        metrics = (await http.get(f"/v1/sessions/{session['session_id']}/metrics")).json()["metrics"]
    print(f"\nnarrow: {first}\n  then: {then}\n  {metrics['viewers']}")
    assert then.shown > 300 and then.still_s <= first.still_s + 1
    assert metrics["viewers"]["bit_rate_share"] < 1.0


@only_in_full
async def test_pictures_come_soon_through_a_very_narrow_network(
    server: LiveServer, sessions: SessionClient, http: httpx.AsyncClient, browser: Browser
) -> None:
    """Two fifths of the full bit rate pass. Counted from the opening of the page; 250 pictures make 10 s."""
    async with (
        running_session(server, sessions) as (session, _),
        room_behind(browser, session["daily_room"], VERY_NARROW) as page,
    ):
        first = await count_shown(page, 10.0)
        then = await count_shown(page, 10.0)
        metrics = (await http.get(f"/v1/sessions/{session['session_id']}/metrics")).json()["metrics"]
    print(f"\nvery narrow: {first}\n  then: {then}\n  {metrics['viewers']}")
    assert then.connections == 1
    assert first.shown > 200 and then.shown > 200
    assert first.still_s + then.still_s <= 2.0


NETWORKS = {
    "clean": (CLEAN, 480, 0.3),
    "5 % lost, 50 ms": (LOSSY, 380, 1.0),
    "5 % lost, 200 ms of jitter": (REORDERING, 380, 1.0),
    "540 ms": (FAR, 380, 2.0),
    "2 % lost, 520 to 580 ms": (FAR_AND_LOSSY, 280, 20.0),
}


@only_in_full
@pytest.mark.parametrize("name", NETWORKS)
async def test_pictures_shown_behind_a_network(
    server: LiveServer, sessions: SessionClient, browser: Browser, name: str
) -> None:
    network, most, still_s = NETWORKS[name]
    async with running_session(server, sessions) as (session, _):
        shown = await watch(browser, session["daily_room"], network, WATCHED_S)
    print(f"\n{name}: {shown}")
    assert shown.connections == 1
    assert shown.shown >= most and shown.still_s <= still_s, shown


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


@only_in_full
@pytest.mark.parametrize(
    ("name", "network"), [("clean", None), ("relayed", CLEAN), ("5 % lost, 50 ms", LOSSY)], ids=str
)
async def test_time_from_the_script_to_the_first_picture(
    server: LiveServer, sessions: SessionClient, browser: Browser, name: str, network: Network | None
) -> None:
    """Each start is a new page. Times in ms since the first line of its script; before it, the script was loaded."""
    async with running_session(server, sessions) as (session, _):
        starts = [await start(browser, session["daily_room"], network, seed=number) for number in range(STARTS)]
    assert FULL
    print(f"\n{name}:")
    for mark in ("loaded", "posted", "answered", "applied", "checked", "connected", "media", "shown"):
        times = [one[mark] for one in starts if mark in one]
        print(f"  {mark}: p50 {percentile(times, 0.5):.0f}, p90 {percentile(times, 0.9):.0f}, max {max(times):.0f} ms")
    set_up = [one["connected"] - one["answered"] for one in starts]
    own = [one["posted"] + one["applied"] - one["answered"] for one in starts]
    print(f"  from the answer to 'connected': p50 {percentile(set_up, 0.5):.0f}, p90 {percentile(set_up, 0.9):.0f} ms")
    print(f"  the page's own share: p50 {percentile(own, 0.5):.0f}, p95 {percentile(own, 0.95):.0f} ms")
    shown = [one["shown"] for one in starts]
    print(f"  to the first picture: p50 {percentile(shown, 0.5):.0f}, p95 {percentile(shown, 0.95):.0f} ms")


async def start(browser: Browser, room: dict[str, Any], network: Network | None, *, seed: int) -> dict[str, float]:
    ways = Network() if network is None else Network(lost=network.lost, delay_s=network.delay_s, seed=seed)
    async with room_behind(browser, room, ways, script=NOTE_START, direct=network is None) as page:
        async with asyncio.timeout(TIMEOUT_MS / 1000):
            marks: dict[str, float] = await page.evaluate(READ_START)
        return marks
