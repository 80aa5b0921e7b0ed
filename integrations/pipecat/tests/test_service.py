"""The service in real pipelines, against the Visavis server of VISAVIS_API_URL."""

from __future__ import annotations

import asyncio
import os

import numpy as np
import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    ErrorFrame,
    TTSStoppedFrame,
)
from pipecat_visavis import VisavisVideoService
from pipecat_visavis.service import PICTURES_ON_THE_WAY

from tests.bot import IDLE_AFTER_S, SIZE_PX, VOICE_HZ, Output, params, running, tone

pytestmark = pytest.mark.skipif("VISAVIS_API_URL" not in os.environ, reason="VISAVIS_API_URL names no server")


@pytest.mark.short
async def test_one_turn_is_seen_and_heard_as_one() -> None:
    async with running() as bot:
        while not bot.output.pictures:
            await asyncio.sleep(0.02)
        picture = bot.output.pictures[0]
        assert picture.size == SIZE_PX and np.frombuffer(picture.image, np.uint8).std() > 20  # a face, not black
        assert bot.watch.count(BotStartedSpeakingFrame) == 0

        pause = np.concatenate([tone(0.5), np.zeros(VOICE_HZ, "<i2"), tone(0.5)])
        await bot.say(pause)
        await bot.watch.until(TTSStoppedFrame)
        assert [bot.watch.count(kind) for kind in (BotStartedSpeakingFrame, BotStoppedSpeakingFrame)] == [1, 1]
        assert bot.output.loud_s() == pytest.approx(1.0, abs=0.1)
        assert sum(one.seconds for one in bot.output.heard) == pytest.approx(2.0, abs=0.15)
        assert len(bot.watch.ttfb_s()) == 1

        idle_s = await bot.idle_user.wait_idle()  # not in the pause, although that was longer
        last = [one for one in bot.output.heard if one.level > 500][-1]
        assert len(bot.idle_user.idle_s) == 1 and idle_s >= last.at_s + last.seconds + IDLE_AFTER_S


@pytest.mark.short
async def test_an_interruption_leaves_what_was_heard_and_the_next_turn_is_whole() -> None:
    words = [f"word{number}" for number in range(24)]  # four a second
    async with running() as bot:
        await bot.say(tone(6.0), words=words)
        while bot.output.loud_s() < 2.0:
            await asyncio.sleep(0.01)
        heard_s = bot.output.loud_s()
        await bot.interrupt()
        await bot.watch.until(BotStoppedSpeakingFrame)
        context = len(bot.watch.text().split())
        assert abs(context - heard_s * 4) <= 2
        assert bot.output.loud_s() - heard_s <= 0.1
        await bot.say(tone(0.5))
        await bot.watch.until(BotStoppedSpeakingFrame, 2)
        assert bot.output.loud_s() - heard_s == pytest.approx(0.5, abs=0.12)


async def test_the_end_lets_the_avatar_finish_and_ends_the_session() -> None:
    async with running() as bot:
        await bot.say(tone(1.0))
        await bot.worker.queue_frame(EndFrame())
        await asyncio.wait({bot.running}, timeout=30)
        assert bot.running.done()
        assert bot.output.loud_s() == pytest.approx(1.0, abs=0.1)
        assert await bot.session_status() == "ended"


async def test_a_cancelled_bot_leaves_no_session() -> None:
    async with running() as bot:
        await bot.say(tone(5.0))
        await bot.watch.until(BotStartedSpeakingFrame)
        await bot.worker.cancel()
        while await bot.session_status() != "ended":
            await asyncio.sleep(0.02)


async def test_a_transport_without_video_is_refused_with_the_name_of_the_setting() -> None:
    avatar, output = VisavisVideoService(avatar="avat_1"), Output(params(video_out_enabled=False))
    avatar.link(output)
    with pytest.raises(ValueError, match="video_out_enabled=True"):
        avatar._check_transport()


async def test_without_an_avatar_the_bot_keeps_its_voice() -> None:
    async with running(avatar="avat_01J8Z3N5K7Q9R2T4V6X8Y0A1B4") as bot:
        await bot.say(tone(0.5))
        await bot.watch.until(BotStoppedSpeakingFrame)
        assert bot.output.loud_s() == pytest.approx(0.5, abs=0.1)
        assert bot.avatar.session is None


async def test_settings_reach_the_avatar() -> None:
    async with running(settings=VisavisVideoService.Settings(background={"type": "color", "color": "#ff0000"})) as bot:
        while not bot.output.pictures:
            await asyncio.sleep(0.02)

        def corner() -> np.ndarray:
            width_px, height_px = SIZE_PX
            picture = np.frombuffer(bot.output.pictures[0].image, np.uint8).reshape(height_px, width_px, 3)
            return picture[:12, :12].mean((0, 1))

        assert corner()[0] > 200 and corner()[2] < 60
        changed = await bot.avatar._update_settings(
            VisavisVideoService.Settings(background={"type": "color", "color": "#0000ff"})
        )
        assert set(changed) == {"background"}
        while corner()[2] < 200:
            await asyncio.sleep(0.02)


@pytest.mark.long
async def test_a_silent_minute_has_no_speaking_events_and_a_stalled_output_keeps_the_newest_picture() -> None:
    async with running() as bot:
        bot.output.stalled = True
        await asyncio.sleep(30)
        assert len(bot.avatar._on_the_way) <= PICTURES_ON_THE_WAY
        before = bot.output.picture_count
        bot.output.stalled = False
        await asyncio.sleep(30)
        assert bot.output.picture_count - before > 30 * 12
        assert bot.watch.count(BotStartedSpeakingFrame) == 0 and bot.output.heard == []
        assert bot.watch.count(ErrorFrame) == 0
