"""`python -m tests.e2e.session_elsewhere FOLDER STAGE_URL OWN_ADDRESS`: one session on a stage of another machine.

Runs a server whose only stage is at STAGE_URL, a session, and a browser that watches it. Prints one JSON object with
the browser's measurements, and writes a screenshot to FOLDER/seen.png. FOLDER contains `stage.token` and `stage.pem`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import expect

from tests.e2e.browser import RECEIVED, WATCH, chromium, opened_page
from tests.e2e.wire_session import receive, running_session, speak
from tests.live_server import LiveServer
from visavis.demo.server_process import ServerProcess, free_port
from visavis.demo.session_client import SessionClient
from visavis.library import SAMPLE

TIMEOUT_MS = 30_000


async def watch_a_session(server: LiveServer, folder: Path) -> dict[str, Any]:
    """Return a browser's measurements of a session while it is idle and while it speaks."""
    async with (
        httpx.AsyncClient(base_url=server.base_url, headers={"x-api-key": server.key}, timeout=30) as http,
        chromium() as browser,
        running_session(server, SessionClient(http), "playback") as (session, channel),
    ):
        room = session["daily_room"]
        async with opened_page(browser, f"{room['url']}?t={room['token']}", expected="410 (Gone)") as page:
            await expect(page.locator("#room")).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
            idle = await page.evaluate(WATCH, 50)
            await speak(channel, SAMPLE, "sample")
            assert (await receive(channel))["type"] == "agent.playback.started"
            talking = await page.evaluate(WATCH, 75)
            received = await page.evaluate(RECEIVED)
            await page.screenshot(path=folder / "seen.png")
            await channel.send(json.dumps({"type": "agent.interrupt"}))
            answers = [await receive(channel) for _ in range(2)]
    return {"idle": idle, "talking": talking, "received": received, "answers": answers}


def main() -> None:
    folder, stage_url, own_address = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    port = free_port()
    settings = {
        "VISAVIS_STAGE_ADDRESSES": json.dumps([stage_url]),
        "VISAVIS_STAGE_TOKEN": (folder / "stage.token").read_text(),
        "VISAVIS_STAGE_CA_FILE": str(folder / "stage.pem"),
        "VISAVIS_STAGE_SOURCE_URL": f"http://{own_address}:{port}",
        "VISAVIS_RATE_LIMIT_PER_MINUTE": "100000",
    }
    data_dir, log = folder / "server", folder / "server.log"
    with ServerProcess(host="0.0.0.0", port=port, data_dir=data_dir, log=log, settings=settings) as process:
        process.wait_ready()
        key = process.create_key("tests")
        with httpx.Client(base_url=process.base_url, headers={"x-api-key": key}) as http:
            character = http.get("/v1/avatars/public").json()["avatars"][0]["avatar_id"]
            looks = http.get("/v1/avatars", params={"parent_id": character, "characters_only": "false"}).json()
        server = LiveServer(base_url=process.base_url, key=key, look=looks["avatars"][0]["avatar_id"], process=process)
        print(json.dumps(asyncio.run(watch_a_session(server, folder))))


if __name__ == "__main__":
    main()
