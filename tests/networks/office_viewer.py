"""`python -m tests.networks.office_viewer URL SECONDS`: the room page in Chromium, for a test in another namespace.

Prints one JSON object: when the page did what (`marks`), what it showed (`shown`), and how its path leaves (`relay`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from playwright.async_api import expect

from tests.e2e.browser import chromium, opened_page
from tests.networks.viewing import NOTE_START, READ_START, count_shown

TIMEOUT_MS = 45_000
RELAY_OF_PATH = """
async () => {
  for (const connection of window.connections.slice(-1)) {
    const stats = await connection.getStats();
    for (const pair of stats.values())
      if (pair.type === "candidate-pair" && pair.nominated) {
        const local = stats.get(pair.localCandidateId);
        return { type: local.candidateType, protocol: local.relayProtocol ?? "", url: local.url ?? "" };
      }
  }
  return null;
}
"""


async def watch(url: str, seconds: float) -> dict[str, Any]:
    async with (
        chromium("--ignore-certificate-errors") as browser,
        opened_page(browser, "about:blank", script=NOTE_START, expected="Cross-Origin-Opener-Policy") as page,
    ):
        await page.goto(url)
        await expect(page.locator("#room")).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
        marks = await page.evaluate(READ_START)
        shown = await count_shown(page, seconds)
        return {"marks": marks, "shown": asdict(shown), "relay": await page.evaluate(RELAY_OF_PATH)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(watch(sys.argv[1], float(sys.argv[2])))))
