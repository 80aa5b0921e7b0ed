"""<visavis-avatar> in somebody's page, in a real Chromium: under a strict content security policy, moved in the page,
with sound that the browser blocks, and removed at any time.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any
from urllib.parse import urljoin

import anyio
import httpx
import pytest
from playwright.async_api import Browser, Response, Route, expect

from tests.e2e.browser import BLOCK_SOUND, CHROMIUM, chromium, opened_page
from tests.live_server import LiveServer
from visavis.sessions.browser_tokens import REJOIN_MS
from visavis.sessions.tokens import token_hash

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
TIMEOUT_MS, REJOIN_S = 30_000, REJOIN_MS / 1000

PAGE = """<!doctype html><html lang="en"><title>Somebody's page</title>
<main><div id="left"></div><div id="right"></div><button id="sound">Sound</button></main>
<script type="module" src="/somebody.js"></script></html>"""

PLACE = """
window.told = [];
window.faults = [];
addEventListener("unhandledrejection", ({ reason }) => faults.push(String(reason)));
addEventListener("securitypolicyviolation", ({ violatedDirective }) => faults.push(violatedDirective));
window.place = (where, room, token, others = {}) => {
  const avatar = document.createElement("visavis-avatar");
  for (const name of ["state", "error", "ended"])
    avatar.addEventListener(name, ({ detail }) => {
      told.push([name, detail?.name ?? detail?.reason ?? detail]);
      (avatar.told ??= []).push(told.at(-1));
    });
  for (const [name, value] of Object.entries({ room, token, ...others })) avatar.setAttribute(name, value);
  document.querySelector(where).append(avatar);
  return avatar;
};
"""
SCRIPT = f"""
import "/client.js";
{PLACE}
document.querySelector("#sound").onclick = () => document.querySelector("visavis-avatar").unlock();
"""


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def test_in_somebodys_page(browser: Browser, server: LiveServer, http: httpx.AsyncClient) -> None:
    created = (await http.post("/v1/sessions", json={"avatar": server.look})).json()["session"]
    address = f"/v1/sessions/{created['session_id']}"
    room, token = created["room"]["url"], (await http.post(f"{address}/tokens", json={"purpose": "watch"})).json()
    policy = f"default-src 'none'; script-src 'self'; connect-src {server.base_url}"

    async def answer(route: Route) -> None:
        is_script = route.request.url.endswith(".js")
        await route.fulfill(
            body=SCRIPT if is_script else PAGE,
            content_type="text/javascript" if is_script else "text/html",
            headers={"content-security-policy": policy},
        )

    async def watching() -> int:
        return int((await http.get(f"{address}/metrics")).json()["metrics"]["viewers"]["watching"])

    # Chromium reports each request that is refused or broken off.
    async with opened_page(browser, "about:blank", expected="Failed to load", script=BLOCK_SOUND) as page:
        await page.route(f"{server.base_url}/somebody*", answer)
        await page.goto(f"{server.base_url}/somebody")
        await page.evaluate("(link) => void window.place('#left', ...link)", [room, token["token"]["token"]])
        avatar = page.locator("visavis-avatar")
        await expect(avatar).to_have_attribute("state", "live", timeout=TIMEOUT_MS)

        # React before 19 writes a property that is false as an attribute, later versions set the property
        muted: list[Any] = await page.evaluate(
            """() => {
              const avatar = document.querySelector("visavis-avatar");
              avatar.setAttribute("muted", "false");
              const before = [avatar.muted, avatar.avatar.muted];
              avatar.muted = false;
              return [...before, avatar.muted, avatar.hasAttribute("muted"), avatar.audible];
            }"""
        )
        assert muted == [False, False, False, False, False], "it is not muted, and the browser blocks its sound"
        await page.locator("#sound").click()
        await page.wait_for_function("document.querySelector('visavis-avatar').audible", timeout=TIMEOUT_MS)

        steps: list[Any] = await page.evaluate(
            """async () => {
              const avatar = document.querySelector("visavis-avatar"), video = avatar.shadowRoot.querySelector("video");
              const shown = () => video.getVideoPlaybackQuality().totalVideoFrames;
              document.querySelector("#right").append(avatar);
              document.querySelector("#left").prepend(avatar);
              const before = shown();
              while (shown() < before + 10) await new Promise((resolve) => setTimeout(resolve, 20));
              return [connections.length, avatar.state];
            }"""
        )
        assert steps == [1, "live"], "an element that is moved keeps its connection, and shows pictures"
        async with asyncio.timeout(TIMEOUT_MS / 1000):
            while await watching() != 1:  # noqa: ASYNC110  # the stage counts once in a second
                await anyio.sleep(0.1)

        await page.evaluate(
            """async ([room, token]) => {
              for (const afterMs of [0, 1, 30, 100, 300]) {  // while it connects
                const passing = place("#right", room, token);
                if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
                passing.remove();
              }
              place("#right", room, "vvt_wrong");
            }""",
            [room, token["token"]["token"]],
        )
        await expect(page.locator("#right visavis-avatar")).to_have_attribute("state", "refused", timeout=TIMEOUT_MS)
        await page.evaluate("document.querySelectorAll('#right visavis-avatar').forEach((one) => one.remove())")
        while await watching() > 1:  # noqa: ASYNC110  # the server is asked
            await anyio.sleep(0.1)
        states: list[str] = await page.evaluate("told.filter(([name]) => name === 'state').map(([_, state]) => state)")
        assert "refused" in states and "reconnecting" not in states, states
        assert (await http.post(f"{address}/end")).json()["session"]["status"] == "ended"
        await expect(avatar).to_have_attribute("state", "ended", timeout=TIMEOUT_MS)
        told: list[list[str]] = await page.evaluate("told")
        assert [detail for name, detail in told if name == "ended"] == ["ended_by_client"], told
        assert await page.evaluate("faults") == []


async def test_it_tells_a_refusal_or_an_end_and_never_both(
    browser: Browser, server: LiveServer, http: httpx.AsyncClient
) -> None:
    created = (await http.post("/v1/sessions", json={"avatar": server.look})).json()["session"]
    address, room = f"/v1/sessions/{created['session_id']}", created["room"]["url"]
    tokens = {
        purpose: (await http.post(f"{address}/tokens", json={"purpose": purpose})).json()["token"]["token"]
        for purpose in ("watch", "speak")
    }
    # A page that a route answers may open no channel: Chromium takes it for one of another network.
    async with opened_page(browser, f"{server.base_url}/healthz", expected="Failed to load") as page:
        await page.evaluate(f"import('/client.js').then(() => {{ {PLACE} }})")

        async def told(token: str, speak_token: str = "") -> list[list[str]]:
            """What an element tells with these tokens, until it is refused or has ended."""
            speaks = {"session": created["session_id"], "speak-token": speak_token} if speak_token else {}
            link: list[Any] = [room, token, speaks]
            await page.evaluate("(link) => { window.newest = place('body', ...link); }", link)
            avatar = page.locator("visavis-avatar")
            await expect(avatar).to_have_attribute("state", re.compile("refused|ended"), timeout=TIMEOUT_MS)
            await page.evaluate("new Promise((resolve) => setTimeout(resolve, 100))")  # whatever else it tells
            steps: list[list[str]] = await page.evaluate("newest.told")
            await page.evaluate("newest.remove()")
            return [step for step in steps if step[1] not in ("connecting", "waiting", "live")]

        assert await told("") == [["state", "refused"], ["error", "InvalidOptions"]]
        assert await told("vvt_wrong") == [["state", "refused"]]
        assert await told("ah_live_key") == [["state", "refused"], ["error", "ApiKeyRefused"]]
        assert await told(tokens["watch"], "vvt_wrong") == [["state", "refused"], ["error", "Refused"]]
        await http.post(f"{address}/end")
        assert await told(tokens["watch"]) == [["state", "ended"], ["ended", "ended_by_client"]]
        assert await told(tokens["watch"], tokens["speak"]) == [["state", "ended"], ["ended", "ended_by_client"]]
        assert await page.evaluate("faults") == []


async def test_a_token_that_has_run_out_is_renewed_once_when_the_room_is_joined_again(
    browser: Browser, server: LiveServer, http: httpx.AsyncClient
) -> None:
    """Whoever was in may come back with the old one for a minute. The page is not loaded again."""
    created = (await http.post("/v1/sessions", json={"avatar": server.look})).json()["session"]
    address, room = f"/v1/sessions/{created['session_id']}", created["room"]["url"]
    tokens = [
        (await http.post(f"{address}/tokens", json={"purpose": "watch"})).json()["token"]["token"] for _ in range(2)
    ]
    operator = {"authorization": f"Bearer {created['room']['token']}"}
    viewers: asyncio.Queue[str] = asyncio.Queue()  # the address of each connection

    def note(response: Response) -> None:
        if response.request.method == "POST" and response.status == 201:
            viewers.put_nowait(urljoin(response.url, response.headers["location"]))

    async with opened_page(browser, f"{server.base_url}/healthz", expected="Failed to load") as page:
        page.on("response", note)
        await page.evaluate(f"import('/client.js').then(() => {{ {PLACE} }})")
        await page.evaluate(
            """([room, tokens]) => {
              window.asked = [];
              const avatar = place("body", room, "");
              avatar.getToken = (purpose) => { asked.push(purpose); return tokens[asked.length - 1]; };
            }""",
            [room, tokens],
        )
        avatar = page.locator("visavis-avatar")
        await expect(avatar).to_have_attribute("state", "live", timeout=TIMEOUT_MS)
        connection = await viewers.get()
        for expired_s, asked in ((1.0, ["watch"]), (REJOIN_S + 1.0, ["watch", "watch"])):
            expire(server, tokens[0], ago_s=expired_s)
            assert (await http.delete(connection, headers=operator)).status_code == 200
            connection = await viewers.get()
            await expect(avatar).to_have_attribute("state", "live", timeout=TIMEOUT_MS)
            assert await page.evaluate("asked") == asked
        await page.evaluate(
            """async () => {
              const video = document.querySelector("visavis-avatar").shadowRoot.querySelector("video");
              const shown = () => video.getVideoPlaybackQuality().totalVideoFrames;
              const before = shown();
              while (shown() < before + 10) await new Promise((resolve) => setTimeout(resolve, 20));
            }"""
        )
        assert await page.evaluate("told.filter(([_, state]) => state === 'refused' || state === 'ended')") == []
        assert await page.evaluate("faults") == []
    assert (await http.post(f"{address}/end")).status_code == 200


def expire(server: LiveServer, token: str, *, ago_s: float) -> None:
    """Let a token have run out so long ago."""
    at_ms = round(1000 * (time.time() - ago_s))
    assert server.process.data_dir is not None
    with closing(sqlite3.connect(server.process.data_dir / "visavis.db", timeout=10)) as database, database:
        change = "UPDATE browser_tokens SET expires_at_ms = ? WHERE hash = ?"
        assert database.execute(change, (at_ms, token_hash(token))).rowcount == 1
