"""When a picture leaves for the transport."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from av import VideoFrame
from pipecat.frames.frames import OutputImageRawFrame
from pipecat_visavis import VisavisVideoService
from pipecat_visavis.media_time import Reports
from pipecat_visavis.playback import Block
from pipecat_visavis.service import SOUND_BEHIND_S, WAIT_S
from pipecat_visavis.sound_on_the_way import KEPT_S, SENT_AFTER_S, TOLD_LATE_S, SoundOnTheWay

pytestmark = pytest.mark.short


def picture(level: int) -> VideoFrame:
    return VideoFrame.from_ndarray(np.full((16, 16, 3), level, np.uint8), "rgb24")


async def test_a_picture_waits_for_its_sound_and_gives_way_to_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    avatar, loop = VisavisVideoService(avatar="avat_1", api_key="ah_live_none"), asyncio.get_running_loop()
    pushed: asyncio.Queue[tuple[float, int]] = asyncio.Queue()

    async def push(frame: OutputImageRawFrame, *_: Any) -> None:
        pushed.put_nowait((loop.time(), frame.image[0]))

    monkeypatch.setattr(avatar, "push_frame", push)
    pushing = asyncio.ensure_future(avatar._push_pictures())
    avatar._ready = True
    for level in (50, 100):
        came_s = loop.time()
        avatar._take_picture(picture(level), None)
        at_s, shown = await pushed.get()
        assert (shown, at_s - came_s >= SOUND_BEHIND_S) == (level, True)

    avatar._ready = False  # the transport takes none
    for level in range(0, 200, 10):
        avatar._take_picture(picture(level), None)
    await asyncio.sleep(2 * SOUND_BEHIND_S)
    avatar._ready = True
    avatar._take_picture(picture(250), None)
    assert [(await pushed.get())[1] for _ in range(2)] == [190, 250], "the newest that was due, and the next one"
    pushing.cancel()


async def test_a_picture_leaves_with_the_sound_that_is_played_while_it_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    avatar = VisavisVideoService(avatar="avat_1", api_key="ah_live_none")
    pushed: asyncio.Queue[int] = asyncio.Queue()

    async def push(frame: OutputImageRawFrame, *_: Any) -> None:
        pushed.put_nowait(frame.image[0])

    monkeypatch.setattr(avatar, "push_frame", push)
    pushing = asyncio.ensure_future(avatar._push_pictures())
    avatar._ready = True
    block = Block(pcm=bytes(1920), duration_s=0.02, loudest=0)
    for level, shown_s in ((50, 7.02), (100, 7.06)):
        avatar._take_picture(picture(level), shown_s - KEPT_S)
    avatar._take_sound(block, 6.98)
    await asyncio.sleep(0.05)
    assert pushed.empty(), "its sound has not come"
    avatar._take_sound(block, 7.0)
    assert await pushed.get() == 50
    avatar._take_sound(block, 7.02)
    await asyncio.sleep(0.05)
    assert pushed.empty()
    avatar._take_sound(block, 7.04)
    assert await pushed.get() == 100
    avatar._take_picture(picture(150), 7.2)
    async with asyncio.timeout(2 * WAIT_S):
        assert await pushed.get() == 150, "its sound was lost"
    pushing.cancel()


def test_times_follow_the_newest_report_and_wrap() -> None:
    reports = Reports(90_000)
    assert reports.time_s(0) is None
    reports.take(rtp_timestamp=2**32 - 45_000, ntp_timestamp=100 * 2**32)
    assert reports.time_s(45_000) == 101.0
    assert reports.time_s(2**32 - 135_000) == 99.0
    reports.take(rtp_timestamp=45_000, ntp_timestamp=200 * 2**32)
    assert reports.time_s(45_000) == 200.0


def test_a_picture_waits_until_the_transport_has_sent_its_sound() -> None:
    sound = SoundOnTheWay()
    sound.came(until_s=7.0)  # silence
    assert sound.is_sent(6.9 - KEPT_S, now_s=1.0) and not sound.is_sent(7.1 - KEPT_S, now_s=1.0)
    sound.pushed(0.2, now_s=1.0)
    sound.came(until_s=7.2)
    assert not sound.is_sent(7.1 - KEPT_S, now_s=1.1)
    sound.written(0.2 - KEPT_S - 1.5 * TOLD_LATE_S)
    assert not sound.is_sent(7.1 - KEPT_S, now_s=1.1)
    sound.written(0.5 * TOLD_LATE_S)
    assert sound.is_sent(7.1 - KEPT_S, now_s=1.1)
    sound.written(TOLD_LATE_S)
    sound.pushed(0.2, now_s=1.2)
    sound.came(until_s=7.4)
    assert sound.is_sent(7.1 - KEPT_S, now_s=1.2) and not sound.is_sent(7.3 - KEPT_S, now_s=1.2)
    sound.drop()
    sound.came(until_s=7.6)
    assert sound.is_sent(7.5 - KEPT_S, now_s=1.3), "an interruption"
    sound.pushed(0.2, now_s=1.4)
    sound.came(until_s=7.8)
    assert not sound.is_sent(7.7 - KEPT_S, now_s=1.4)
    assert sound.is_sent(7.7 - KEPT_S, now_s=1.4 + SENT_AFTER_S), "what is kept is never written"
