"""`python -m tests.fleet_faults.watching_page URL`: the room page in Chromium, for a viewer in another network
namespace. Prints the same lines as `watching`, of what the page shows.
"""

from __future__ import annotations

import asyncio
import json
import sys

from tests.e2e.browser import KEEP_CONNECTIONS, chromium
from tests.fleet_faults.watching import GAP_S, tell

# Notes each gap between two pictures that are shown, in whichever <video> the page has, as [from, to] in unix ms.
NOTE_PICTURES = """
window.noted = { shown: 0, gaps: [], states: [] };
{
  let last = null, video = null;
  const note = () => {
    const now = performance.timeOrigin + performance.now();
    if (last !== null && now - last > GAP_MS) window.noted.gaps.push([last, now]);
    last = now;
    window.noted.shown += 1;
  };
  const look = (of) => of.requestVideoFrameCallback(() => { note(); if (of === video) look(of); });
  setInterval(() => {
    const found = document.querySelector("video");
    if (found !== null && found !== video) look(video = found);
    const state = document.querySelector("#room")?.dataset.state;
    if (state !== window.noted.states.at(-1)?.[1]) window.noted.states.push([Date.now(), state]);
  }, 50);
}
"""
TAKE = """
() => {
  const noted = window.noted;
  window.noted = { shown: noted.shown, gaps: [], states: noted.states.slice(-1) };
  return noted;
}
"""


async def watch(url: str) -> None:
    async with chromium() as browser:
        page = await browser.new_page()
        await page.add_init_script(KEEP_CONNECTIONS + NOTE_PICTURES.replace("GAP_MS", str(1000 * GAP_S)))
        await page.goto(url)
        while True:
            await asyncio.sleep(0.5)
            noted = await page.evaluate(TAKE)
            for began_ms, over_ms in noted["gaps"]:
                tell(kind="picture", **{"from": began_ms / 1000, "to": over_ms / 1000})
            tell(
                kind="count",
                at=await page.evaluate("Date.now()") / 1000,
                picture=noted["shown"],
                joins=await page.evaluate("window.connections.length"),
                states=json.dumps(noted["states"]),
            )


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1]))
