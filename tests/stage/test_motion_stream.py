"""Motion for another's head: whole, ahead of its sound, the same mouth as the picture's, void where it was cut, and
alive in silence.
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


class Stand(Speaker):
    """Drives a performance with its stream; keeps what was told, with the position of the clock at which it was."""

    def __init__(self) -> None:
        super().__init__(Performance(seed=1, open_speech=LoudnessToMotion))
        self.stream = MotionStream(self.performance, seed=1)
        self.told: list[tuple[int, MotionEvent]] = []
        self.started: dict[str, int] = {}
        self.jaws: list[float] = []  # of the picture, every 10 ms

    def run(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 20):
            at = self.performance.position
            self.performance.next_block()
            for event in self.performance.events():
                if isinstance(event, PlaybackStarted):
                    self.started[event.utterance_id] = at
            self.told += [(at, motion) for motion in self.stream.step()]
            self.jaws += [
                float(self.performance.face(at + k).motion.coefficients[INDEX["jawOpen"]])
                for k in (0, BLOCK_SAMPLES // 2)
            ]

    def frames(self, utterance_id: str | None) -> dict[int, list[float]]:
        """Return the frames of an utterance by their positions; none may come twice."""
        found: dict[int, list[float]] = {}
        for _, motion in self.told:
            if isinstance(motion, MotionFrames) and motion.utterance_id == utterance_id:
                assert 0 < len(motion.coefficients) == len(motion.heads) <= max(BATCH_FRAMES, IDLE_BATCH_FRAMES)
                for k, row in enumerate(motion.coefficients):
                    position = round(motion.position_s * PLAYOUT_RATE_HZ) + k * FRAME_SAMPLES
                    assert position not in found
                    found[position] = row
        return found

    @property
    def cuts(self) -> list[MotionCut]:
        return [motion for _, motion in self.told if isinstance(motion, MotionCut)]


@pytest.fixture
def stand() -> Stand:
    return Stand()


def test_frames_of_an_utterance_are_whole_and_ahead_of_their_sound(stand: Stand) -> None:
    stand.run(200)
    stand.speak(tone(1000), RATE_HZ, utterance_id="a", final=True)
    stand.run(1500)
    frames = stand.frames("a")
    assert list(frames) == [k * FRAME_SAMPLES for k in range(50)]
    begun = stand.started["a"]
    leads = [
        begun + round(motion.position_s * PLAYOUT_RATE_HZ) - at
        for at, motion in stand.told
        if isinstance(motion, MotionFrames) and motion.utterance_id == "a"
    ]
    assert min(leads) >= 0 and min(leads[2:]) >= 80 * SAMPLES_PER_MS
    assert not stand.cuts


def test_the_mouth_is_the_pictures(stand: Stand) -> None:
    pcm = np.concatenate([tone(200), np.zeros(RATE_HZ // 5, np.int16), tone(200)])
    stand.speak(pcm, RATE_HZ, utterance_id="a", final=True)
    stand.run(1000)
    begun = stand.started["a"] // (10 * SAMPLES_PER_MS)
    for position, row in stand.frames("a").items():
        if position > 100 * SAMPLES_PER_MS:
            assert row[JAW] == pytest.approx(stand.jaws[begun + position // (10 * SAMPLES_PER_MS)], abs=0.002)


def test_utterances_that_follow_each_other_come_in_order(stand: Stand) -> None:
    for name, duration_ms in (("a", 200), ("b", 10), ("c", 0), ("d", 300)):
        stand.speak(tone(duration_ms), RATE_HZ, utterance_id=name, final=True)
    stand.run(1000)
    spoken = [
        motion.utterance_id for _, motion in stand.told if isinstance(motion, MotionFrames) and motion.utterance_id
    ]
    assert spoken == sorted(spoken)
    assert {name: len(stand.frames(name)) for name in "abcd"} == {"a": 10, "b": 1, "c": 0, "d": 15}


def test_an_interrupt_says_from_where_on_frames_are_void(stand: Stand) -> None:
    stand.speak(tone(2000), RATE_HZ, utterance_id="a")
    stand.speak(tone(500), RATE_HZ, utterance_id="b", final=True)
    stand.run(500)
    stand.interrupt()
    stand.run(600)
    (cut,) = stand.cuts
    assert (
        cut.utterance_id == "a"
        and 380 * SAMPLES_PER_MS < round(cut.position_s * PLAYOUT_RATE_HZ) < 520 * SAMPLES_PER_MS
    )
    assert max(stand.frames("a")) > round(cut.position_s * PLAYOUT_RATE_HZ) and not stand.frames("b")
    after = [
        motion
        for _, motion in stand.told[[motion for _, motion in stand.told].index(cut) + 1 :]
        if isinstance(motion, MotionFrames)
    ]
    jaws = [row[JAW] for motion in after for row in motion.coefficients]
    assert all(motion.utterance_id is None for motion in after) and jaws[0] > 0.5 and jaws[-1] == 0
    stand.speak(tone(200), RATE_HZ, utterance_id="c", final=True)
    stand.run(500)
    assert len(stand.frames("c")) == 10


def test_the_face_lives_on_in_silence_at_the_pace_of_the_clock(stand: Stand) -> None:
    stand.run(8000)
    frames = stand.frames(None)
    assert list(frames) == [k * FRAME_SAMPLES for k in range(400)]
    assert max(row[BLINK] for row in frames.values()) > 0.9 and not any(row[JAW] for row in frames.values())
    assert (
        len({tuple(head) for _, motion in stand.told if isinstance(motion, MotionFrames) for head in motion.heads}) > 50
    )


def test_life_has_no_gap_between_speech_and_silence(stand: Stand) -> None:
    stand.run(300)
    stand.speak(tone(600), RATE_HZ, utterance_id="a", final=True)
    stand.run(2000)
    count = sum(len(motion.heads) for _, motion in stand.told if isinstance(motion, MotionFrames))
    assert count == pytest.approx(2300 / 20, abs=IDLE_BATCH_FRAMES)
    yaws = [head[0] for _, motion in stand.told if isinstance(motion, MotionFrames) for head in motion.heads]
    assert np.abs(np.diff(yaws)).max() < 1.0


def test_frames_wait_where_the_audio_runs_out_and_go_on_with_it(stand: Stand) -> None:
    stand.speak(tone(200), RATE_HZ, utterance_id="a")
    stand.run(200)
    stand.speak(tone(0), RATE_HZ, utterance_id="a")
    stand.run(240)
    stand.speak(tone(200), RATE_HZ, utterance_id="a", final=True)
    stand.run(600)
    assert list(stand.frames("a")) == [k * FRAME_SAMPLES for k in range(20)]


def test_a_stream_that_begins_in_the_middle_tells_what_is_still_to_come() -> None:
    stand = Stand()
    stand.stream.close()
    stand.speak(tone(1000), RATE_HZ, utterance_id="a", final=True)
    for _ in range(20):
        stand.performance.next_block()
    stand.stream = MotionStream(stand.performance, seed=1)
    stand.run(1000)
    positions = list(stand.frames("a"))
    assert 300 * SAMPLES_PER_MS < positions[0] <= 420 * SAMPLES_PER_MS and positions[-1] == 49 * FRAME_SAMPLES
