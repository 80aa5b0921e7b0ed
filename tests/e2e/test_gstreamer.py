"""GStreamer plays a room over WHEP: pictures that move, and speech."""

from __future__ import annotations

import asyncio
import json
import subprocess
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import LiveServer
from tests.e2e.wire_session import performing, speak
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
    """Return what of GStreamer is missing here; empty where nothing is."""
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


@pytest.mark.parametrize("kinds", [("video", "audio"), ("audio", "video"), ("video",)], ids=" ".join)
async def test_gstreamer_sees_and_hears_the_avatar(
    server: LiveServer, sessions: SessionClient, kinds: tuple[str, ...]
) -> None:
    async with performing(server, sessions) as (session, channel):
        room = session["daily_room"]
        said = await watch(
            f"{room['url']}/whep", room["token"], *kinds, once_connected=speak(channel, SAMPLE, "sample")
        )
    assert said["pictures"] >= 40 and said["brightest"] > 100 and said["largest_change"] > 0.1, said
    assert said["left"] == 200, said
    if "audio" in kinds:
        assert said["peak"] > 3000, said


async def watch(whep_url: str, token: str, *kinds: str, once_connected: Any) -> dict[str, Any]:
    """Run the viewer and return all that it said, in one; await `once_connected` when its connection is up."""
    said: dict[str, Any] = {}
    viewer = await asyncio.create_subprocess_exec(PYTHON, str(VIEWER), whep_url, token, *kinds, stdout=PIPE)
    assert viewer.stdout is not None
    async for line in viewer.stdout:
        said.update(json.loads(line))
        if said.get("connection") == "connected" and once_connected is not None:
            await once_connected
            once_connected = None
    await viewer.wait()
    assert once_connected is None, said
    return said
