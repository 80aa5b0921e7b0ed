"""All pages in a real Chromium, in German: axe finds no violation in either theme, everything fits a phone, and all
is in the language of the browser until the visitor chooses another. The other tests of the pages see them in English.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser, FilePayload, Page, Route, expect

from tests.e2e.accessibility import AXE, Inspector
from tests.e2e.browser import CHROMIUM, chromium, opened_page
from tests.e2e.wire_session import running_session
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(not AXE.exists(), reason="`npm ci` was not called in web/"),
]
TIMEOUT_MS = 30_000
VIEWS = ["sessions", "avatars", "accounts", "keys", "plans", "webhooks", "capacity", "audit"]


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def loaded(page: Page) -> None:
    await expect(page.locator(".skeleton")).to_have_count(0, timeout=TIMEOUT_MS)


async def choose(page: Page, view: str) -> None:
    await page.locator(f'nav a[href="#/{view}"]').click()
    await expect(page.locator(f'nav a[href="#/{view}"]')).to_have_attribute("aria-current", "page")
    await loaded(page)


async def made_webhook(server: LiveServer) -> str:
    """Return the id of a webhook that has a delivery."""
    key = server.process.create_key("operator", scopes=["admin", "webhooks:write"])
    async with httpx.AsyncClient(base_url=server.base_url, headers={"x-api-key": key}) as http:
        made = await http.post("/v1/webhooks", json={"url": "http://nowhere.invalid/hook"})
        webhook_id: str = made.json()["webhook"]["webhook_id"]
        await http.post(f"/v1/webhooks/{webhook_id}/ping")
    return webhook_id


async def test_the_console_has_no_violation_in_any_view(
    server: LiveServer, sessions: SessionClient, browser: Browser
) -> None:
    webhook_id = await made_webhook(server)
    session_id = (await sessions.create(server.look, {"user": "ann"}))["session_id"]
    await sessions.start(session_id)
    async with opened_page(browser, f"{server.base_url}/console", locale="de-AT") as page:
        inspector = Inspector(page)
        await expect(page.locator("input[type=password]")).to_be_focused(timeout=TIMEOUT_MS)
        await inspector.look("console-sign-in")
        await page.goto("about:blank")  # else only the fragment of the address changes
        await page.goto(server.process.sign_in_address("operator", console=True))
        await expect(page.locator("nav.places")).to_be_visible(timeout=TIMEOUT_MS)
        for view in VIEWS:
            await choose(page, view)
            await inspector.look(f"console-{view}")
            await inspector.walk(f"console-{view}", presses=8)
            if view in ("keys", "plans", "webhooks"):
                await page.locator(".view-head .solid[type=button]").click()
                await inspector.look(f"console-new-{view}")
                await expect(page.locator("dialog :focus")).to_have_count(1)
                await page.keyboard.press("Escape")
                await expect(page.locator(".view-head .solid[type=button]")).to_be_focused()
        await page.goto(f"{server.base_url}/console#/webhooks/{webhook_id}")
        await page.locator(".deliveries summary").first.click(timeout=TIMEOUT_MS)
        await expect(page.locator(".deliveries pre")).to_be_visible(timeout=TIMEOUT_MS)
        await inspector.look("console-webhook")
        await page.goto(f"{server.base_url}/console#/sessions/{session_id}")
        await expect(page.locator(".facts")).to_be_visible(timeout=TIMEOUT_MS)
        await inspector.look("console-session")
        await page.locator(".view-actions button").click()
        await inspector.look("console-question")
        await page.locator("dialog .danger").click()
        await expect(page.locator(".view-actions button")).to_have_count(0, timeout=TIMEOUT_MS)
        await page.locator('.facts a[href^="#/accounts/"]').click()
        await expect(page.locator(".halves")).to_be_visible(timeout=TIMEOUT_MS)
        await loaded(page)
        await inspector.look("console-account")
    assert inspector.faults == [], "\n".join(inspector.faults)


async def test_the_playground_has_no_violation_in_any_state(server: LiveServer, browser: Browser) -> None:
    async def refuse(route: Route) -> None:
        error = {"code": "NO_FACE", "message": "No face", "suggestion": "Try another"}
        await route.fulfill(status=400, body=json.dumps({"success": False, "error": error}))

    async with opened_page(browser, server.base_url, expected="400", locale="de") as page:
        inspector = Inspector(page)
        await expect(page.locator("input[type=password]")).to_be_focused(timeout=TIMEOUT_MS)
        await inspector.look("playground-sign-in")
        await expect(page.locator("html")).to_have_attribute("lang", "de")
        await expect(page.get_by_role("heading", level=2, name="Lernen Sie Ihren Avatar kennen")).to_be_visible()
        await page.get_by_role("button", name="English").click()
        await page.reload()
        await expect(page.get_by_role("heading", name="Meet your avatar")).to_be_visible(timeout=TIMEOUT_MS)
        await expect(page.locator("html")).to_have_attribute("lang", "en")
        await page.get_by_role("button", name="Deutsch").click()
        await expect(page.get_by_role("button", name="Anmelden")).to_be_visible()
        await page.locator("input[type=password]").focus()
        await page.keyboard.type(server.key)
        await page.keyboard.press("Enter")
        await expect(page.locator(".player")).to_have_attribute("data-shown", "true", timeout=TIMEOUT_MS)
        for tab in ("output", "log", "code"):
            await page.locator(f"#tab-{tab}").click()
            await inspector.look(f"playground-{tab}")
            await inspector.walk(f"playground-{tab}", presses=12)
        await page.route("**/upload-face", refuse)
        photo: FilePayload = {"name": "no face.png", "mimeType": "image/png", "buffer": PIXEL}
        await page.locator(".avatars input[type=file]").set_input_files(photo)
        await expect(page.locator(".upload.failed")).to_be_visible(timeout=TIMEOUT_MS)
        await inspector.look("playground-refused-photo")
        await page.locator(".upload.failed .control").click()
        await inspector.look("playground-points")
        await page.keyboard.press("Escape")
        await page.locator(".controls > .control").last.click()
        await expect(page.locator(".player")).to_have_attribute("data-phase", "ended", timeout=TIMEOUT_MS)
        await inspector.look("playground-ended")
    assert inspector.faults == [], "\n".join(inspector.faults)


async def test_the_room_page_has_no_violation_in_any_state(
    server: LiveServer, sessions: SessionClient, browser: Browser
) -> None:
    async with (
        running_session(server, sessions) as (session, _),
        opened_page(browser, session["daily_room"]["url"], expected="410 (Gone)", locale="de") as page,
    ):
        inspector = Inspector(page, themes=("dark",))  # the room page has one theme
        await expect(page.locator("#token")).to_be_focused(timeout=TIMEOUT_MS)
        await inspector.look("room-token")
        await page.keyboard.type(session["daily_room"]["token"])
        await page.keyboard.press("Enter")
        await expect(page.locator("#room")).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
        await inspector.look("room-live")
        await sessions.end(session["session_id"])
        await expect(page.locator("#room")).to_have_attribute("data-state", "ended", timeout=TIMEOUT_MS)
        await inspector.look("room-ended")
        await expect(page.get_by_role("status")).to_have_text(
            "Die Sitzung ist beendet. Der Raum ist geschlossen. Sie können diese Seite schließen."
        )
    assert inspector.faults == [], "\n".join(inspector.faults)


# A picture of one pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005fe02fe0def46b8"
    "0000000049454e44ae426082"
)
