"""When a picture leaves for the transport."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from av import VideoFrame
from pipecat.frames.frames import OutputImageRawFrame
from pipecat_visavis import VisavisVideoService
from pipecat_visavis.service import SOUND_BEHIND_S

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
        avatar._take_picture(picture(level))
        at_s, shown = await pushed.get()
        assert (shown, at_s - came_s >= SOUND_BEHIND_S) == (level, True)

    avatar._ready = False  # the transport takes none
    for level in range(0, 200, 10):
        avatar._take_picture(picture(level))
    await asyncio.sleep(2 * SOUND_BEHIND_S)
    avatar._ready = True
    avatar._take_picture(picture(250))
    assert [(await pushed.get())[1] for _ in range(2)] == [190, 250], "the newest that was due, and the next one"
    pushing.cancel()
