"""`python -m tests.e2e.browser_viewer BROWSER URL PICTURES`: a browser (chromium, firefox) that watches a room's page
until it has shown so many pictures.

It is a program of its own so that it can run in another network namespace. Prints one JSON object: what `COUNT_SHOWN`
returned last, with all the pictures. Fails if WITHIN_WINDOWS_S are not enough for them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from tests.e2e.browser import chromium, opened_page
from tests.e2e.firefox import firefox
from tests.networks.viewing import COUNT_SHOWN

IS_LIVE = """async () => {
  while (document.querySelector("#room")?.dataset.state !== "live")
    await new Promise((resolve) => setTimeout(resolve, 50));
}"""
# Chromium hides its addresses behind names of mDNS. Where no mDNS can be, as in a namespace with IPv6 alone, it never
# finds a candidate, and checks none. A page that has the microphone shows its addresses, too.
SHOW_ADDRESSES = "--disable-features=WebRtcHideLocalIpsWithMdns"
NOT_HTTPS = "the URL's origin was untrustworthy"  # it is HTTP, from another machine
WITHIN_S = 45.0
WINDOW_S, WITHIN_WINDOWS_S = 1.0, 5.0


class Page(Protocol):
    """What the pages of both browsers have in common."""

    async def evaluate(self, function: str, argument: Any = ..., /) -> Any: ...


@asynccontextmanager
async def _in_chromium(url: str) -> AsyncIterator[Page]:
    async with chromium(SHOW_ADDRESSES) as browser, opened_page(browser, url, expected=NOT_HTTPS) as page:
        yield page


@asynccontextmanager
async def _in_firefox(url: str) -> AsyncIterator[Page]:
    async with firefox() as browser, browser.opened_page(url) as page:
        yield page


async def watch(page: Page, seconds: float) -> dict[str, Any]:
    """Wait until the page shows its room, and count pictures; return what `COUNT_SHOWN` does."""
    async with asyncio.timeout(WITHIN_S + seconds):
        await page.evaluate(IS_LIVE)
        shown: dict[str, Any] = await page.evaluate(COUNT_SHOWN, seconds)
    return shown


async def watch_pictures(page: Page, pictures: int) -> dict[str, Any]:
    """Wait until the page shows its room, and until it has shown so many pictures."""
    shown: dict[str, Any] = {"shown": 0}
    windows = 0
    while shown["shown"] < pictures and windows * WINDOW_S < WITHIN_WINDOWS_S:
        last = await watch(page, WINDOW_S)
        shown, windows = last | {"shown": shown["shown"] + last["shown"]}, windows + 1
    assert shown["shown"] >= pictures, shown
    return shown


async def main(name: str, url: str, pictures: int) -> None:
    opened: AbstractAsyncContextManager[Page] = {"chromium": _in_chromium, "firefox": _in_firefox}[name](url)
    async with opened as page:
        print(json.dumps(await watch_pictures(page, pictures)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
