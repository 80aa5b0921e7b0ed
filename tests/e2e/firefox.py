"""A real headless Firefox, driven over WebDriver BiDi (https://w3c.github.io/webdriver-bidi/).

Playwright drives only a Firefox of its own, which the package registries do not have. This one is the system's.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.browser import KEEP_CONNECTIONS

FIREFOX = os.environ.get("VISAVIS_FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
START_WITHIN_S = 90.0
ANSWER_WITHIN_S = 60.0
POLL_MS = 50
PREFERENCES = {
    "media.autoplay.default": 0,  # sound needs no gesture
    "media.gmp-manager.updateEnabled": False,  # no downloads of codecs
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "app.normandy.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}


class PageFailed(AssertionError):
    """A script of a test has thrown an exception in the page."""


class Page:
    """One tab, in a profile of its own. `errors`: those that its console has shown."""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self._firefox, self._context = firefox, context
        self.errors: list[str] = []

    async def goto(self, url: str) -> None:
        await self._firefox.ask("browsingContext.navigate", context=self._context, url=url, wait="interactive")

    async def evaluate(self, function: str, *arguments: object) -> Any:
        """Call a JavaScript function with arguments that JSON can tell; return its result, also of a promise."""
        told = await self._firefox.ask(
            "script.callFunction",
            functionDeclaration=f"async (all) => JSON.stringify(await ({function})(...JSON.parse(all)) ?? null)",
            arguments=[{"type": "string", "value": json.dumps(arguments)}],
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        if told["type"] != "success":
            raise PageFailed(told["exceptionDetails"]["text"])
        return json.loads(told["result"]["value"])

    async def until(self, condition: str) -> Any:
        """Wait until a JavaScript function returns something true; return that."""
        return await self.evaluate(
            f"""async () => {{
              for (;;) {{
                const found = await ({condition})();
                if (found) return found;
                await new Promise((resolve) => setTimeout(resolve, {POLL_MS}));
              }}
            }}"""
        )


class Firefox:
    """A running browser. Requests may be made side by side."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}

    async def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command; return its result. Raises `AssertionError` for one that failed."""
        number = next(self._numbers)
        answered = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer = await answered
        assert answer["type"] == "success", answer
        result: dict[str, Any] = answer["result"]
        return result

    async def listen(self) -> None:
        """Take what the browser tells, until it has closed."""
        async for text in self._connection:
            told = json.loads(text)
            if told["type"] != "event":
                self._waiting.pop(told["id"]).set_result(told)
            elif told["method"] == "log.entryAdded" and told["params"]["level"] in ("error", "warn"):
                page = self._pages.get(told["params"]["source"].get("context"))
                if page is not None:
                    page.errors.append(f"{told['params']['level']}: {told['params']['text']}")

    @asynccontextmanager
    async def opened_page(self, url: str, *, expected: str | None = None, script: str = "") -> AsyncIterator[Page]:
        """As `browser.opened_page` does."""
        user = (await self.ask("browser.createUserContext"))["userContext"]
        try:
            created = await self.ask("browsingContext.create", type="tab", userContext=user)
            page = self._pages[created["context"]] = Page(self, created["context"])
            await self.ask(
                "script.addPreloadScript",
                functionDeclaration=f"() => {{ {KEEP_CONNECTIONS} {script} }}",
                contexts=[created["context"]],
            )
            await page.goto(url)
            yield page
        finally:
            with suppress(AssertionError):
                await self.ask("browser.removeUserContext", userContext=user)
        faults = [one for one in page.errors if expected is None or expected not in one]
        assert not faults, faults


@asynccontextmanager
async def firefox(*launcher: str) -> AsyncIterator[Firefox]:
    """Start a Firefox. `launcher`: the words before its command, such as those that enter another namespace."""
    assert FIREFOX is not None
    with tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as folder:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
        (Path(folder) / "user.js").write_text("".join(lines))
        process = await asyncio.create_subprocess_exec(
            *launcher,
            FIREFOX,
            *("--headless", "--no-remote", "--profile", folder, "--remote-debugging-port", "0"),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
        )
        reading: asyncio.Task[None] | None = None
        try:
            address = await _address_of(process)
            reading = asyncio.create_task(_read_on(process))
            async with connect(f"{address}/session", max_size=None) as connection:
                opened = Firefox(connection)
                listening = asyncio.create_task(opened.listen())
                try:
                    await opened.ask("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
                    await opened.ask("session.subscribe", events=["log.entryAdded"])
                    yield opened
                finally:
                    listening.cancel()
                    await asyncio.wait([listening])
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            if reading is not None:
                await reading


async def _address_of(process: Process) -> str:
    """Return the address that Firefox tells when it listens."""
    assert process.stderr is not None
    said: Sequence[str] = ()
    async with asyncio.timeout(START_WITHIN_S):
        while line := (await process.stderr.readline()).decode(errors="replace"):
            found = re.search(r"WebDriver BiDi listening on (ws://\S+)", line)
            if found is not None:
                return found[1]
            said = [*said, line]
    raise AssertionError(f"Firefox did not start: {said}")


async def _read_on(process: Process) -> None:
    assert process.stderr is not None
    while await process.stderr.read(65_536):
        pass
