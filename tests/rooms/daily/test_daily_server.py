"""A server with stages that find the double of daily-python, and Daily's REST API on a port of this machine: a hosted
session from its create until its room is deleted.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.faults.restarts import WITHIN_S, place
from tests.processes import PYTHON_PATH
from tests.proxy_rooms.daily_api import KEY, daily_api
from tests.rooms.daily.module import daily
from tests.sounds import tone

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

DOUBLE = Path(daily.__file__).read_text()
NO_LOG = "LOG: str | None = None"


async def test_a_hosted_session_in_a_daily_room(tmp_path: Path) -> None:
    log = tmp_path / "daily.jsonl"

    def done() -> list[dict[str, Any]]:
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    async def until(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():  # noqa: ASYNC110  # another process writes
                await asyncio.sleep(0.05)

    module = tmp_path / "module" / "daily.py"
    module.parent.mkdir()
    module.write_text(DOUBLE.replace(NO_LOG, f"LOG: str | None = {str(log)!r}"))
    environment = {
        "PYTHONPATH": os.pathsep.join((str(module.parent), PYTHON_PATH)),
        "VISAVIS_ROOM_PROVIDER": "daily",
        "VISAVIS_DAILY_API_KEY": KEY,
    }
    with daily_api() as api, place(tmp_path, VISAVIS_DAILY_API_URL=api.url, **environment) as service:
        service.start()
        await service.ready()
        async with httpx.AsyncClient(base_url=service.base_url, headers=service.headers, timeout=WITHIN_S) as http:
            look = (await http.get("/v1/avatars?view=flat")).json()["public_avatars"][0]["avatar_id"]
            session = (await http.post("/v1/sessions", json={"avatar_id": look})).json()["session"]
            room, ws_uri = session["daily_room"], "try_again"
            while ws_uri == "try_again":
                started = await http.put(f"/v1/sessions/{session['session_id']}/start")
                assert started.status_code == 200, started.text
                ws_uri = started.json()["ws_uri"]
            shown = (await http.get(f"/v1/sessions/{session['session_id']}")).json()["session"]
            (listed,) = (await http.get("/v1/sessions")).json()["sessions"]
            assert shown["daily_room"] == listed["daily_room"] == room
            await until(lambda: any(one["did"] == "frame" for one in done()))
            (joined,) = [one for one in done() if one["did"] == "join"]
            assert joined["url"] == room["url"] and joined["token"] != room["token"] and joined["name"]

            room = {"platform": "daily", "url": room["url"], "token": room["token"], "display_name": "AI Avatar (AH)"}
            config = {"session_id": session["session_id"], "access_token": session["access_token"], "room": room}
            async with connect(ws_uri) as channel:
                config |= {"video_width": 640, "video_height": 480}
                await channel.send(json.dumps({"type": "session.init", "config": config}))
                assert json.loads(await channel.recv())["type"] == "connection.established"
                speech = base64.b64encode((tone(16_000, seconds=1.0) * 20_000).astype("<i2").tobytes()).decode()
                await channel.send(json.dumps({"type": "agent.speak", "audio": speech}))
                assert json.loads(await channel.recv())["type"] == "agent.speak.confirmed"
                await until(lambda: any(one["did"] == "speak" for one in done()))
                await until(lambda: any(one.get("width") == 640 for one in done()))

            await http.put(f"/v1/sessions/{session['session_id']}/end")
        await until(lambda: not api.rooms)
        assert done()[-1]["did"] == "leave"
