"""Sound of every length and rate, on the way from the channel through a stage, and in files."""

from __future__ import annotations

import base64
import struct
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.scale import FULL, examples
from visavis.channel.speech import read_speak
from visavis.engine.audio.files import read_recording, speech_of
from visavis.engine.errors import AudioUnreadable
from visavis.engine.motion.frame import SPOKEN_COUNT
from visavis.engine.speech.phones import TimedViseme
from visavis.engine.speech.stream import SpeechStream
from visavis.errors import InvalidSampleRate, QueueFull
from visavis.stage.performance import Performance
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted
from visavis.stage.port.values import Speech
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ

RATES_HZ = st.sampled_from([8_000, 16_000, 44_100, 48_000]) | st.integers(8_000, 48_000)
LENGTHS = st.integers(0, 5) | st.integers(0, 3_000) | st.just(20_001)
EXTREMES = st.sampled_from([b"\0", b"\xff", b"\x7f\xff", b"\x80\0", b"\xff\x7f\0\x80", bytes(range(256))])
MOST_BLOCKS = 2_000
KEPT = ("_pieces", "_segments", "_sound", "_arrivals", "_moods")
FRAME_BLOCKS = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of speech, which hypothesis need not print."""

    speech: Speech

    def __repr__(self) -> str:
        return f"Piece({len(self.speech.pcm)} bytes at {self.speech.sample_rate_hz} Hz)"


@st.composite
def pieces(draw: st.DrawFn) -> Piece:
    length, pattern = draw(LENGTHS), draw(EXTREMES)
    rate_hz = draw(RATES_HZ)
    visemes = None
    if draw(st.integers(0, 3)) == 0:
        ends = sorted(draw(st.lists(st.floats(0, max(1.0, length * 500 / rate_hz)), max_size=4)))
        spans = enumerate(pairwise([0.0, *ends]))
        visemes = tuple(TimedViseme(number % 21, start, end) for number, (start, end) in spans)
    speech = Speech(
        pcm=(pattern * (length // len(pattern) + 1))[:length],
        sample_rate_hz=rate_hz,
        number=0,
        utterance_id=draw(st.sampled_from([None, None, "a", "b"])),
        final=draw(st.booleans()),
        visemes=visemes,
    )
    return Piece(speech)


class Player:
    """A performance on a virtual clock, drawn at 25 frames a second."""

    def __init__(self) -> None:
        self.performance = Performance(seed=1, open_speech=SpeechStream)
        self.number = 0
        self.started: list[str] = []
        self.finished: list[PlaybackFinished] = []
        self.blocks = 0

    def speak(self, piece: Speech) -> int:
        self.number += 1
        return self.performance.speak(msgspec.structs.replace(piece, number=self.number)).samples

    def play(self, blocks: int) -> None:
        for _ in range(blocks):
            at = self.performance.position
            block = self.performance.next_block()
            assert block.dtype == np.int16 and block.shape == (BLOCK_SAMPLES,)
            self.blocks += 1
            if self.blocks % FRAME_BLOCKS == 0:
                motion = self.performance.face(at).motion
                assert np.isfinite(motion.coefficients).all()
                assert motion.coefficients[:SPOKEN_COUNT].min() >= 0 and np.abs(motion.coefficients).max() <= 1
                assert np.isfinite([motion.yaw_deg, motion.pitch_deg, motion.roll_deg]).all()
            for event in self.performance.events():
                if isinstance(event, PlaybackStarted):
                    self.started.append(event.utterance_id)
                elif isinstance(event, PlaybackFinished):
                    self.finished.append(event)


STEPS = st.one_of(pieces(), pieces(), st.integers(1, 20), st.just("interrupt"))


@examples(few=40, many=3_000)
@given(st.lists(STEPS, max_size=12))
def test_speech_of_any_form_is_played_once_and_leaves_nothing_behind(steps: list[Piece | int | str]) -> None:
    player, taken_s = Player(), 0.0
    for step in steps:
        if isinstance(step, Piece):
            taken_s += player.speak(step.speech) / step.speech.sample_rate_hz
        elif isinstance(step, int):
            player.play(step)
        else:
            player.performance.interrupt(through=player.number)
    player.speak(Speech(pcm=b"", sample_rate_hz=16_000, number=0, utterance_id="the last", final=True))
    while player.performance.head is not None:
        player.play(1)
        assert player.blocks < MOST_BLOCKS, "it never ends"
    player.play(FRAME_BLOCKS)
    names = [end.utterance_id for end in player.finished]
    heard = Counter(names)
    assert not Counter(player.started) - heard, "each start has its end"
    assert names[-1] == "the last"
    played_s = sum(end.position_s for end in player.finished)
    assert 0 <= played_s <= taken_s + len(steps) / PLAYOUT_RATE_HZ
    if "interrupt" not in steps:
        assert played_s >= taken_s - len(steps) / PLAYOUT_RATE_HZ, "all of it was played"
    assert player.performance.queued_samples == 0
    assert not player.performance._events


def test_what_a_long_utterance_keeps_does_not_grow() -> None:
    """An utterance that is never final, whose client is always some seconds ahead."""
    player = Player()
    piece = Speech(pcm=bytes(640), sample_rate_hz=16_000, number=0, utterance_id="a")
    for _ in range(150):
        player.speak(piece)
    kept = []
    for seconds in range(12 if FULL else 6):
        for _ in range(50):
            player.speak(piece)
            player.play(1)
        if seconds >= 3:
            media = player.performance.current
            assert media is not None
            kept.append(
                sum(len(getattr(media.media, name)) for name in ("_pieces", "_segments", "_sound", "_arrivals"))
            )
    assert max(kept) <= kept[0] + 10, kept


# Rates out of range


@examples(few=100, many=10_000)
@given(st.integers(-(10**9), 10**9) | st.sampled_from([0, 7_999, 48_001, 2**31, 2**63]), st.binary(max_size=9))
def test_a_message_of_any_rate_is_read_or_refused(rate_hz: int, pcm: bytes) -> None:
    message = {"type": "agent.speak", "audio": base64.b64encode(pcm).decode(), "sample_rate": rate_hz}
    if 8_000 <= rate_hz <= 48_000:
        speech = read_speak(message, number=1).speech
        assert (speech.pcm, speech.sample_rate_hz) == (pcm, rate_hz)
        return
    with pytest.raises(InvalidSampleRate):
        read_speak(message, number=1)


def test_more_than_may_be_queued_is_refused_and_the_rest_is_played() -> None:
    player = Player()
    minute = Speech(pcm=bytes(2 * 8_000 * 60), sample_rate_hz=8_000, number=0, utterance_id="a")
    for _ in range(10):
        assert player.speak(minute) == 480_000
    with pytest.raises(QueueFull):
        player.speak(Speech(pcm=b"\1\0", sample_rate_hz=8_000, number=0, utterance_id="a"))
    player.play(10)
    player.performance.interrupt(through=player.number)
    player.play(2)
    assert player.performance.queued_samples == 0


# Sound files

FLOAT = 3
FORMATS = {"pcm": (1, (8, 16, 24, 32)), "float": (FLOAT, (32, 64)), "a-law": (6, (8,)), "unknown": (0xBEEF, (16,))}
FLOATS = st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 5e-324, 0.5, -1.0])


@st.composite
def wav_files(draw: st.DrawFn) -> bytes:
    """Draw a WAV file whose header may say anything."""
    tag, widths = FORMATS[draw(st.sampled_from(sorted(FORMATS)))]
    bits, channels = draw(st.sampled_from(widths)), draw(st.integers(0, 3) | st.sampled_from([255, 65_535]))
    rate_hz = draw(RATES_HZ | st.integers(0, 1_000_000_000) | st.sampled_from([1, 2**31, 2**32 - 1]))
    data = draw(EXTREMES) * draw(st.integers(0, 500)) + draw(st.binary(max_size=3))
    if tag == FLOAT:
        data = struct.pack("<2f" if bits == 32 else "<2d", draw(FLOATS), draw(FLOATS)) * draw(st.integers(0, 50))
    block = channels * bits // 8 & 0xFFFF
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, (rate_hz * block) & 0xFFFFFFFF, block, bits)
    length = draw(st.sampled_from([len(data), 0, 0xFFFFFFFF, len(data) + 7]))
    riff = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", length) + data
    return b"RIFF" + struct.pack("<I", len(riff)) + riff


@examples(few=60, many=5_000)
@given(data=wav_files() | st.binary(max_size=200), raw_rate_hz=st.none() | st.none() | st.integers(1, 1_000_000_000))
def test_a_sound_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, raw_rate_hz: int | None
) -> None:
    path: Path = tmp_path_factory.mktemp("files") / "speech.wav"
    path.write_bytes(data)
    try:
        speech = speech_of(read_recording(path, pcm_rate_hz=raw_rate_hz))
    except AudioUnreadable:
        return
    assert speech.dtype == np.int16 and speech.ndim == 1


@pytest.mark.parametrize("rate_hz", [1, 999, 768_001, 2**31 - 1])
def test_a_sound_file_of_an_absurd_rate_is_refused(tmp_path: Path, rate_hz: int) -> None:
    """At 1 Hz these two megabytes are eleven days, which would take 60 GB."""
    data = bytes(2_000_000)
    form = struct.pack("<HHIIHH", 1, 1, rate_hz, (2 * rate_hz) & 0xFFFFFFFF, 2, 16)
    riff = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    (tmp_path / "speech.wav").write_bytes(b"RIFF" + struct.pack("<I", len(riff)) + riff)
    with pytest.raises(AudioUnreadable):
        speech_of(read_recording(tmp_path / "speech.wav"))
