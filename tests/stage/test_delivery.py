"""Timings and moods on stage: the mouth and the face of each instant of the sound are those that were sent with it,
however it comes.
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
from visavis.stage.voice import Timings

PHONES = (("AA", 0, 200), ("P", 200, 300), ("AA", 300, 500), ("M", 500, 600), ("UW", 600, 800))
SHUT_MS, OPEN_MS = (250, 550), (100, 400)


class Stand(Speaker):
    """Drives a performance at 100 faces a second, and keeps them with what was heard."""

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
        """Return how far the lips were apart `ms_of_sound` after the first sample was heard."""
        face = self.faces[self.heard_from() // (10 * SAMPLES_PER_MS) + round(ms_of_sound / 10)]
        return float(face[INDEX["jawOpen"]] - face[INDEX["mouthClose"]])

    def heard_from(self) -> int:
        return int(np.argmax(self.sound != 0))


@pytest.fixture
def stand() -> Stand:
    return Stand()


def timings(start_ms: float = 0, end_ms: float = 800) -> Timings:
    """Return what is said from `start_ms` to `end_ms`, timed from there, as a client that streams would send it."""
    phones = [
        TimedPhone(p, max(0.0, s - start_ms), min(e, end_ms) - start_ms)
        for p, s, e in PHONES
        if s < end_ms and e > start_ms
    ]
    return time_visemes(phones, "arpabet", duration_ms=end_ms - start_ms)


def assert_follows(stand: Stand) -> None:
    assert all(stand.gap(ms) < 0.02 for ms in SHUT_MS), [stand.gap(ms) for ms in SHUT_MS]
    assert all(stand.gap(ms) > 0.4 for ms in OPEN_MS), [stand.gap(ms) for ms in OPEN_MS]


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 44_100, 48_000])
def test_lips_follow_the_timings_at_any_rate(stand: Stand, rate_hz: int) -> None:
    stand.speak(tone(800, rate_hz), rate_hz, final=True, visemes=timings())
    stand.run(1200)
    assert_follows(stand)
    assert not np.any(stand.faces[-5:], axis=0)[:MOUTH_COUNT].any()


@pytest.mark.parametrize("piece_ms", [20, 50, 130, 400])
def test_lips_follow_timings_that_come_with_each_piece(stand: Stand, piece_ms: int) -> None:
    pcm = tone(800)
    for start in range(0, 800, piece_ms):
        end = min(800, start + piece_ms)
        stand.speak(pcm[start * 16 : end * 16], RATE_HZ, visemes=timings(start, end))
    stand.run(1400)
    assert_follows(stand)


def test_lips_follow_timings_that_come_unevenly(stand: Stand) -> None:
    pcm = tone(800)
    stand.performance._margin = 120 * SAMPLES_PER_MS  # as a session that has learnt of it
    for start, wait in ((0, 40), (100, 160), (200, 20), (300, 180), (400, 20), (500, 180), (600, 20), (700, 100)):
        stand.speak(pcm[start * 16 : start * 16 + 1600], RATE_HZ, visemes=timings(start, start + 100))
        stand.run(wait)
    stand.run(800)
    quiet = np.diff(np.flatnonzero(stand.sound)).max()
    assert quiet < 3 * SAMPLES_PER_MS
    assert_follows(stand)


def test_timings_go_on_where_they_were_after_the_audio_ran_out(stand: Stand) -> None:
    pcm = tone(800)
    stand.speak(pcm[: 200 * 16], RATE_HZ, visemes=timings(0, 200))
    stand.run(500)
    rested = len(stand.faces)
    stand.speak(pcm[200 * 16 :], RATE_HZ, final=True, visemes=timings(200, 800))
    stand.run(1000)
    again = int(np.flatnonzero(stand.sound[rested * 10 * SAMPLES_PER_MS :])[0]) // (10 * SAMPLES_PER_MS) + rested
    gaps = [float(face[INDEX["jawOpen"]] - face[INDEX["mouthClose"]]) for face in stand.faces[again:]]
    assert gaps[5] < 0.02 and gaps[20] > 0.4 and gaps[35] < 0.02


def test_a_change_of_rate_keeps_timings_in_their_places(stand: Stand) -> None:
    stand.speak(tone(300, 16_000), 16_000, visemes=timings(0, 300))
    stand.speak(tone(500, 24_000), 24_000, final=True, visemes=timings(300, 800))
    stand.run(1200)
    assert_follows(stand)


def test_an_interrupt_drops_timings_with_their_speech(stand: Stand) -> None:
    stand.speak(tone(800), RATE_HZ, utterance_id="a", visemes=timings())
    stand.run(160)
    stand.interrupt()
    stand.run(200)
    assert not stand.faces[-1][:MOUTH_COUNT].any()
    stand.speak(tone(400), RATE_HZ, utterance_id="a", final=True)
    before = len(stand.faces)
    stand.run(600)
    assert max(face[INDEX["jawOpen"]] for face in stand.faces[before:]) == 1.0, "heard by its loudness again"


def test_timed_and_untimed_messages_of_one_utterance(stand: Stand) -> None:
    stand.speak(tone(300), RATE_HZ)
    stand.speak(tone(200), RATE_HZ, visemes=time_visemes([TimedPhone("M", 0, 200)], "arpabet", duration_ms=200))
    stand.speak(tone(300), RATE_HZ, final=True)
    stand.run(1200)
    assert stand.gap(150) == 1.0 and stand.gap(400) < 0.02 and stand.gap(650) == 1.0


def smile(face: NDArray[np.float32]) -> float:
    """Return how much a face differs from the neutral one, mouth, eyes and breath aside: by the cheeks and what moods
    hold.
    """
    return float(face[INDEX["moodSmile"]] + face[INDEX["mouthSmile"]])


def test_an_utterance_brings_its_mood_and_takes_it_along(stand: Stand) -> None:
    stand.speak(tone(200), RATE_HZ, utterance_id="plain", final=True)
    stand.speak(tone(1500), RATE_HZ, utterance_id="glad", final=True, mood=Mood(happy=1.0))
    stand.run(200)
    before = smile(stand.faces[-1])
    stand.run(1400)
    during = [smile(face) for face in stand.faces[20:]]
    stand.run(4000)
    after = smile(stand.faces[-1])
    assert before < 0.02 and max(during) > 0.3 and after < 0.05
    assert np.abs(np.diff(during)).max() < 0.05, "eased, no jump"


def test_the_sessions_mood_holds_where_speech_brings_none(stand: Stand) -> None:
    stand.performance.mood = Mood(happy=0.8)
    stand.run(3000)
    assert smile(stand.faces[-1]) > 0.2
    stand.speak(tone(3000), RATE_HZ, final=True, mood=Mood())
    stand.run(3000)
    assert smile(stand.faces[-1]) < 0.1
    stand.run(4000)
    assert smile(stand.faces[-1]) > 0.2
