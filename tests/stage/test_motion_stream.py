"""The motion stream: complete, ahead of its sound, with the mouth of the picture, void after an interrupt, and moving
in silence.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.stage.flashing_parts import LoudnessToMotion
from tests.stage.speaking import Speaker
from tests.stage.test_performance import RATE_HZ, tone
from visavis.engine.motion.arkit_names import ARKIT
from visavis.engine.motion.frame import INDEX
from visavis.stage.motion_stream import BATCH_FRAMES, FRAME_SAMPLES, IDLE_BATCH_FRAMES, MotionStream
from visavis.stage.performance import Performance
from visavis.stage.port.events import MotionCut, MotionEvent, MotionFrames, PlaybackStarted
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ, SAMPLES_PER_MS

JAW, BLINK = ARKIT.index("jawOpen"), ARKIT.index("eyeBlinkLeft")


class Harness(Speaker):
    """Runs a performance with its stream, and records the motion events with the positions of their blocks."""

    def __init__(self) -> None:
        super().__init__(Performance(seed=1, open_speech=LoudnessToMotion))
        self.stream = MotionStream(self.performance, seed=1)
        self.motion: list[tuple[int, MotionEvent]] = []
        self.started: dict[str, int] = {}
        self.jaws: list[float] = []  # of the picture, every 10 ms

    def run(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 20):
            at = self.performance.position
            self.performance.next_block()
            for event in self.performance.events():
                if isinstance(event, PlaybackStarted):
                    self.started[event.utterance_id] = at
            self.motion += [(at, motion) for motion in self.stream.next_events()]
            self.jaws += [
                float(self.performance.face(at + k).motion.coefficients[INDEX["jawOpen"]])
                for k in (0, BLOCK_SAMPLES // 2)
            ]

    def frames(self, utterance_id: str | None) -> dict[int, list[float]]:
        """Return the frames of an utterance by position. No position may occur twice."""
        found: dict[int, list[float]] = {}
        for _, motion in self.motion:
            if isinstance(motion, MotionFrames) and motion.utterance_id == utterance_id:
                assert 0 < len(motion.coefficients) == len(motion.heads) <= max(BATCH_FRAMES, IDLE_BATCH_FRAMES)
                for k, row in enumerate(motion.coefficients):
                    position = round(motion.position_s * PLAYOUT_RATE_HZ) + k * FRAME_SAMPLES
                    assert position not in found
                    found[position] = row
        return found

    @property
    def cuts(self) -> list[MotionCut]:
        return [motion for _, motion in self.motion if isinstance(motion, MotionCut)]


@pytest.fixture
def harness() -> Harness:
    return Harness()


def test_frames_of_an_utterance_are_complete_and_ahead_of_their_sound(harness: Harness) -> None:
    harness.run(200)
    harness.speak(tone(1000), RATE_HZ, utterance_id="a", final=True)
    harness.run(1500)
    frames = harness.frames("a")
    assert list(frames) == [k * FRAME_SAMPLES for k in range(50)]
    start = harness.started["a"]
    leads = [
        start + round(motion.position_s * PLAYOUT_RATE_HZ) - at
        for at, motion in harness.motion
        if isinstance(motion, MotionFrames) and motion.utterance_id == "a"
    ]
    assert min(leads) >= 0 and min(leads[2:]) >= 80 * SAMPLES_PER_MS
    assert not harness.cuts


def test_the_mouth_is_that_of_the_picture(harness: Harness) -> None:
    pcm = np.concatenate([tone(200), np.zeros(RATE_HZ // 5, np.int16), tone(200)])
    harness.speak(pcm, RATE_HZ, utterance_id="a", final=True)
    harness.run(1000)
    start = harness.started["a"] // (10 * SAMPLES_PER_MS)
    for position, row in harness.frames("a").items():
        if position > 100 * SAMPLES_PER_MS:
            assert row[JAW] == pytest.approx(harness.jaws[start + position // (10 * SAMPLES_PER_MS)], abs=0.002)


def test_utterances_that_follow_each_other_come_in_order(harness: Harness) -> None:
    for name, duration_ms in (("a", 200), ("b", 10), ("c", 0), ("d", 300)):
        harness.speak(tone(duration_ms), RATE_HZ, utterance_id=name, final=True)
    harness.run(1000)
    spoken = [
        motion.utterance_id for _, motion in harness.motion if isinstance(motion, MotionFrames) and motion.utterance_id
    ]
    assert spoken == sorted(spoken)
    assert {name: len(harness.frames(name)) for name in "abcd"} == {"a": 10, "b": 1, "c": 0, "d": 15}


def test_an_interrupt_makes_frames_void_from_its_position_on(harness: Harness) -> None:
    harness.speak(tone(2000), RATE_HZ, utterance_id="a")
    harness.speak(tone(500), RATE_HZ, utterance_id="b", final=True)
    harness.run(500)
    harness.interrupt()
    harness.run(600)
    (cut,) = harness.cuts
    assert (
        cut.utterance_id == "a"
        and 380 * SAMPLES_PER_MS < round(cut.position_s * PLAYOUT_RATE_HZ) < 520 * SAMPLES_PER_MS
    )
    assert max(harness.frames("a")) > round(cut.position_s * PLAYOUT_RATE_HZ) and not harness.frames("b")
    after = [
        motion
        for _, motion in harness.motion[[motion for _, motion in harness.motion].index(cut) + 1 :]
        if isinstance(motion, MotionFrames)
    ]
    jaws = [row[JAW] for motion in after for row in motion.coefficients]
    assert all(motion.utterance_id is None for motion in after) and jaws[0] > 0.5 and jaws[-1] == 0
    harness.speak(tone(200), RATE_HZ, utterance_id="c", final=True)
    harness.run(500)
    assert len(harness.frames("c")) == 10


def test_frames_without_speech_come_at_the_pace_of_the_clock(harness: Harness) -> None:
    harness.run(8000)
    frames = harness.frames(None)
    assert list(frames) == [k * FRAME_SAMPLES for k in range(400)]
    assert max(row[BLINK] for row in frames.values()) > 0.9 and not any(row[JAW] for row in frames.values())
    heads = [head for _, motion in harness.motion if isinstance(motion, MotionFrames) for head in motion.heads]
    assert len({tuple(head) for head in heads}) > 50


def test_frames_have_no_gap_between_speech_and_silence(harness: Harness) -> None:
    harness.run(300)
    harness.speak(tone(600), RATE_HZ, utterance_id="a", final=True)
    harness.run(2000)
    count = sum(len(motion.heads) for _, motion in harness.motion if isinstance(motion, MotionFrames))
    assert count == pytest.approx(2300 / 20, abs=IDLE_BATCH_FRAMES)
    yaws = [head[0] for _, motion in harness.motion if isinstance(motion, MotionFrames) for head in motion.heads]
    assert np.abs(np.diff(yaws)).max() < 1.0


def test_frames_pause_at_an_underrun_and_resume_with_the_audio(harness: Harness) -> None:
    harness.speak(tone(200), RATE_HZ, utterance_id="a")
    harness.run(200)
    harness.speak(tone(0), RATE_HZ, utterance_id="a")
    harness.run(240)
    harness.speak(tone(200), RATE_HZ, utterance_id="a", final=True)
    harness.run(600)
    assert list(harness.frames("a")) == [k * FRAME_SAMPLES for k in range(20)]


def test_a_stream_that_starts_in_mid_utterance_contains_the_rest_of_it() -> None:
    harness = Harness()
    harness.stream.close()
    harness.speak(tone(1000), RATE_HZ, utterance_id="a", final=True)
    for _ in range(20):
        harness.performance.next_block()
    harness.stream = MotionStream(harness.performance, seed=1)
    harness.run(1000)
    positions = list(harness.frames("a"))
    assert 300 * SAMPLES_PER_MS < positions[0] <= 420 * SAMPLES_PER_MS and positions[-1] == 49 * FRAME_SAMPLES
