"""The endpoint of the local voice, with tones instead of its weights, asked as the server of Visavis asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from visavis_voice.model import NEXT_SYMBOLS, RATE_HZ, Voice, WeightsMissing, portions_of
from visavis_voice.server import SpeechServer

from tests.sounds import tone
from visavis.settings import VoiceSettings
from visavis.voice.port import Sound, Words
from visavis.voice.voices import open_voices


class Tones:
    @property
    def names(self) -> list[str]:
        return ["low", "high"]

    def stream(self, text: str, voice: str, *, speed: float = 1.0) -> Iterator[NDArray[np.int16]]:
        for _ in text.split():
            yield (tone(RATE_HZ, seconds=0.1, hz=220 if voice == "low" else 440) * 32767).astype(np.int16)


@pytest.fixture
def server() -> Iterator[SpeechServer]:
    with SpeechServer(("127.0.0.1", 0), Tones(), default="low") as opened:
        thread = threading.Thread(target=opened.serve_forever)
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


def url(server: SpeechServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/v1"


@pytest.mark.anyio
@pytest.mark.parametrize("response_format", ["wav", "pcm"])
async def test_visavis_hears_what_it_speaks(server: SpeechServer, response_format: str) -> None:
    voices = open_voices(VoiceSettings(voice_url=url(server), voice_format=response_format))  # type: ignore[arg-type]
    assert voices is not None
    sounds: list[Sound] = []

    async def take(sound: Sound) -> None:
        sounds.append(sound)

    await voices.synthesise(Words(text="three short words"), take)
    await voices.aclose()
    assert {sound.rate_hz for sound in sounds} == {RATE_HZ}
    assert sum(len(sound.pcm) // 2 for sound in sounds) == 3 * RATE_HZ // 10


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"input": 3}',
        b'{"input": "  "}',
        b'{"input": "a", "response_format": "mp3"}',
        b'{"input": "a", "speed": 9}',
    ],
)
def test_a_request_that_cannot_be_answered_is_refused(server: SpeechServer, body: bytes) -> None:
    answer = httpx.post(f"{url(server)}/audio/speech", content=body)
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def test_other_addresses_are_not_found(server: SpeechServer) -> None:
    assert httpx.get(url(server)).status_code == 404
    assert httpx.get(url(server).removesuffix("/v1") + "/healthz").json() == {"voices": ["low", "high"]}


def test_without_weights_it_says_so(tmp_path: object) -> None:
    with pytest.raises(WeightsMissing, match="README"):
        Voice()


def test_a_long_sentence_is_passed_on_in_portions() -> None:
    phones = " ".join(["ˌfɪftin", "lˈɛɾɚz,"] * 60)
    portions = list(portions_of(phones))
    assert " ".join(portions) == phones and len(portions[0]) < len(portions[1]) + 1
    assert all(len(portion) <= NEXT_SYMBOLS for portion in portions)
