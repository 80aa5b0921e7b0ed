"""The console in a real Chromium: an operator signs in, sees everything of every account, and changes it. Where
VISAVIS_SCREENSHOTS names a folder, each view is saved there in both themes, for a person to look at.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.browser import BARRIERS, CHROMIUM, chromium, opened_page
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
TIMEOUT_MS = 30_000
OPERATOR = "operator"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@asynccontextmanager
async def console(server: LiveServer, browser: Browser, *, expected: str | None = None) -> AsyncIterator[Page]:
    """The console of an operator who has opened a link that signs in."""
    address = server.process.sign_in_address(OPERATOR, console=True)
    async with opened_page(browser, address, expected=expected) as page:
        await expect(page.get_by_role("navigation", name="Views")).to_be_visible(timeout=TIMEOUT_MS)
        yield page


async def choose(page: Page, view: str) -> None:
    await page.get_by_role("navigation", name="Views").get_by_role("link", name=view, exact=True).click()
    await expect(page.get_by_role("heading", name=view, level=2)).to_be_visible()
    await expect(page.get_by_role("status", name="Loading")).to_have_count(0, timeout=TIMEOUT_MS)


async def take_picture(page: Page, name: str) -> None:
    if folder := os.environ.get("VISAVIS_SCREENSHOTS"):
        await page.screenshot(path=Path(folder, f"console-{name}.png"))


async def started(sessions: SessionClient, look: str) -> str:
    session_id: str = (await sessions.create(look, {"user": "ann"}))["session_id"]
    await sessions.start(session_id)
    return session_id


async def test_the_console_is_an_operators_alone(server: LiveServer, browser: Browser) -> None:
    key = server.process.create_key("console admin", scopes=["admin"])
    async with opened_page(browser, f"{server.base_url}/console", expected="status of 401") as page:
        field = page.get_by_label("API key")
        await expect(field).to_be_focused(timeout=TIMEOUT_MS)
        assert await page.evaluate(BARRIERS) == []
        await take_picture(page, "sign-in-light")
        await page.keyboard.type("ah_live_" + "x" * 32)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="does not accept this key")).to_be_visible(timeout=TIMEOUT_MS)
        await field.fill(server.key)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="not an operator's")).to_be_visible(timeout=TIMEOUT_MS)
        await expect(page.get_by_role("navigation", name="Views")).to_have_count(0)
        await field.fill(key)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Sessions")).to_be_visible(timeout=TIMEOUT_MS)
        readable = await page.evaluate(
            "() => [document.cookie, JSON.stringify({...localStorage}), document.documentElement.outerHTML].join()"
        )
        assert key not in readable and await page.evaluate("document.cookie") == ""
        await page.get_by_role("button", name="Sign out").click()
        await expect(field).to_be_visible(timeout=TIMEOUT_MS)
        assert await page.context.cookies() == []


async def test_a_session_appears_by_itself_and_is_ended_with_the_keyboard(
    server: LiveServer, sessions: SessionClient, browser: Browser
) -> None:
    async with console(server, browser) as page:
        await page.get_by_label("State").select_option("Live")
        await expect(page.get_by_role("status", name="Loading")).to_have_count(0, timeout=TIMEOUT_MS)
        session_id = await started(sessions, server.look)
        row = page.locator(f'a[href$="{session_id}"]')
        await expect(row).to_have_text("Live", timeout=TIMEOUT_MS)
        await row.focus()
        await page.keyboard.press("Enter")
        end = page.get_by_role("button", name="End session")
        await expect(end).to_be_visible(timeout=TIMEOUT_MS)
        await expect(page.get_by_text("Frames a second")).to_be_visible(timeout=TIMEOUT_MS)
        await take_picture(page, "session-light")
        await end.press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Nobody watches it.")
        await take_picture(page, "question-light")
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await sessions.read(session_id, "started")
        await end.press("Enter")
        await dialog.get_by_role("button", name="End session").press("Enter")
        await expect(page.locator(".facts")).to_contain_text("Ended by operator", timeout=TIMEOUT_MS)
        await expect(page.get_by_role("table")).to_contain_text("Session ended", timeout=TIMEOUT_MS)
        await sessions.read(session_id, "ended")
        await expect(end).to_have_count(0)


async def test_a_key_is_shown_once(server: LiveServer, browser: Browser) -> None:
    async with console(server, browser) as page:
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await choose(page, "Keys")
        await page.get_by_role("button", name="New key").click()
        await page.get_by_label("Name", exact=True).fill("made in the console")
        await page.get_by_label("Create and end sessions").uncheck()
        await take_picture(page, "new-key-light")
        await page.get_by_role("button", name="Create key").click()
        shown = page.locator(".secret code")
        await expect(shown).to_have_text(re.compile("^ah_live_[A-Za-z0-9]{32}$"), timeout=TIMEOUT_MS)
        secret = (await shown.text_content()) or ""
        await page.get_by_role("button", name="Copy the key").click()
        assert await page.evaluate("navigator.clipboard.readText()") == secret
        await take_picture(page, "secret-light")
        await page.get_by_role("button", name="I have saved it").click()
        row = page.get_by_role("row").filter(has_text="made in the console")
        await expect(row).to_contain_text("Active", timeout=TIMEOUT_MS)
        assert secret not in await page.content()

        async def status(method: str = "GET") -> int:
            async with httpx.AsyncClient(base_url=server.base_url, headers={"x-api-key": secret}) as client:
                return (await client.request(method, "/v1/sessions")).status_code

        assert (await status(), await status("POST")) == (200, 403)
        await row.get_by_role("button", name="Revoke").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(row).to_contain_text("Revoked", timeout=TIMEOUT_MS)
        assert await status() == 401


async def test_a_plan_is_made_and_an_account_gets_it(server: LiveServer, browser: Browser) -> None:
    async with console(server, browser) as page:
        await choose(page, "Plans")
        await page.get_by_role("button", name="New plan").click()
        await page.get_by_label("Key", exact=True).fill("studio")
        await page.get_by_label("Name", exact=True).fill("Studio")
        await page.get_by_label("Sessions at once").fill("3")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator(".plan-card").filter(has_text="Studio")).to_contain_text("3", timeout=TIMEOUT_MS)
        await choose(page, "Accounts")
        await page.get_by_role("link", name=OPERATOR, exact=True).first.click()
        await expect(page.get_by_role("heading", name=OPERATOR)).to_be_visible(timeout=TIMEOUT_MS)
        await page.get_by_label("It holds at once").select_option("Studio")
        await expect(page.locator(".figures")).to_contain_text("of 3 at once", timeout=TIMEOUT_MS)
        await page.get_by_label("Minutes", exact=True).fill("120")
        await page.get_by_role("button", name="Add").click()
        await expect(page.get_by_text("120 of 120 minutes left")).to_be_visible(timeout=TIMEOUT_MS)
        await take_picture(page, "account-light")


async def test_a_webhook_is_made_tested_and_deleted_and_its_deliveries_are_sent_again(
    server: LiveServer, browser: Browser
) -> None:
    async with console(server, browser) as page:
        await choose(page, "Webhooks")
        await page.get_by_role("button", name="New webhook").click()
        await page.get_by_label("Address").fill("http://nowhere.invalid/hook")
        await page.get_by_role("dialog").get_by_label("Account").select_option(OPERATOR)
        await page.get_by_label("session.created").uncheck()
        await page.get_by_role("button", name="Create webhook").click()
        await expect(page.locator(".secret code")).to_contain_text("whsec_", timeout=TIMEOUT_MS)
        await page.get_by_role("button", name="I have saved it").click()
        row = page.get_by_role("row").filter(has_text="http://nowhere.invalid/hook")
        await expect(row).to_contain_text("9", timeout=TIMEOUT_MS)
        await row.get_by_role("link").first.click()
        await page.get_by_role("button", name="Send test event").click()
        delivery = page.locator(".deliveries > li").first
        await expect(delivery).to_contain_text("ping", timeout=TIMEOUT_MS)
        await delivery.locator("summary").press("Enter")
        await expect(delivery.locator("pre")).to_contain_text('"type": "ping"', timeout=TIMEOUT_MS)
        await take_picture(page, "webhook-light")
        await delivery.get_by_role("button", name="Send again").click()
        await expect(page.get_by_text("The event is sent again.")).to_be_visible(timeout=TIMEOUT_MS)
        await page.get_by_role("button", name="Disable").click()
        await expect(page.locator(".facts")).to_contain_text("Disabled", timeout=TIMEOUT_MS)
        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("The webhook is deleted.")).to_be_visible(timeout=TIMEOUT_MS)
        await expect(row).to_have_count(0, timeout=TIMEOUT_MS)


async def test_a_server_that_does_not_answer_is_told_and_asked_again(server: LiveServer, browser: Browser) -> None:
    async with console(server, browser, expected="") as page:
        await page.route("**/v1/admin/**", lambda route: route.abort())
        await page.get_by_role("navigation").get_by_role("link", name="Keys").click()
        failure = page.get_by_role("alert")
        await expect(failure).to_contain_text("The server does not answer", timeout=TIMEOUT_MS)
        await take_picture(page, "failure-light")
        await page.unroute("**/v1/admin/**")
        await failure.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("table")).to_be_visible(timeout=TIMEOUT_MS)
        await expect(failure).to_have_count(0)
