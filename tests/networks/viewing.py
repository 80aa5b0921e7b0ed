"""The room page in Chromium behind a relay, and what a visitor sees of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser, Page, Route

from tests.e2e.browser import opened_page
from tests.networks.relay import Network, relays

# Notes when the page does what, in ms since the first line of its script, which makes the connection.
NOTE_START = """
{
  const marks = window.startMarks = {};
  const note = (name) => { marks[name] ??= performance.now(); };
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer {
    constructor(...rest) {
      note("began");
      super(...rest);
      this.addEventListener("iceconnectionstatechange", () => {
        if (this.iceConnectionState === "connected" || this.iceConnectionState === "completed") note("checked");
      });
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "connected") note("connected");
      });
      this.addEventListener("track", ({ track }) => {
        if (track.kind === "video") track.addEventListener("unmute", () => note("media"));
      });
    }
    async setRemoteDescription(...rest) { await super.setRemoteDescription(...rest); note("applied"); }
  };
  const fetchAny = window.fetch;
  window.fetch = async (address, options) => {
    const posts = options?.method === "POST";
    if (posts) note("posted");
    const response = await fetchAny(address, options);
    if (posts && response.status === 201) note("answered");
    return response;
  };
  addEventListener("DOMContentLoaded", () => {
    document.querySelector("video")?.requestVideoFrameCallback(() => note("shown"));
  });
}
"""
READ_START = """
async () => {
  while (!("shown" in window.startMarks)) await new Promise((resolve) => setTimeout(resolve, 20));
  const scripts = performance.getEntriesByType("resource").filter((one) => /room.*\\.js/.test(one.name));
  const loadedMs = Math.max(...scripts.map((one) => one.responseEnd));
  const { began, ...marks } = { ...window.startMarks, loaded: loadedMs };
  return Object.fromEntries(Object.entries(marks).map(([name, ms]) => [name, ms - began]));
}
"""

# Counts the pictures that are shown in so many seconds, and adds up the gaps of more than 200 ms between them.
COUNT_SHOWN = """
async (seconds) => {
  const video = document.querySelector("video");
  const beganMs = performance.now();
  let lastMs = beganMs, first = null, last = 0, stillMs = 0, longestMs = 0;
  const gap = (nowMs) => {
    const ms = nowMs - lastMs;
    if (ms > 200) stillMs += ms;
    longestMs = Math.max(longestMs, ms);
    lastMs = nowMs;
  };
  const look = (nowMs, { presentedFrames }) => {
    first ??= presentedFrames - 1;
    last = presentedFrames;
    gap(nowMs);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  gap(performance.now());
  const stats = {};
  let targetMs = 0;
  for (const connection of window.connections.slice(-1)) {
    for (const one of (await connection.getStats()).values())
      if (one.type === "inbound-rtp" && one.kind === "video") Object.assign(stats, {
        decoded: one.framesDecoded, lost: one.packetsLost, nacks: one.nackCount, plis: one.pliCount,
        jitterMs: Math.round(one.jitter * 1000),
        bufferedMs: Math.round(1000 * one.jitterBufferDelay / one.jitterBufferEmittedCount),
      });
    targetMs = connection.getReceivers()[0].jitterBufferTarget ?? 0;
  }
  return {
    shown: first === null ? 0 : last - first, still_s: stillMs / 1000, longest_s: longestMs / 1000,
    connections: window.connections.length, target_ms: targetMs, stats,
  };
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """`still_s`: the sum of all gaps of more than 200 ms. `connections`: how often the page has joined until now."""

    shown: int
    still_s: float
    longest_s: float
    connections: int
    target_ms: int
    stats: dict[str, Any]


async def count_shown(page: Page, seconds: float) -> Shown:
    return Shown(**await page.evaluate(COUNT_SHOWN, seconds))


@asynccontextmanager
async def room_behind(
    browser: Browser, room: dict[str, Any], network: Network, *, script: str = "", direct: bool = False
) -> AsyncIterator[Page]:
    """Open a room's page whose media cross a bad network; `direct`: no network of ours. HTTP requests never do."""
    async with relays(network) as through, opened_page(browser, "about:blank", script=script) as page:

        async def join(route: Route) -> None:
            answer = await route.fetch()
            if answer.status == 201:
                await route.fulfill(response=answer, body=await through.rewrite(await answer.text()))
            else:
                await route.fulfill(response=answer)

        async def keep_candidates(route: Route) -> None:
            await (route.fulfill(status=204) if route.request.method == "PATCH" else route.continue_())

        if not direct:
            await page.route("**/whep", join)
            await page.route("**/whep/*", keep_candidates)
        await page.goto(f"{room['url']}#t={room['token']}")
        yield page
