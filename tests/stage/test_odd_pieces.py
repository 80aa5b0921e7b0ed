"""Speech that is cut anywhere: a sample may be cut between two pieces of an utterance. At its end it must be whole."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.stage.flashing_parts import LoudnessToMotion
from visavis.errors import QueueFull
from visavis.stage.performance import Performance
from visavis.stage.port.events import PlaybackFinished, SampleCut, SpeechEvent
from visavis.stage.port.values import Speech
from visavis.stage.timeline import BLOCK_SAMPLES

RATE_HZ = 16_000


class Stage:
    """A performance on a virtual clock, and its events and sound."""

    def __init__(self) -> None:
        self.performance = Performance(seed=1, open_speech=LoudnessToMotion)
        self.number = 0
        self.events: list[SpeechEvent] = []
        self.sound: list[NDArray[np.int16]] = []

    def speak(
        self,
        pcm: bytes,
        *,
        utterance_id: str | None = None,
        final: bool = False,
        rate_hz: int = RATE_HZ,
        number: int | None = None,
    ) -> int:
        """Speak a piece, with the next number unless one is given; return how many samples it completed."""
        if number is None:
            self.number += 1
        speech = Speech(
            pcm=pcm,
            sample_rate_hz=rate_hz,
            number=self.number if number is None else number,
            utterance_id=utterance_id,
            final=final,
        )
        return self.performance.speak(speech).samples

    def run(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 20):
            self.sound.append(self.performance.next_block())
            self.events += self.performance.events()

    @property
    def cut(self) -> list[str]:
        return [event.utterance_id for event in self.events if isinstance(event, SampleCut)]

    @property
    def finished(self) -> list[str]:
        return [event.utterance_id for event in self.events if isinstance(event, PlaybackFinished)]

    def heard(self) -> NDArray[np.int16]:
        return np.concatenate(self.sound)


def tone(samples: int = 8_000) -> bytes:
    pcm: bytes = (8000 * np.sin(np.arange(samples) / 5)).astype("<i2").tobytes()
    return pcm


def test_pieces_of_any_length_sound_like_the_whole() -> None:
    whole, cut = Stage(), Stage()
    pcm = tone()
    assert whole.speak(pcm, final=True) == 8_000
    edges = [0, *np.random.default_rng(3).choice(np.arange(1, len(pcm)), 94, replace=False), len(pcm)]
    edges.sort()
    counts = [cut.speak(pcm[begin:end], final=end == len(pcm)) for begin, end in pairwise(edges)]
    assert sum(counts) == 8_000 and any((end - begin) % 2 for begin, end in pairwise(edges))
    for stage in (whole, cut):
        stage.run(1_000)
    assert np.array_equal(whole.heard(), cut.heard()) and np.abs(whole.heard()).max() > 7_000
    assert cut.cut == [] and cut.finished == ["utt_1"]


@settings(deadline=None, max_examples=60, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 41), min_size=1, max_size=30))
def test_completed_samples_sum_up_and_one_byte_may_be_left(sizes: list[int]) -> None:
    stage = Stage()
    counts = [stage.speak(bytes(size), utterance_id="u") for size in sizes]
    assert sum(counts) == sum(sizes) // 2
    stage.speak(b"", utterance_id="u", final=True)
    stage.run(20)
    assert stage.cut == ["u"] * (sum(sizes) % 2)


def test_single_bytes_are_joined() -> None:
    stage = Stage()
    assert [stage.speak(bytes([n])) for n in range(5)] == [0, 1, 0, 1, 0]
    assert stage.speak(b"\5", final=True) == 1
    stage.run(100)
    assert stage.cut == []


@pytest.mark.parametrize("end", ["final", "final, empty", "another utterance", "no more audio"])
def test_a_byte_that_is_left_at_the_end_of_the_utterance_is_reported_once(end: str) -> None:
    stage = Stage()
    name = None if end == "no more audio" else "a"
    assert stage.speak(tone(1_600) + b"\1", utterance_id=name, final=end == "final") == 1_600
    if end == "final, empty":
        assert stage.speak(b"", final=True) == 0
    if end == "another utterance":
        assert stage.speak(tone(160), utterance_id="b", final=True) == 160
    stage.run(280)
    assert stage.cut == ([] if end == "no more audio" else ["a"])
    stage.run(400)
    assert stage.cut == [name or "utt_1"] == stage.finished[:1]


def test_the_next_utterance_begins_with_its_own_bytes() -> None:
    stage, clean = Stage(), Stage()
    stage.speak(b"\1\0\0", final=True)
    stage.run(200)
    begun = len(stage.sound)
    for each in (stage, clean):
        assert each.speak(tone(), final=True) == 8_000
        each.run(1_000)
    assert np.array_equal(stage.heard()[begun * BLOCK_SAMPLES :], clean.heard())


def test_another_rate_cuts_the_sample_and_the_utterance_goes_on() -> None:
    stage = Stage()
    assert stage.speak(bytes(321), utterance_id="a") == 160
    assert stage.speak(bytes(480), utterance_id="a", rate_hz=24_000, final=True) == 240
    stage.run(100)
    assert stage.cut == ["a"] and stage.finished == ["a"]


def test_an_interrupt_drops_the_byte_without_a_report() -> None:
    stage = Stage()
    stage.speak(tone(1_600) + b"\1", utterance_id="a")
    stage.performance.interrupt(through=stage.number)
    assert stage.speak(tone(160), utterance_id="b", final=True) == 160
    stage.run(600)
    assert stage.cut == [] and stage.finished == ["a", "b"]


def test_late_pieces_after_an_interrupt_count_as_no_samples() -> None:
    stage = Stage()
    counts = [stage.speak(bytes(321), utterance_id="a")]
    stage.performance.interrupt(through=3)
    counts += [stage.speak(bytes(321), utterance_id="a", number=2), stage.speak(bytes(1), utterance_id="a", number=3)]
    assert counts == [160, 0, 0]
    stage.run(400)
    assert stage.cut == []


def test_a_piece_that_does_not_fit_leaves_the_byte_where_it_was() -> None:
    stage = Stage()
    for _ in range(10):
        stage.speak(bytes(2 * 60 * RATE_HZ - 320), utterance_id="a")
    assert stage.speak(b"\0", utterance_id="a") == 0
    with pytest.raises(QueueFull):
        stage.speak(bytes(2 * 60 * RATE_HZ + 1), utterance_id="a")
    assert stage.speak(b"\0", utterance_id="a") == 1
