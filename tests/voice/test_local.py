"""The local voice is a process of its own: started when it is needed, started again when it has died, ended with the
server. A small program stands in for the package, whose weights are not here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.voice.speech_server import SpeechServer, speech_server
from tests.voice.test_endpoint import TEXT, assert_spoken, samples
from visavis.errors import SettingInvalid, VoiceFailed
from visavis.settings import VoiceSettings
from visavis.voice.endpoint import SpeechEndpoint
from visavis.voice.local import LocalVoice
from visavis.voice.port import Sound, Words
from visavis.voice.voices import open_voices

pytestmark = pytest.mark.anyio

# Prints the address of another endpoint, and its own process id beside it for the test.
PROGRAM = "import os, sys; print(sys.argv[1] + '#' + str(os.getpid()), flush=True); sys.stdin.read()"


@pytest.fixture
async def speech() -> AsyncIterator[SpeechServer]:
    async with speech_server() as opened:
        yield opened


def local_voice(program: str, url: str, pids: list[int]) -> LocalVoice:
    def endpoint_at(address: str) -> SpeechEndpoint:
        own, _, pid = address.partition("#")
        pids.append(int(pid))
        return SpeechEndpoint(
            url=own, key=None, model="", voice="", voices={}, response_format="wav", rate_hz=None, stall_s=2
        )

    return LocalVoice(endpoint_at, command=(sys.executable, "-c", program, url))


async def say(voice: LocalVoice) -> None:
    sounds: list[Sound] = []

    async def take(sound: Sound) -> None:
        sounds.append(sound)

    await voice.synthesise(Words(text=TEXT), take)
    assert_spoken(samples(sounds))


async def test_its_process_is_started_again_when_it_has_died_and_ends_with_the_server(speech: SpeechServer) -> None:
    pids: list[int] = []
    voice = local_voice(PROGRAM, speech.url, pids)
    await voice.prepare()
    await say(voice)
    await say(voice)
    assert len(pids) == 1
    assert voice._process is not None
    os.kill(pids[0], 9)
    await voice._process.wait()
    await say(voice)
    assert len(set(pids)) == 2
    await voice.aclose()
    assert not Path(f"/proc/{pids[1]}").exists()  # noqa: ASYNC240 (it is not a disk)


async def test_a_process_that_does_not_start_is_told(speech: SpeechServer) -> None:
    voice = local_voice("raise SystemExit(1)", speech.url, [])
    await voice.prepare()
    with pytest.raises(VoiceFailed, match="does not start"):
        await say(voice)
    await voice.aclose()


async def test_without_the_extra_the_setting_is_refused() -> None:
    with pytest.raises(SettingInvalid, match="local"):
        open_voices(VoiceSettings(voice_url="local"))
