"""Timings and moods on a stage: mouth and face follow the annotations of the speech, however it is divided into pieces
and however unevenly it arrives.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stage.flashing_parts import LoudnessToMotion
from tests.stage.speaking import Speaker
from tests.stage.test_performance import RATE_HZ, tone
from visavis.engine.motion.frame import INDEX, MOUTH_COUNT
from visavis.engine.motion.mood import Mood
from visavis.engine.speech.phones import TimedPhone, time_visemes
from visavis.stage.performance import Performance
from visavis.stage.timeline import BLOCK_SAMPLES, SAMPLES_PER_MS
from visavis.stage.utterance_media import Timings

PHONES = (("AA", 0, 200), ("P", 200, 300), ("AA", 300, 500), ("M", 500, 600), ("UW", 600, 800))
SHUT_MS, OPEN_MS = (250, 550), (100, 400)


class Harness(Speaker):
    """Runs a performance with 100 faces a second, and records faces and sound."""

    def __init__(self) -> None:
        super().__init__(Performance(seed=1, open_speech=LoudnessToMotion))
        self.sound = np.zeros(0, np.int16)
        self.faces: list[NDArray[np.float32]] = []

    def run(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 20):
            at = self.performance.position
            self.sound = np.concatenate([self.sound, self.performance.next_block()])
            self.faces += [self.performance.face(at + k).motion.coefficients.copy() for k in (0, BLOCK_SAMPLES // 2)]

    def gap(self, ms_of_sound: float) -> float:
        """Return how far the lips were apart `ms_of_sound` after the first sample of the sound."""
        face = self.faces[self.sound_start() // (10 * SAMPLES_PER_MS) + round(ms_of_sound / 10)]
        return float(face[INDEX["jawOpen"]] - face[INDEX["mouthClose"]])

    def sound_start(self) -> int:
        return int(np.argmax(self.sound != 0))


@pytest.fixture
def harness() -> Harness:
    return Harness()


def timings(start_ms: float = 0, end_ms: float = 800) -> Timings:
    """Return the timings from `start_ms` to `end_ms`, counted from `start_ms`, as a streaming client sends them."""
    phones = [
        TimedPhone(p, max(0.0, s - start_ms), min(e, end_ms) - start_ms)
        for p, s, e in PHONES
        if s < end_ms and e > start_ms
    ]
    return time_visemes(phones, "arpabet", duration_ms=end_ms - start_ms)


def assert_lips_follow(harness: Harness) -> None:
    assert all(harness.gap(ms) < 0.02 for ms in SHUT_MS), [harness.gap(ms) for ms in SHUT_MS]
    assert all(harness.gap(ms) > 0.4 for ms in OPEN_MS), [harness.gap(ms) for ms in OPEN_MS]


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 44_100, 48_000])
def test_lips_follow_the_timings_at_any_rate(harness: Harness, rate_hz: int) -> None:
    harness.speak(tone(800, rate_hz), rate_hz, final=True, visemes=timings())
    harness.run(1200)
    assert_lips_follow(harness)
    assert not np.any(harness.faces[-5:], axis=0)[:MOUTH_COUNT].any()


@pytest.mark.parametrize("piece_ms", [20, 50, 130, 400])
def test_lips_follow_timings_that_come_with_each_piece(harness: Harness, piece_ms: int) -> None:
    pcm = tone(800)
    for start in range(0, 800, piece_ms):
        end = min(800, start + piece_ms)
        harness.speak(pcm[start * 16 : end * 16], RATE_HZ, visemes=timings(start, end))
    harness.run(1400)
    assert_lips_follow(harness)


def test_lips_follow_timings_that_come_unevenly(harness: Harness) -> None:
    pcm = tone(800)
    harness.performance._margin_samples = 120 * SAMPLES_PER_MS  # as after uneven speech
    for start, wait in ((0, 40), (100, 160), (200, 20), (300, 180), (400, 20), (500, 180), (600, 20), (700, 100)):
        harness.speak(pcm[start * 16 : start * 16 + 1600], RATE_HZ, visemes=timings(start, start + 100))
        harness.run(wait)
    harness.run(800)
    quiet = np.diff(np.flatnonzero(harness.sound)).max()
    assert quiet < 3 * SAMPLES_PER_MS
    assert_lips_follow(harness)


def test_timings_resume_after_an_underrun(harness: Harness) -> None:
    pcm = tone(800)
    harness.speak(pcm[: 200 * 16], RATE_HZ, visemes=timings(0, 200))
    harness.run(500)
    rested = len(harness.faces)
    harness.speak(pcm[200 * 16 :], RATE_HZ, final=True, visemes=timings(200, 800))
    harness.run(1000)
    again = int(np.flatnonzero(harness.sound[rested * 10 * SAMPLES_PER_MS :])[0]) // (10 * SAMPLES_PER_MS) + rested
    gaps = [float(face[INDEX["jawOpen"]] - face[INDEX["mouthClose"]]) for face in harness.faces[again:]]
    assert gaps[5] < 0.02 and gaps[20] > 0.4 and gaps[35] < 0.02


def test_a_change_of_rate_does_not_shift_timings(harness: Harness) -> None:
    harness.speak(tone(300, 16_000), 16_000, visemes=timings(0, 300))
    harness.speak(tone(500, 24_000), 24_000, final=True, visemes=timings(300, 800))
    harness.run(1200)
    assert_lips_follow(harness)


def test_an_interrupt_drops_timings_with_their_speech(harness: Harness) -> None:
    harness.speak(tone(800), RATE_HZ, utterance_id="a", visemes=timings())
    harness.run(160)
    harness.interrupt()
    harness.run(200)
    assert not harness.faces[-1][:MOUTH_COUNT].any()
    harness.speak(tone(400), RATE_HZ, utterance_id="b", final=True)
    before = len(harness.faces)
    harness.run(600)
    assert max(face[INDEX["jawOpen"]] for face in harness.faces[before:]) == 1.0, "the mouth follows the loudness again"


def test_messages_with_and_without_timings_can_form_one_utterance(harness: Harness) -> None:
    harness.speak(tone(300), RATE_HZ)
    harness.speak(tone(200), RATE_HZ, visemes=time_visemes([TimedPhone("M", 0, 200)], "arpabet", duration_ms=200))
    harness.speak(tone(300), RATE_HZ, final=True)
    harness.run(1200)
    assert harness.gap(150) == 1.0 and harness.gap(400) < 0.02 and harness.gap(650) == 1.0


def smile(face: NDArray[np.float32]) -> float:
    """Return how much a face smiles."""
    return float(face[INDEX["moodSmile"]] + face[INDEX["mouthSmile"]])


def test_the_mood_of_an_utterance_ends_with_it(harness: Harness) -> None:
    harness.speak(tone(200), RATE_HZ, utterance_id="neutral", final=True)
    harness.speak(tone(1500), RATE_HZ, utterance_id="glad", final=True, mood=Mood(happy=1.0))
    harness.run(200)
    before = smile(harness.faces[-1])
    harness.run(1400)
    during = [smile(face) for face in harness.faces[20:]]
    harness.run(4000)
    after = smile(harness.faces[-1])
    assert before < 0.02 and max(during) > 0.3 and after < 0.05
    assert np.abs(np.diff(during)).max() < 0.05, "the face eases, it does not jump"


def test_the_sessions_mood_applies_without_a_mood_of_the_speech(harness: Harness) -> None:
    harness.performance.mood = Mood(happy=0.8)
    harness.run(3000)
    assert smile(harness.faces[-1]) > 0.2
    harness.speak(tone(3000), RATE_HZ, final=True, mood=Mood())
    harness.run(3000)
    assert smile(harness.faces[-1]) < 0.1
    harness.run(4000)
    assert smile(harness.faces[-1]) > 0.2
