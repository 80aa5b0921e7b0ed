"""A server that is killed -9 in the middle of a conversation, again and again: with the feature "resume" the
conversation goes on with the next server, and nothing is lost or said twice.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.restarts import Client, Session, place
from tests.faults.scale import FULL, only_in_full
from tests.faults.test_interruptions import sound
from tests.sounds import wav
from tests.voice.speech_server import RATE_HZ, SECONDS_PER_CHAR, Reply, speak_well, speech_server, spoken

pytestmark = pytest.mark.anyio
KILLS = 12 if FULL else 1
PIECES = 30  # of 0.1 s, between two kills


async def test_a_conversation_goes_on_after_its_server_was_killed(tmp_path: Path) -> None:
    rng = random.Random(11)
    with place(tmp_path) as here:
        here.start()
        await here.ready()
        session = await Session.start(here)
        client = Client(session, resume=True, features=("playback", "queued", "state", "binary"))
        async with session.viewer() as viewer:
            await client.open()
            for turn in range(KILLS):
                name = f"u{turn}"
                kill_at = rng.randrange(3, PIECES - 1)
                for piece in range(PIECES):
                    await client.send(
                        type="agent.speak", audio=sound(0.1), utterance_id=name, final=piece == PIECES - 1
                    )
                    if piece == kill_at:
                        await client.take(rng.randrange(0, kill_at))
                        here.kill()
                        here.start()
                    if piece == kill_at + 1:
                        await client.send(type="agent.state", state="thinking")
                finished = await client.until("agent.playback.finished", utterance_id=name)
                assert client.resumed == [False] + [True] * (turn + 1)
                assert (finished["position_s"], finished["interrupted"]) == (PIECES / 10, False)
                await here.ready()
            _, blocks = viewer.peer.read()
            assert blocks.missing == 0
        assert client.resumed == [False] + [True] * KILLS
        kinds = Counter(message["type"] for message in client.received)
        assert kinds["agent.speak.confirmed"] == KILLS * PIECES
        assert kinds["agent.playback.started"] == kinds["agent.playback.finished"] == KILLS
        confirmed = sum(message["audio_samples"] for message in client.all_of("agent.speak.confirmed"))
        assert confirmed == KILLS * PIECES * 1600
        assert [message["seq"] for message in client.received] == list(range(1, len(client.received) + 1))
        assert len(here.stages) == 1
        await here.stop()
        await here.until_stages_end()


@only_in_full
async def test_what_a_stage_had_not_read_when_its_server_died_is_known_to_the_next(tmp_path: Path) -> None:
    """A machine that is busy lets the stage run too late: it has something to tell the dead server before it has read
    the last note, without which the client would know more than the next server.
    """
    with place(tmp_path) as here:
        here.start()
        await here.ready()
        client = Client(await Session.start(here), resume=True)
        await client.open()
        await client.send(type="agent.speak", audio=sound(120.0), utterance_id="u", final=True)
        await client.until("agent.playback.started")
        (stage,) = here.stages
        for kills in range(1, 4):
            os.kill(stage, signal.SIGSTOP)
            try:
                await client.send(type="agent.speak", audio="", utterance_id="nothing")  # the server alone confirms it
                await client.until("agent.speak.confirmed", audio_samples=0)
                here.kill()
            finally:
                os.kill(stage, signal.SIGCONT)
            here.start()
            await client.come_back()
            assert client.resumed == [False] + [True] * kills
            await here.ready()
        await here.stop()
        await here.until_stages_end()


SENTENCES = ("One is said.", "In the middle of two the server is killed.", "Three is said by the next server.")


async def speak_half(reply: Reply) -> None:
    """Answer half of the sound, and wait for the end of the connection."""
    sound = wav(spoken(reply.request["input"]), RATE_HZ)
    await reply.head()
    await reply.chunk(sound[: len(sound) // 2])
    await reply.until_client_leaves()


@only_in_full
async def test_text_is_said_to_its_end_though_its_server_was_killed(
    tmp_path: Path, speech_listener: socket.socket
) -> None:
    async with speech_server(speech_listener) as speech:
        speech.behaviours = [speak_well, speak_half]
        # A server that still starts may ask later than after the half second of the other tests.
        with place(tmp_path, VISAVIS_VOICE_URL=speech.url, VISAVIS_VOICE_STALL_S="30") as here:
            here.start()
            await here.ready()
            session = await Session.start(here)
            client = Client(session, resume=True, features=("playback", "text"))
            await client.open()
            await client.send(type="agent.say", text=" ".join(SENTENCES), utterance_id="text", final=True)
            await client.send(type="agent.speak", audio=sound(0.1), utterance_id="sound", final=True)
            await client.until("agent.speak.confirmed")
            async with asyncio.timeout(30):
                await speech.requested(2)
            await client.until("agent.playback.started", utterance_id="text")
            here.kill()
            here.start()
            ends = [await client.until("agent.playback.finished", utterance_id=name) for name in ("text", "sound")]
            text_s = SECONDS_PER_CHAR * sum(len(sentence) for sentence in SENTENCES)
            assert [(end["position_s"], end["interrupted"]) for end in ends] == [
                (pytest.approx(text_s, abs=0.001), False),
                (0.1, False),
            ]
            assert client.resumed == [False, True]
            assert speech.texts == [*SENTENCES[:2], *SENTENCES[1:]], "the broken sentence is asked for again"
            await here.ready()
            await here.stop()
            await here.until_stages_end()
