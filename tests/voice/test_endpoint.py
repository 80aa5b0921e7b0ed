"""The client of a speech endpoint, against one on a real socket that misbehaves in every way that users have met."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.sounds import tone, wav
from tests.voice.speech_server import RATE_HZ, Reply, SpeechServer, pcm16, speech_server, spoken
from visavis.errors import VoiceBusy, VoiceFailed, VoiceTimedOut
from visavis.settings import VoiceSettings
from visavis.voice.port import Sound, Words
from visavis.voice.voices import Voices, open_voices

pytestmark = pytest.mark.anyio
STALL_S = 0.6
TEXT = "Hello there, this is a test."


@pytest.fixture
async def speech() -> AsyncIterator[SpeechServer]:
    async with speech_server() as opened:
        yield opened


def voices_of(speech: SpeechServer, **settings: object) -> Voices:
    chosen = {"voice_url": speech.url, "voice_stall_s": STALL_S} | settings
    voices = open_voices(VoiceSettings(**chosen))  # type: ignore[arg-type]
    assert voices is not None
    return voices


async def heard(voices: Voices, words: Words | None = None, into: list[Sound] | None = None) -> NDArray[np.int16]:
    """Synthesise; return the samples. Raises what `synthesise` raises."""
    sounds = [] if into is None else into

    async def take(sound: Sound) -> None:
        sounds.append(sound)

    try:
        await voices.synthesise(words or Words(text=TEXT), take)
    finally:
        await voices.aclose()
    assert {sound.rate_hz for sound in sounds} == {RATE_HZ}
    return samples(sounds)


def samples(sounds: list[Sound]) -> NDArray[np.int16]:
    return np.frombuffer(b"".join(sound.pcm for sound in sounds), "<i2")


def largest_step(sound: NDArray[np.int16]) -> int:
    """Return the largest change from one sample to the next, the silence around the sound included."""
    return int(np.max(np.abs(np.diff(np.concatenate([[0], sound.astype(int), [0]])))))


A_STEP = largest_step(pcm16(tone(RATE_HZ))) + 40  # of the tone itself; a click is larger


def assert_spoken(sound: NDArray[np.int16], text: str = TEXT) -> None:
    original = spoken(text)
    assert len(sound) == len(original)
    assert np.array_equal(sound[100:-300], original[100:-300])
    assert largest_step(sound) <= A_STEP


async def test_the_request_is_what_the_operator_has_set(speech: SpeechServer) -> None:
    voices = voices_of(speech, voice_key="sk-1", voice_model="m", voice_name="nova", voice_names={"de": "anna"})
    assert_spoken(await heard(voices))
    await heard(voices, Words(text=TEXT, language="de-AT"))
    await heard(voices, Words(text=TEXT, language="de", voice="own"))
    assert speech.requests[0] == {"model": "m", "input": TEXT, "voice": "nova", "response_format": "wav"}
    assert [request["voice"] for request in speech.requests] == ["nova", "anna", "own"]
    assert speech.headers[0]["authorization"] == "bearer sk-1"


async def test_sound_is_passed_on_while_the_answer_still_comes(speech: SpeechServer) -> None:
    first_taken = asyncio.Event()

    async def slowly(reply: Reply) -> None:
        await reply.head()
        data = wav(spoken(TEXT), RATE_HZ, data_size=0)
        await reply.chunk(data[:9000])
        await first_taken.wait()  # the rest comes only when the beginning was heard
        await reply.chunk(data[9000:])
        await reply.end()

    speech.behaviours = [slowly]
    sounds: list[Sound] = []

    async def take(sound: Sound) -> None:
        sounds.append(sound)
        first_taken.set()

    await voices_of(speech).synthesise(Words(text=TEXT), take)
    assert_spoken(samples(sounds))


async def header_in_every_chunk(reply: Reply) -> None:
    await reply.head()
    for part in np.array_split(spoken(reply.request["input"]), 9):
        await reply.chunk(wav(part, RATE_HZ, data_size=0xFFFFFFFF))
    await reply.end()


async def whole_file_in_every_chunk(reply: Reply) -> None:
    await reply.head()
    for part in np.array_split(spoken(reply.request["input"]), 9):
        await reply.chunk(wav(part, RATE_HZ))
    await reply.end()


async def pcm_with_rate(reply: Reply) -> None:
    await reply.whole(spoken(reply.request["input"]).tobytes(), content_type=f"audio/pcm;rate={RATE_HZ}")


async def pcm_in_odd_pieces(reply: Reply) -> None:
    data = spoken(reply.request["input"]).tobytes()
    await reply.head(content_type=f"audio/pcm; rate={RATE_HZ}; channels=1")
    for begin in range(0, len(data), 1001):
        await reply.chunk(data[begin : begin + 1001])
    await reply.end()


async def wav_under_another_name(reply: Reply) -> None:
    await reply.whole(wav(spoken(reply.request["input"]), RATE_HZ), content_type="audio/mpeg")


@pytest.mark.parametrize(
    "behaviour",
    [header_in_every_chunk, whole_file_in_every_chunk, pcm_with_rate, pcm_in_odd_pieces, wav_under_another_name],
    ids=lambda behaviour: behaviour.__name__,
)
async def test_what_can_be_played_is_played_at_true_pitch_without_clicks(
    speech: SpeechServer, behaviour: object
) -> None:
    speech.otherwise = behaviour  # type: ignore[assignment]
    assert_spoken(await heard(voices_of(speech)))


async def undeclared_rate(reply: Reply) -> None:
    await reply.whole(spoken(reply.request["input"]).tobytes(), content_type="audio/pcm")


async def mp3(reply: Reply) -> None:
    await reply.whole(b"ID3\x04" + bytes(3000))


async def words(reply: Reply) -> None:
    await reply.whole(b'{"error": "no"}', content_type="application/json")


async def refuse(reply: Reply) -> None:
    await reply.whole(b'{"error": {"message": "Unknown voice"}}', status=400, content_type="application/json")


async def nothing(reply: Reply) -> None:
    await reply.whole(b"")


async def hang_up(reply: Reply) -> None:
    reply.writer.transport.abort()


async def redirect(reply: Reply) -> None:
    await reply.whole(b"", status=302, Location="http://127.0.0.1:9/")


@pytest.mark.parametrize("behaviour", [undeclared_rate, mp3, words, refuse, nothing, hang_up, redirect])
async def test_what_cannot_be_played_is_an_error_within_the_time(speech: SpeechServer, behaviour: object) -> None:
    speech.otherwise = behaviour  # type: ignore[assignment]
    began_s, sounds = time.monotonic(), list[Sound]()
    with pytest.raises(VoiceFailed):
        await heard(voices_of(speech), into=sounds)
    assert not sounds and time.monotonic() - began_s < 5


async def test_an_operator_may_name_the_rate_of_raw_samples(speech: SpeechServer) -> None:
    speech.otherwise = undeclared_rate
    voices = voices_of(speech, voice_format="pcm", voice_sample_rate_hz=RATE_HZ)
    assert_spoken(await heard(voices))
    assert speech.requests[0]["response_format"] == "pcm"


async def half_by_length(reply: Reply) -> None:
    data = wav(spoken(reply.request["input"]), RATE_HZ)
    await reply.head(Content_Length=str(len(data)))
    reply.writer.write(data[: len(data) // 2])
    await reply.writer.drain()


async def half_by_chunks(reply: Reply) -> None:
    data = wav(spoken(reply.request["input"]), RATE_HZ, data_size=0)
    await reply.head()
    await reply.chunk(data[: len(data) // 2])


async def half_by_header(reply: Reply) -> None:
    data = wav(spoken(reply.request["input"]), RATE_HZ)
    await reply.whole(data[: len(data) // 2])


async def stall(reply: Reply) -> None:
    data = wav(spoken(reply.request["input"]), RATE_HZ)
    await reply.head()
    await reply.chunk(data[: len(data) // 2])
    await asyncio.sleep(60)


async def trickle(reply: Reply) -> None:
    data = wav(spoken(reply.request["input"]), RATE_HZ)
    await reply.head()
    await reply.chunk(data[: len(data) // 2])
    for begin in range(len(data) // 2, len(data)):
        await reply.chunk(data[begin : begin + 1])
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (half_by_length, VoiceFailed),
        (half_by_chunks, VoiceFailed),
        (half_by_header, VoiceFailed),
        (stall, VoiceTimedOut),
        (trickle, VoiceTimedOut),
    ],
)
async def test_half_an_answer_is_played_without_a_click_and_told(
    speech: SpeechServer, behaviour: object, kind: type[VoiceFailed]
) -> None:
    speech.otherwise = behaviour  # type: ignore[assignment]
    began_s, sounds = time.monotonic(), list[Sound]()
    with pytest.raises(VoiceFailed) as raised:
        await heard(voices_of(speech), into=sounds)
    assert type(raised.value) is kind and time.monotonic() - began_s < 5
    sound, original = samples(sounds), spoken(TEXT)
    assert len(original) * 0.4 < len(sound) < len(original) * 0.6
    assert np.array_equal(sound[100:-300], original[100 : len(sound) - 300]) and largest_step(sound) <= A_STEP


async def never(reply: Reply) -> None:
    await asyncio.sleep(60)


async def test_an_endpoint_that_does_not_answer_is_given_up(speech: SpeechServer) -> None:
    speech.otherwise = never
    with pytest.raises(VoiceTimedOut):
        await heard(voices_of(speech))


async def test_why_an_endpoint_was_asked_again_is_told_when_the_time_is_over(speech: SpeechServer) -> None:
    speech.behaviours, speech.otherwise = [hang_up], never
    with pytest.raises(VoiceFailed, match="cannot be reached"):
        await heard(voices_of(speech))
    speech.behaviours = [busy]
    with pytest.raises(VoiceBusy, match="answered 429"):
        await heard(voices_of(speech))


async def test_an_endpoint_that_is_not_there_is_given_up(speech: SpeechServer) -> None:
    with pytest.raises(VoiceFailed, match="cannot be reached"):
        await heard(voices_of(speech, voice_url="http://127.0.0.1:9/v1"))


async def test_an_answer_that_never_ends_is_broken_off(speech: SpeechServer) -> None:
    async def endless(reply: Reply) -> None:
        await reply.head(content_type=f"audio/pcm;rate={RATE_HZ}")
        while True:
            await reply.chunk(bytes(RATE_HZ * 2))

    speech.otherwise = endless
    with pytest.raises(VoiceFailed, match="does not end"):
        await heard(voices_of(speech))


async def busy(reply: Reply) -> None:
    await reply.whole(b"slow down", status=429, content_type="text/plain", Retry_After="0.1")


async def busy_for_long(reply: Reply) -> None:
    await reply.whole(b"slow down", status=429, content_type="text/plain", Retry_After="20")


async def test_a_busy_endpoint_is_asked_again(speech: SpeechServer) -> None:
    speech.behaviours = [busy]
    assert_spoken(await heard(voices_of(speech)))
    assert len(speech.requests) == 2


async def test_an_endpoint_that_stays_busy_is_told_as_such(speech: SpeechServer) -> None:
    speech.otherwise = busy_for_long
    with pytest.raises(VoiceBusy, match="429"):
        await heard(voices_of(speech))
    assert len(speech.requests) == 1


async def test_no_more_syntheses_run_at_once_than_the_operator_allows(speech: SpeechServer) -> None:
    voices = voices_of(speech, voice_at_once=2)
    gate = asyncio.Event()

    async def gated(reply: Reply) -> None:
        await gate.wait()
        await reply.whole(wav(spoken(reply.request["input"]), RATE_HZ))

    async def take(_: Sound) -> None: ...

    speech.otherwise = gated
    async with asyncio.TaskGroup() as tasks:
        for number in range(6):
            tasks.create_task(voices.synthesise(Words(text=f"number {number}"), take))
        await speech.requested(2)
        gate.set()
    assert len(speech.requests) == 6 and speech.most_open == 2
    await voices.aclose()


async def test_who_waits_too_long_for_a_turn_is_told(speech: SpeechServer) -> None:
    speech.otherwise = never
    voices = voices_of(speech, voice_at_once=1, voice_stall_s=0.2)

    async def take(_: Sound) -> None: ...

    async def first() -> None:
        with pytest.raises(VoiceTimedOut):
            await voices.synthesise(Words(text="first"), take)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(first())
        await speech.requested(1)
        with pytest.raises((VoiceBusy, VoiceTimedOut)):
            await voices.synthesise(Words(text="second"), take)
    await voices.aclose()


async def test_a_cancelled_synthesis_closes_its_connection(speech: SpeechServer) -> None:
    gone = asyncio.Event()

    async def until_gone(reply: Reply) -> None:
        await reply.head()
        await reply.chunk(wav(spoken(TEXT), RATE_HZ, data_size=0))
        try:
            while True:
                await reply.chunk(bytes(100_000))
        except ConnectionError:
            gone.set()

    speech.otherwise = until_gone
    heard_some = asyncio.Event()

    async def take(_: Sound) -> None:
        heard_some.set()
        await asyncio.Event().wait()

    voices = voices_of(speech)
    task = asyncio.ensure_future(voices.synthesise(Words(text=TEXT), take))
    await heard_some.wait()
    task.cancel()
    await asyncio.wait_for(gone.wait(), 5)
    await voices.aclose()
