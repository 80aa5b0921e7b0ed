"""GStreamer plays a room over WHEP and receives moving pictures and speech."""

from __future__ import annotations

import asyncio
import json
import subprocess
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.e2e.wire_session import running_session, speak
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient
from visavis.library import SAMPLE

PYTHON = "/usr/bin/python3"  # the system's, which has its packages
VIEWER = Path(__file__).parent / "gstreamer_viewer.py"
NEEDED = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstWebRTC
Gst.init(None)
wanted = "webrtcbin nicesrc dtlsdec srtpdec rtpvp8depay vp8dec videoconvert rtpopusdepay opusdec audioconvert".split()
raise SystemExit(" ".join(name for name in wanted if not Gst.ElementFactory.find(name)) or 0)
"""


def missing() -> str:
    """Return the parts of GStreamer that this machine lacks; an empty text if it has all."""
    try:
        asked = subprocess.run([PYTHON, "-c", NEEDED], capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return asked.stderr.strip().splitlines()[-1] if asked.returncode else ""


MISSING = missing()
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(bool(MISSING), reason=f"GStreamer cannot watch rooms on this machine: {MISSING}"),
]


@pytest.mark.parametrize(
    "kinds", [("video", "audio"), ("audio", "video", "data"), ("video",), ("audio",)], ids=" ".join
)
async def test_gstreamer_gets_pictures_and_sound(
    server: LiveServer, sessions: SessionClient, kinds: tuple[str, ...]
) -> None:
    async with running_session(server, sessions) as (session, channel):
        room = session["daily_room"]
        connected = anyio.Event()
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch(f"{room['url']}/whep", room["token"], *kinds, connected=connected))
            await connected.wait()
            await speak(channel, SAMPLE, "sample")
        result = watching.result()
    assert result["left"] == 200, result
    if "video" in kinds:
        assert result["pictures"] >= 40 and result["brightest"] > 100 and result["largest_change"] > 0.1, result
    if "audio" in kinds:
        assert result["peak"] > 3000, result


async def test_an_offer_of_h264_alone_is_refused_with_the_reason(server: LiveServer, sessions: SessionClient) -> None:
    async with running_session(server, sessions) as (session, _):
        result = await watch(f"{session['daily_room']['url']}/whep", session["daily_room"]["token"], "h264", "audio")
    assert result["answer"] == 400, result
    refused = json.loads(result["error"])["error"]
    assert refused == {"message": "The offer's video section does not include VP8", "code": "OFFER_REFUSED"}


async def watch(whep_url: str, token: str, *kinds: str, connected: anyio.Event | None = None) -> dict[str, Any]:
    """Run the viewer; return all of its output as one object. Set `connected` when the viewer is connected, which it
    must be then.
    """
    result: dict[str, Any] = {}
    viewer = await asyncio.create_subprocess_exec(PYTHON, str(VIEWER), whep_url, token, *kinds, stdout=PIPE)
    assert viewer.stdout is not None
    async for line in viewer.stdout:
        result.update(json.loads(line))
        if connected is not None and result.get("connection") == "connected":
            connected.set()
    await viewer.wait()
    assert connected is None or connected.is_set(), result
    return result
