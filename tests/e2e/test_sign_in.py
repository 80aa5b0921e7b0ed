"""Signing in with Chromium: no script finds the key, a link works once, and pages of other origins can do nothing."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.e2e.browser import CHROMIUM, chromium, opened_page
from tests.live_server import LiveServer
from visavis.demo.server_process import free_port

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
TIMEOUT_MS = 30_000

# Everything that a script of the page can read: its storage, its cookies, its address, its document.
READABLE = """async () => [document.cookie, JSON.stringify({...localStorage}), JSON.stringify({...sessionStorage}),
    location.href, document.documentElement.outerHTML, JSON.stringify(history.state),
    JSON.stringify(await (await fetch('sign-in')).json()),
    ...Array.from(document.querySelectorAll('input'), (field) => field.value)].join('\\n')"""
# What a page of another origin may try. Same host, other port: the browser does send the cookie.
FORGE = """async (server) => {
    const kinds = [['GET', '/v1/sessions', null], ['POST', '/v1/sessions', 'text/plain'],
                   ['POST', '/v1/sessions', 'application/json'], ['POST', '/sign-in', 'text/plain'],
                   ['DELETE', '/sign-in', null], ['GET', '/sign-in', null]];
    const seen = [];
    for (const [method, path, type] of kinds) {
      const body = method === 'POST' ? JSON.stringify({avatar_id: 'avat_x', key: 'x'}) : undefined;
      const headers = type === null ? {} : {'content-type': type};
      for (const mode of ['cors', 'no-cors'])
        try {
          seen.push((await fetch(server + path, {method, body, headers, mode, credentials: 'include'})).type);
        } catch (error) { seen.push('failed'); }
    }
    return seen;
}"""


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def is_signed_in(page: Page) -> bool:
    return (await page.evaluate("async () => (await (await fetch('/sign-in')).json()).sign_in")) is not None


async def take_picture(page: Page, name: str) -> None:
    """Save a screenshot for a person to look at, where VISAVIS_SCREENSHOTS names a folder."""
    if folder := os.environ.get("VISAVIS_SCREENSHOTS"):
        await page.screenshot(path=Path(folder, f"{name}.png"))


async def test_a_typed_key_is_nowhere_in_the_page(server: LiveServer, browser: Browser) -> None:
    posted: list[str] = []
    async with opened_page(browser, server.base_url, expected="status of 401") as page:
        page.on("request", lambda request: posted.extend([request.url] * (server.key in (request.post_data or ""))))
        await page.get_by_label("API key").fill("ah_live_" + "x" * 32)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="does not accept this key")).to_be_visible(timeout=TIMEOUT_MS)
        await page.get_by_label("API key").fill(server.key)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=TIMEOUT_MS)
        assert server.key not in await page.evaluate(READABLE)
        assert await page.evaluate("document.cookie") == ""
        assert posted == [f"{server.base_url}/sign-in"]
        (cookie,) = await page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict") and server.key not in cookie["value"]

        await page.reload()
        await expect(page.locator(".player")).to_have_attribute("data-phase", "live", timeout=TIMEOUT_MS)
        assert server.key not in await page.evaluate(READABLE)
        await take_picture(page, "signed-in-light")
        await page.get_by_role("button", name="Use the dark theme").click()
        await take_picture(page, "signed-in-dark")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("API key")).to_be_visible(timeout=TIMEOUT_MS)
        await take_picture(page, "signed-out-dark")
        assert await page.context.cookies() == []


async def test_a_link_signs_in_once(server: LiveServer, browser: Browser) -> None:
    address = server.sign_in_address()
    async with opened_page(browser, address, expected="status of 401") as page:
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=TIMEOUT_MS)
        assert page.url == f"{server.base_url}/"
        await page.goto("about:blank")
        await page.goto(address)  # the same browser goes on with what the link has begun
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=TIMEOUT_MS)
    async with opened_page(browser, address, expected="status of 401") as page:
        await expect(page.get_by_role("heading", name="used before")).to_be_visible(timeout=TIMEOUT_MS)
        assert not await is_signed_in(page)
        await take_picture(page, "used-link-light")


async def test_pages_of_other_origins_can_do_nothing(server: LiveServer, browser: Browser) -> None:
    other = f"http://127.0.0.1:{free_port()}"

    async def foreign_page(route: Route) -> None:
        await route.fulfill(body="<!doctype html><title>Another origin</title>", content_type="text/html")

    def newest() -> list[dict[str, object]]:
        headers = {"x-api-key": server.key}
        listed: list[dict[str, object]] = httpx.get(f"{server.base_url}/v1/sessions", headers=headers).json()[
            "sessions"
        ]
        return listed

    async with opened_page(browser, server.sign_in_address(), expected="") as page:
        await expect(page.locator(".player")).to_have_attribute("data-phase", "live", timeout=TIMEOUT_MS)
        before = newest()
        foreign = await page.context.new_page()
        await foreign.route(f"{other}/**", foreign_page)
        await foreign.goto(other)
        seen = await foreign.evaluate(FORGE, server.base_url)
        assert set(seen) <= {"failed", "opaque"}, "a page of another origin reads an answer"
        assert [one["session_id"] for one in newest()] == [one["session_id"] for one in before]
        assert await is_signed_in(page), "a page of another origin has signed the operator out"
        await foreign.evaluate(
            """(address) => {
              document.body.innerHTML = `<form method=post enctype=text/plain action="${address}">
                <input name='{"avatar_id":"' value='"}'></form>`;
              document.querySelector('form').submit();
            }""",
            f"{server.base_url}/v1/sessions",
        )
        await expect(foreign.locator("body")).to_contain_text("REQUEST_FORGED", timeout=TIMEOUT_MS)
        assert len(newest()) == len(before)
