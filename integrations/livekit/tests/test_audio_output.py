"""The avatar with nothing but the audio output of livekit-agents, which also older releases have: barge-ins, and what
they take. `make conformance` runs a hundred of them, with the newest release and an old one, and prints the figures.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import statistics
import time
from collections.abc import Sequence
from datetime import timedelta

import pytest
from livekit import api, rtc
from livekit.agents.voice.avatar import DataStreamAudioOutput
from scene import User, token, voice
from visavis_client import AsyncVisavis

BARGE_INS = 100

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.conformance,
    pytest.mark.timeout(600),
    pytest.mark.skipif("VISAVIS_API_URL" not in os.environ, reason="VISAVIS_API_URL is not set"),
]


def avatar_token(room: str) -> str:
    grants = api.VideoGrants(room_join=True, room=room, can_publish=True, can_publish_data=True, can_subscribe=True)
    return (
        api.AccessToken()
        .with_identity("avatar")
        .with_kind("agent")
        .with_attributes({"lk.publish_on_behalf": "agent"})
        .with_grants(grants)
        .with_ttl(timedelta(hours=1))
        .to_jwt()
    )


def show(name: str, seconds: Sequence[float]) -> None:
    ordered = sorted(1000 * one for one in seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    print(f"{name}: p50 {statistics.median(ordered):.0f} ms, p95 {p95:.0f} ms, of {len(ordered)}")


async def speak(output: DataStreamAudioOutput, seconds: float) -> None:
    async for frame in voice(seconds):
        await output.capture_frame(frame)
    output.flush()


async def test_barge_ins_by_the_audio_output_alone(client: AsyncVisavis) -> None:
    name = f"room-{secrets.token_hex(6)}"
    room, user = rtc.Room(), User()
    await room.connect(os.environ["LIVEKIT_URL"], token(name, "agent", kind="agent"))
    await user.join(name)
    published = asyncio.Event()
    room.on("track_published", lambda *_: published.set())
    output = DataStreamAudioOutput(room, destination_identity="avatar", wait_remote_track=rtc.TrackKind.KIND_VIDEO)
    begun_s = time.monotonic()
    session = await client.sessions.create(
        (await client.avatars.public())[0].id,
        room={"platform": "livekit", "url": os.environ["LIVEKIT_URL"], "token": avatar_token(name)},
    )
    await published.wait()
    show("create to video published", [time.monotonic() - begun_s])
    await user.wait_pictures("avatar")

    heard = user.of("avatar")
    to_sound, to_end, to_silence, errors = [], [], [], []
    for _ in range(BARGE_INS):
        loud_s, begun_s = heard.loud_s, time.monotonic()
        speaking = asyncio.create_task(speak(output, 4.0))
        await user.wait_loud("avatar", loud_s + 0.01)
        to_sound.append(time.monotonic() - begun_s)
        await user.wait_loud("avatar", loud_s + 0.3)
        await speaking
        begun_s = time.monotonic()
        output.clear_buffer()
        end = await output.wait_for_playout()
        to_end.append(time.monotonic() - begun_s)
        assert end.interrupted and 0 < end.playback_position < 4.0
        await user.wait_silent("avatar", 0.03)
        to_silence.append(time.monotonic() - begun_s - 0.03)
        errors.append(abs(end.playback_position - (heard.loud_s - loud_s)))
        await user.wait_silent("avatar", 0.1)
    show("first byte to sound heard", to_sound)
    show("clear to the end of what is published, as playback_finished tells it", to_end)
    show("clear to silence heard", to_silence)
    show("position told against sound heard", errors)

    loud_s = heard.loud_s
    await speak(output, 0.5)
    end = await output.wait_for_playout()
    assert not end.interrupted and end.playback_position == pytest.approx(0.5, abs=0.04)
    await user.wait_loud("avatar", loud_s + 0.44)  # it may come later than its end is told
    await user.wait_silent("avatar", 0.3)
    assert heard.loud_s - loud_s == pytest.approx(0.5, abs=0.06), "nothing of what was interrupted is left over"
    await session.end()
    await room.disconnect()
    await user.leave()
