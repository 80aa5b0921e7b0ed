"""What the agent says is read when it is heard: within 400 ms.

livekit-agents tells with each word when it sent it, in seconds since the speech began: with an avatar, since that told
so. These times are compared with where the words are in the sound that a user hears. So what an overloaded machine does
to the sound on its way does not count, but whether both begin together does.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
from livekit import rtc
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, Agent, APIConnectOptions, tts
from livekit.agents.types import TimedString
from livekit.agents.voice.io import PlaybackStartedEvent
from livekit.agents.voice.room_io import RoomOptions, TextOutputOptions
from livekit.plugins import visavis
from scene import RATE_HZ, WITHIN_S, Scene, Track, tone

pytestmark = [pytest.mark.anyio, pytest.mark.conformance, pytest.mark.timeout(60)]

WORDS = ["one", "two", "three", "four", "five", "six", "eight", "nine"]
STARTS_S = (0.0, 0.4, 0.8, 1.5, 1.9, 2.6, 3.0, 3.4)  # nobody speaks like a clock
WORD_S = 0.25
MOST_APART_S = 0.4


def word_and_pause(seconds: float) -> bytes:
    return tone(WORD_S) + bytes(2 * round((seconds - WORD_S) * RATE_HZ))


async def spoken(count: int) -> AsyncIterator[rtc.AudioFrame]:
    """So many words at an even pace, without their times."""
    for _ in range(count):
        pcm = word_and_pause(0.4)
        yield rtc.AudioFrame(pcm, RATE_HZ, 1, len(pcm) // 2)


class TimedVoice(tts.TTS):
    """A synthesiser that tells the times of its words, each of which is a tone."""

    def __init__(self) -> None:
        capabilities = tts.TTSCapabilities(streaming=True, aligned_transcript=True)
        super().__init__(capabilities=capabilities, sample_rate=RATE_HZ, num_channels=1)

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return self._synthesize_with_stream(text, conn_options=conn_options)

    def stream(self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> tts.SynthesizeStream:
        return TimedSpeech(tts=self, conn_options=conn_options)


class TimedSpeech(tts.SynthesizeStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id="scripted", sample_rate=RATE_HZ, num_channels=1, mime_type="audio/pcm", stream=True
        )
        output_emitter.start_segment(segment_id="scripted")
        words = "".join([piece async for piece in self._input_ch if isinstance(piece, str)]).split()
        self._mark_started()
        for word, start_s, next_s in zip(words, STARTS_S, (*STARTS_S[1:], STARTS_S[-1] + WORD_S), strict=True):
            output_emitter.push_timed_transcript(TimedString(f"{word} ", start_time=start_s, end_time=start_s + WORD_S))
            output_emitter.push(word_and_pause(next_s - start_s))


class Captions:
    """What is read in a room: each word, and when it was sent, in s since the speech began for the agent. `began_s`:
    when that was, monotonic.
    """

    def __init__(self, scene: Scene) -> None:
        self.words: list[tuple[str, float]] = []
        self.began_s: float | None = None
        self._changed = asyncio.Event()
        self._reading: list[asyncio.Task[None]] = []
        scene.user.room.register_text_stream_handler(
            "lk.transcription", lambda reader, _: self._reading.append(asyncio.create_task(self._read(reader)))
        )
        output = scene.session.output.audio
        assert output is not None
        output.on("playback_started", self._begin)

    async def wait_words(self, count: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            while len(self.words) < count:
                self._changed.clear()
                await self._changed.wait()

    def sent_after(self, number: int, heard: Track, place_s: float) -> float:
        """Return how much later than its sound a word was sent. `place_s`: of the sound, in all that was heard."""
        assert self.began_s is not None and heard.first_onset_s is not None
        _, sent_s = self.words[number]
        return self.began_s - heard.first_onset_s + sent_s - (place_s - heard.onsets_s[0])

    def _begin(self, event: PlaybackStartedEvent) -> None:
        self.began_s = time.monotonic() - (time.time() - event.created_at)

    async def _read(self, reader: rtc.TextStreamReader) -> None:
        text = ""
        async for piece in reader:
            *lines, text = (text + piece).split("\n")
            for word in map(json.loads, lines):
                if word["text"].strip():
                    self.words.append((word["text"].strip(), word["end_time"]))
            self._changed.set()


@pytest.fixture
async def avatar(scene: Scene) -> AsyncIterator[visavis.AvatarSession]:
    """An avatar that is seen, of an agent whose voice tells the times of its words. livekit-agents drops what is said
    before it has seen a user, so that is awaited.
    """
    opened = visavis.AvatarSession(avatar="iris", aspect_ratio="1:1")
    await opened.start(scene.session, scene.room)
    await scene.start_session(
        Agent(instructions="none", tts=TimedVoice(), use_tts_aligned_transcript=True),
        room_options=RoomOptions(text_output=TextOutputOptions(json_format=True)),
    )
    await opened.wait_ready()
    await scene.session.room_io.wait_for_ready()
    await scene.user.wait_pictures(opened.avatar_identity)
    yield opened
    await opened.aclose()


async def test_each_word_is_read_when_it_is_heard(scene: Scene, avatar: visavis.AvatarSession) -> None:
    captions = Captions(scene)
    await scene.session.say(" ".join(WORDS)).wait_for_playout()
    await scene.user.wait_onsets(avatar.avatar_identity, len(WORDS))
    await captions.wait_words(len(WORDS))
    assert [word for word, _ in captions.words] == WORDS
    heard = scene.user.of(avatar.avatar_identity)
    assert len(heard.onsets_s) == len(WORDS), f"the sound has holes: {heard.onsets_s}"
    apart_s = [captions.sent_after(number, heard, place_s) for number, place_s in enumerate(heard.onsets_s)]
    print("words are sent after they are heard, in ms:", [round(1000 * one) for one in apart_s])
    assert max(map(abs, apart_s)) <= MOST_APART_S


async def test_a_sentence_without_times_is_read_from_its_beginning_to_its_end(
    scene: Scene, avatar: visavis.AvatarSession
) -> None:
    captions = Captions(scene)
    await scene.session.say(" ".join(WORDS), audio=spoken(len(WORDS))).wait_for_playout()
    await captions.wait_words(len(WORDS))
    assert [word for word, _ in captions.words] == WORDS
    await scene.user.wait_silent(avatar.avatar_identity, 0.3)
    heard = scene.user.of(avatar.avatar_identity)
    begins_s = captions.sent_after(0, heard, heard.onsets_s[0])
    ends_s = captions.sent_after(-1, heard, heard.loud_until_s)
    print(f"it begins {1000 * begins_s:.0f} ms and ends {1000 * ends_s:.0f} ms after it is heard")
    assert abs(begins_s) <= MOST_APART_S and abs(ends_s) <= MOST_APART_S
