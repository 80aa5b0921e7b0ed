"""Timings, motion, states, emotions and outputs of a session on a real server."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image
from websockets.asyncio.client import ClientConnection

from tests.e2e.wire_session import receive, running_session
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient
from visavis.engine.audio.files import read_speech
from visavis.engine.motion.arkit_names import ARKIT
from visavis.library import SAMPLE
from visavis.rooms.watch import ReceivedPicture, WhepViewer

pytestmark = pytest.mark.anyio
EXAMPLE = Path(__file__).parents[2] / "examples" / "drive_a_head.py"
JAW, CLOSE = ARKIT.index("jawOpen"), ARKIT.index("mouthClose")


async def receive_until(channel: ClientConnection, kind: str) -> list[dict[str, Any]]:
    messages = [await receive(channel)]
    while messages[-1]["type"] != kind:
        messages.append(await receive(channel))
    return messages


async def test_motion_follows_the_timings_and_comes_before_its_sound(
    server: LiveServer, sessions: SessionClient
) -> None:
    pcm = read_speech(SAMPLE)[0][: 16_000 * 2]
    phonemes = [
        {"symbol": s, "start_ms": a, "end_ms": b}
        for s, a, b in (("m", 0, 500), ("ɑː", 500, 1000), ("p", 1000, 1500), ("æ", 1500, 2000))
    ]
    speech = {
        "type": "agent.speak",
        "audio": base64.b64encode(pcm.tobytes()).decode(),
        "utterance_id": "one",
        "final": True,
    }
    async with running_session(server, sessions, "motion", "playback", "state") as (_, channel):
        assert (await receive(channel))["type"] == "agent.motion.format"
        assert await receive(channel) == {"type": "agent.state", "state": "idle"}
        await channel.send(json.dumps({**speech, "phonemes": phonemes, "alphabet": "ipa"}))
        messages = await receive_until(channel, "agent.playback.finished")
    frames: dict[float, list[float]] = {}
    for message in messages:
        if message["type"] == "agent.motion" and message["utterance_id"] == "one":
            frames |= {round(message["position_s"] + 0.02 * k, 2): row for k, row in enumerate(message["coefficients"])}
    assert sorted(frames) == [round(0.02 * k, 2) for k in range(100)]
    gaps = {time_s: row[JAW] - row[CLOSE] for time_s, row in frames.items()}
    assert gaps[0.3] == gaps[1.24] == 0 and gaps[0.76] > 0.3 and gaps[1.76] > 0.3
    ours = [m for m in messages if m.get("utterance_id") == "one" or m["type"] == "agent.state"]
    kinds = [message["type"] for message in ours]
    assert [kind for kind in kinds if kind != "agent.motion"] == [
        "agent.playback.started",
        "agent.state",
        "agent.playback.finished",
    ]
    assert [message["state"] for message in messages if message["type"] == "agent.state"] == ["speaking"]


async def test_an_interrupt_cuts_motion_where_the_sound_ends(server: LiveServer, sessions: SessionClient) -> None:
    audio = base64.b64encode(read_speech(SAMPLE)[0].tobytes()).decode()
    async with running_session(server, sessions, "motion", "playback") as (_, channel):
        await channel.send(json.dumps({"type": "agent.speak", "audio": audio, "utterance_id": "cut"}))
        await receive_until(channel, "agent.playback.started")
        await channel.send(json.dumps({"type": "agent.interrupt"}))
        messages = await receive_until(channel, "agent.motion.cut")
        messages += await receive_until(channel, "agent.motion")
        finished = next(message for message in messages if message["type"] == "agent.playback.finished")
        cut = next(message for message in messages if message["type"] == "agent.motion.cut")
        assert cut["utterance_id"] == "cut" and cut["position_s"] == finished["position_s"]
        assert messages[-1]["utterance_id"] is None


async def wait_for_picture(viewer: WhepViewer, wanted: Any) -> ReceivedPicture:
    async with asyncio.timeout(30), aclosing(viewer.pictures()) as pictures:
        async for picture in pictures:
            if wanted(picture.rgb()):
                return picture
    raise AssertionError("the room closed")


def corner(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = rgb[8:40, 8:40].reshape(-1, 3).mean(axis=0)
    return mean


def green_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (10, 200, 30)).save(file, "PNG")
    return file.getvalue()


async def test_output_changes_take_effect_while_a_viewer_watches(server: LiveServer, sessions: SessionClient) -> None:
    async with running_session(server, sessions) as (session, channel):
        room = session["daily_room"]
        async with WhepViewer(whep_url=room["url"] + "/whep", token=room["token"]) as viewer:
            await channel.send(
                json.dumps({"type": "session.update", "output": {"background": {"type": "color", "color": "#0020f0"}}})
            )
            assert (await receive(channel))["output"]["background"] == {"type": "color", "color": "#0020f0"}
            blue = await wait_for_picture(viewer, lambda rgb: np.abs(corner(rgb) - (0, 32, 240)).max() < 40)
            assert blue.rgb().shape == (512, 512, 3)
            picture = {"type": "image", "image": base64.b64encode(green_png()).decode()}
            await channel.send(json.dumps({"type": "session.update", "output": {"background": picture}}))
            assert (await receive(channel))["output"]["background"] == {"type": "image"}
            await wait_for_picture(viewer, lambda rgb: np.abs(corner(rgb) - (10, 200, 30)).max() < 40)
            await channel.send(
                json.dumps({"type": "session.update", "output": {"background": {"type": "transparent"}}})
            )
            assert (await receive(channel))["type"] == "session.updated"
            double = (await wait_for_picture(viewer, lambda rgb: rgb.shape[0] == 1024)).rgb()
            # the matte in the lower half: black at the background, white on the face
            assert corner(double[512:]).max() < 40 and double[512 + 256, 256].min() > 200
            await channel.send(json.dumps({"type": "session.update", "output": {"background": None}}))
            assert (await receive(channel))["type"] == "session.updated"
            assert (await wait_for_picture(viewer, lambda rgb: rgb.shape[0] == 512)).rgb().shape == (512, 512, 3)


async def test_the_example_drives_a_head(server: LiveServer, tmp_path: Path) -> None:
    speech = tmp_path / "speech.wav"
    soundfile.write(speech, read_speech(SAMPLE)[0][:32_000], 16_000)
    command = [
        sys.executable,
        str(EXAMPLE),
        str(speech),
        "--key",
        server.key,
        "--base",
        server.base_url,
        "--emotion",
        "happy",
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    jaws = [float(found) for found in re.findall(r"jaw (\d\.\d+)", out.decode())]
    assert len(jaws) > 20 and max(jaws) > 0.2 and min(jaws) == 0.0, out.decode()
