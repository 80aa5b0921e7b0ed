"""The avatar in the room of a bot with Pipecat's LiveKit transport, against a real livekit-server and the Visavis
server of VISAVIS_API_URL.
"""

from __future__ import annotations

import asyncio
import os

import numpy as np
import pytest
from livekit import rtc
from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    TTSStoppedFrame,
)

from tests.bot import IDLE_AFTER_S, VOICE_HZ, tone
from tests.in_room import rising, running_in_room

pytestmark = pytest.mark.skipif(
    not {"VISAVIS_API_URL", "LIVEKIT_URL"} <= set(os.environ), reason="VISAVIS_API_URL or LIVEKIT_URL names no server"
)


@pytest.mark.short
async def test_one_turn_is_the_avatars_alone_and_is_told_as_the_bots() -> None:
    async with running_in_room() as bot:
        avatar = bot.user.room.remote_participants[bot.avatar.avatar_identity]
        assert bot.seen.size_px == (1280, 960) and bot.seen.contrast > 20  # a face, not black
        assert avatar.attributes["lk.publish_on_behalf"] == "bot"
        assert bot.greeted == ["user"] and bot.transport.get_participants() == ["user"]

        pause = np.concatenate([tone(0.5), np.zeros(VOICE_HZ, "<i2"), tone(0.5)])
        await bot.say(pause)
        await bot.watch.until(TTSStoppedFrame)
        assert [bot.watch.count(kind) for kind in (BotStartedSpeakingFrame, BotStoppedSpeakingFrame)] == [1, 1]
        assert bot.watch.count(BotSpeakingFrame) >= 3  # again and again: it holds off whoever waits for silence
        assert len(bot.watch.ttfb_s()) == 1
        assert bot.recorder.heard_s == pytest.approx(2.0, abs=0.01) and bot.recorder.pieces >= 3
        await bot.user.until(lambda: bot.seen.loud_s > 0.9)
        assert bot.seen.loud_s == pytest.approx(1.0, abs=0.15)
        assert bot.own_track.loud_s == 0.0
        idle_s = await bot.idle_user.wait_idle()  # not in the pause, although that was longer
        (ended_s,) = bot.watch.times_s(BotStoppedSpeakingFrame)
        assert len(bot.idle_user.idle_s) == 1 and idle_s >= ended_s + IDLE_AFTER_S - 0.1

        await bot.user.say(tone(1.0), VOICE_HZ)
        while bot.ears.loud_s["user"] < 0.3:
            await asyncio.sleep(0.02)
        assert set(bot.ears.loud_s) == {"user"}  # the bot does not hear its own avatar


@pytest.mark.short
async def test_an_interruption_leaves_what_was_heard_and_the_next_turn_is_whole() -> None:
    words = [f"word{number}" for number in range(24)]  # four a second
    async with running_in_room() as bot:
        await bot.say(rising(6.0), words=words)
        while bot.recorder.heard_s < 2.0:
            await asyncio.sleep(0.01)
        await bot.interrupt()
        await bot.watch.until(BotStoppedSpeakingFrame)
        known_s = bot.recorder.heard_s
        assert abs(len(bot.watch.text().split()) - known_s * 4) <= 2
        await bot.say(tone(0.5))
        await bot.watch.until(BotStoppedSpeakingFrame, 2)
        assert bot.recorder.heard_s - known_s == pytest.approx(0.5, abs=0.01)
        (played_s, interrupted), next_one = bot.ends
        assert interrupted and known_s - 0.1 <= played_s < 6.0
        assert next_one == (pytest.approx(0.5, abs=0.02), False)
        await bot.user.until(lambda: bot.seen.is_silent)
        assert bot.seen.heard_until_s(6.0) == pytest.approx(played_s, abs=0.06)  # nothing of what was left


@pytest.mark.short
async def test_the_avatar_leaves_with_its_bot() -> None:
    async with running_in_room(waits=False) as bot:
        await bot.transport._client.room.disconnect()
        await bot.session_ended()
        while not bot.lost:
            await asyncio.sleep(0.02)
        assert "agent_left" in bot.lost[0]


async def test_ten_barge_ins_leave_nothing_over() -> None:
    async with running_in_room() as bot:
        for turn in range(1, 11):
            await bot.say(tone(4.0))
            await bot.watch.until(BotStartedSpeakingFrame, turn)
            await bot.interrupt()
            await bot.watch.until(BotStoppedSpeakingFrame, turn)
        heard_s = bot.recorder.heard_s
        await bot.say(tone(0.5))
        await bot.watch.until(BotStoppedSpeakingFrame, 11)
        assert bot.recorder.heard_s - heard_s == pytest.approx(0.5, abs=0.01)
        assert bot.watch.count(BotStartedSpeakingFrame) == 11 and bot.avatar._line.is_idle


async def test_the_end_lets_the_avatar_finish_and_ends_the_session() -> None:
    async with running_in_room() as bot:
        await bot.say(tone(1.0))
        await bot.worker.queue_frame(EndFrame())
        await asyncio.wait({bot.running}, timeout=30)
        assert bot.running.done()
        assert bot.recorder.heard_s == pytest.approx(1.0, abs=0.01)
        assert bot.seen.loud_s == pytest.approx(1.0, abs=0.15)
        await bot.session_ended()


async def test_a_cancelled_bot_leaves_no_session() -> None:
    async with running_in_room() as bot:
        await bot.say(tone(5.0))
        await bot.watch.until(BotStartedSpeakingFrame)
        await bot.worker.cancel()
        await bot.session_ended()


async def test_the_next_user_is_a_first_one_although_the_avatar_has_stayed() -> None:
    async with running_in_room() as bot:
        await bot.user.room.disconnect()
        while bot.transport.get_participants():
            await asyncio.sleep(0.02)
        bot.user.room = rtc.Room()
        await bot.user.join()
        while len(bot.greeted) < 2:
            await asyncio.sleep(0.02)
        assert bot.greeted == ["user", "user"]


async def test_the_first_words_wait_for_a_user() -> None:
    async with running_in_room(joins=False, hold_for_viewer_s=30) as bot:
        await bot.say(tone(1.0))
        await asyncio.sleep(1.5)
        assert bot.watch.count(BotStartedSpeakingFrame) == 0
        await bot.user.join()
        await bot.watch.until(BotStoppedSpeakingFrame)
        assert bot.recorder.heard_s == pytest.approx(1.0, abs=0.01)
        await bot.user.until(lambda: bot.seen.loud_s > 0.9)


@pytest.mark.parametrize(
    "trouble",
    [{"avatar": "avat_01J8Z3N5K7Q9R2T4V6X8Y0A1B4"}, {"livekit_api_secret": "another secret, of thirty-two bytes"}],
)
async def test_without_an_avatar_the_bot_speaks_itself(trouble: dict[str, str]) -> None:
    async with running_in_room(waits=False, **trouble) as bot:
        assert bot.avatar.session is None and len(bot.lost) == 1
        await bot.user.until(lambda: bot.own_track.levels)
        await bot.say(tone(0.5))
        await bot.watch.until(BotStoppedSpeakingFrame)
        await bot.user.until(lambda: bot.own_track.loud_s > 0.3)
        assert bot.watch.count(BotStartedSpeakingFrame) == 1


async def test_a_session_that_ends_in_the_middle_of_a_sentence_gives_the_bot_its_voice_back() -> None:
    async with running_in_room() as bot:
        await bot.say(tone(4.0))
        await bot.user.until(lambda: bot.seen.loud_s > 0.5)
        assert bot.avatar.session is not None
        await bot.client.sessions.end(bot.avatar.session.id)
        await bot.watch.until(BotStoppedSpeakingFrame)
        assert bot.watch.count(TTSStoppedFrame) == 1
        await bot.say(tone(0.5))
        await bot.watch.until(BotStoppedSpeakingFrame, 2)
        await bot.user.until(lambda: bot.own_track.loud_s > 0.3)
