"""A real headless Chromium, and the checks of every page in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, ConsoleMessage, Page, ViewportSize, async_playwright

CHROMIUM = (
    os.environ.get("VISAVIS_CHROMIUM")
    or shutil.which("chromium")
    or shutil.which("chromium-browser")
    or shutil.which("google-chrome")
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
]
ALLOW_MICROPHONE = "--use-fake-ui-for-media-stream"

# Collects the RTCPeerConnections of a page, so that a test can read their statistics.
KEEP_CONNECTIONS = """
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...rest) { super(...rest); window.connections.push(this); }
};
"""

# Blocks sound until the visitor has pressed something, as some browsers do.
BLOCK_SOUND = """
const play = HTMLMediaElement.prototype.play;
let pressed = false;
addEventListener("pointerdown", () => { pressed = true; }, true);
HTMLMediaElement.prototype.play = function () {
  return this.muted || pressed ? play.call(this) : Promise.reject(new DOMException("no gesture", "NotAllowedError"));
};
"""

# A phone that saves power: it plays nothing, not even without sound, until the visitor has tapped.
REFUSE_TO_PLAY = """
const play = HTMLMediaElement.prototype.play;
let pressed = false;
addEventListener("pointerdown", () => { pressed = true; }, true);
HTMLMediaElement.prototype.play = function () {
  return pressed ? play.call(this) : Promise.reject(new DOMException("saves power", "NotAllowedError"));
};
new MutationObserver(() => document.querySelector("video")?.removeAttribute("autoplay"))
  .observe(document, { childList: true, subtree: true });
"""

RECEIVED = """
async () => {
  const received = {};
  for (const connection of window.connections)
    for (const stat of (await connection.getStats()).values())
      if (stat.type === "inbound-rtp") received[stat.kind] = {
        framesDecoded: stat.framesDecoded, freezeCount: stat.freezeCount, audioEnergy: stat.totalAudioEnergy,
        width: stat.frameWidth, height: stat.frameHeight,
      };
  return received;
}
"""

# Watches the first <video> for n frames. Returns the media time of each, and its mean difference from the one before,
# in grey levels.
WATCH = """
async (n) => {
  const video = document.querySelector("video");
  const canvas = new OffscreenCanvas(128, 128);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const times = [], differences = [];
  let before = null;
  await new Promise((done) => {
    const look = (_, frame) => {
      times.push(frame.mediaTime);
      context.drawImage(video, 0, 0, 128, 128);
      const pixels = context.getImageData(0, 0, 128, 128).data;
      if (before !== null) {
        let sum = 0;
        for (let i = 1; i < pixels.length; i += 4) sum += Math.abs(pixels[i] - before[i]);
        differences.push(sum / (pixels.length / 4));
      }
      before = pixels;
      if (times.length < n) video.requestVideoFrameCallback(look); else done();
    };
    video.requestVideoFrameCallback(look);
  });
  return { times, differences, currentTime: video.currentTime, width: video.videoWidth, height: video.videoHeight };
}
"""

# Returns the barriers for a person who uses a screen reader or no mouse; an empty list is good.
BARRIERS = """
() => {
  const faults = [];
  if (!document.documentElement.lang) faults.push("the page has no language");
  if (!document.title.trim()) faults.push("the page has no title");
  if (!document.querySelector("main")) faults.push("there is no main landmark");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids))
    if (ids.filter((other) => other === id).length > 1) faults.push(`two elements have the id ${id}`);
  const named = (e) => (e.getAttribute("aria-label") || e.textContent || e.title || "").trim() !== ""
    || (e.getAttribute("aria-labelledby") || "").split(" ").some((id) => id && document.getElementById(id))
    || (e.labels && e.labels.length > 0);
  const operable = "button, a[href], input, select, textarea, video, [role=button], [role=tab]";
  for (const e of document.querySelectorAll(operable))
    if (!named(e)) faults.push(`no name: ${e.outerHTML.slice(0, 120)}`);
  for (const e of document.querySelectorAll("img"))
    if (!e.hasAttribute("alt")) faults.push(`no alt: ${e.outerHTML.slice(0, 120)}`);
  for (const e of document.querySelectorAll("[tabindex]"))
    if (e.tabIndex > 0) faults.push(`tabindex above 0: ${e.outerHTML.slice(0, 120)}`);
  for (const e of document.querySelectorAll("[aria-controls]"))
    if (e.getAttribute("aria-selected") !== "false" && !document.getElementById(e.getAttribute("aria-controls")))
      faults.push(`controls nothing: ${e.outerHTML.slice(0, 120)}`);
  return faults;
}
"""


@asynccontextmanager
async def chromium(*flags: str, asks: bool = False) -> AsyncIterator[Browser]:
    """`asks`: the microphone needs a permission. Otherwise every page has it."""
    assert CHROMIUM is not None
    flags = flags if asks else (ALLOW_MICROPHONE, *flags)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened_page(
    browser: Browser,
    url: str,
    *,
    expected: str | None = None,
    script: str = "",
    trusting: bool = False,
    locale: str = "en-US",
) -> AsyncIterator[Page]:
    """Open a page in a new profile. At the end its console may contain no errors except those with the text `expected`.
    `script` runs before the scripts of the page. `trusting`: accept any certificate. `locale`: of the browser.
    """
    viewport: ViewportSize = {"width": 1280, "height": 860}
    context = await browser.new_context(viewport=viewport, ignore_https_errors=trusting, locale=locale)
    page = await context.new_page()
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and (expected is None or expected not in message.text):
            errors.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(f"exception: {error}"))
    await page.add_init_script(KEEP_CONNECTIONS + script)
    try:
        await page.goto(url)
        yield page
    finally:
        await context.close()
    assert not errors, errors
