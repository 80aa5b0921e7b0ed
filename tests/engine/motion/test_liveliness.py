"""A face that lives: never a loop, never a jump, and replayable."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from visavis.engine.motion.frame import COEFFICIENTS, INDEX, MOUTH_COUNT, SPOKEN_COUNT, MotionFrame
from visavis.engine.motion.liveliness import SILENCE, Cue, Liveliness
from visavis.engine.motion.states import AvatarState

MINUTE = 6000


def live(seed: int, steps: int, stride: int = 1, cue: Cue = SILENCE, state: AvatarState = "idle") -> list[MotionFrame]:
    life = Liveliness(seed)
    return [life.frame(step, cue=cue, state=state) for step in range(0, steps, stride)]


def angles(frames: list[MotionFrame]) -> NDArray[np.float64]:
    return np.array([(f.yaw_deg, f.pitch_deg, f.roll_deg) for f in frames])


def blinks(frames: list[MotionFrame]) -> int:
    lid = np.array([f.coefficients[INDEX["eyeBlinkLeft"]] for f in frames])
    return int(np.sum((lid[1:] > 0.9) & (lid[:-1] <= 0.9)))


def test_the_same_seed_gives_the_same_life_and_another_seed_another() -> None:
    first, again, other = live(7, 2000), live(7, 2000), live(8, 2000)
    assert all(np.array_equal(a.coefficients, b.coefficients) for a, b in zip(first, again, strict=True))
    assert np.array_equal(angles(first), angles(again))
    assert not np.allclose(angles(first), angles(other))


def test_any_frame_rate_sees_the_same_life() -> None:
    every_step, every_fourth = live(3, 2000), live(3, 2000, stride=4)
    for at, frame in enumerate(every_fourth):
        assert np.array_equal(frame.coefficients, every_step[at * 4].coefficients)


def test_the_mouth_is_exactly_what_speech_asks() -> None:
    mouth = np.linspace(0.0, 0.5, MOUTH_COUNT, dtype=np.float32)
    life = Liveliness(1)
    assert np.array_equal(life.frame(10, mouth).coefficients[:MOUTH_COUNT], mouth)
    assert not life.frame(20).coefficients[:MOUTH_COUNT].any()


@pytest.mark.parametrize("seed", range(5))
def test_blinks_come_twelve_to_thirty_times_a_minute(seed: int) -> None:
    assert 12 <= blinks(live(seed, 5 * MINUTE)) / 5 <= 30


@pytest.mark.parametrize("state", ["idle", "listening", "thinking", "speaking"])
def test_the_head_stays_in_bounds_and_never_jumps(state: AvatarState) -> None:
    talking = Cue(rest=0.0, loudness=0.6, stress=0.9 if state == "speaking" else 0.0)
    path = angles(live(5, 3 * MINUTE, cue=talking if state == "speaking" else SILENCE, state=state))
    assert np.all(np.abs(path) <= (6.0, 5.0, 4.0))
    assert path.std(axis=0).min() > 0.2, "a head that does not move is not alive"
    assert np.abs(np.diff(path, axis=0)).max() < 0.4, "degrees in 10 ms"


def test_life_is_never_a_loop() -> None:
    yaw = angles(live(11, 3 * MINUTE))[:, 0]
    yaw = (yaw - yaw.mean()) / yaw.std()
    spectrum = np.abs(np.fft.rfft(yaw, 2 * len(yaw))) ** 2
    likeness = np.fft.irfft(spectrum)[: len(yaw) // 2] / np.arange(len(yaw), len(yaw) // 2, -1)
    assert likeness[3000:].max() < 0.75, "30 s and more apart, nothing repeats"


def test_a_head_nods_and_brows_rise_on_stress() -> None:
    def life(stressed: bool) -> list[MotionFrame]:
        one = Liveliness(2)
        return [
            one.frame(s, cue=Cue(rest=0.0, stress=0.9 if stressed and 300 <= s < 315 else 0.0), state="speaking")
            for s in range(400)
        ]

    nod = angles(life(True))[:, 1] - angles(life(False))[:, 1]
    assert np.allclose(nod[:300], 0.0)
    assert 0.5 < nod[300:].max() < 4.0
    brow = INDEX["browInnerUp"]
    assert max(f.coefficients[brow] for f in life(True)) > max(f.coefficients[brow] for f in life(False)) + 0.1


def test_every_coefficient_stays_in_its_range() -> None:
    rows = np.array([f.coefficients for f in live(9, MINUTE, state="thinking")])
    signed = [INDEX["eyeLookX"], INDEX["eyeLookY"]]
    low = np.zeros(len(COEFFICIENTS))
    low[signed] = -1.0
    assert np.all(rows >= low) and np.all(rows <= 1.0)
    assert np.abs(rows[:, signed]).max() > 0.2, "who thinks looks away"


def test_speech_without_a_tongue_leaves_it_in_and_with_one_shows_it() -> None:
    life, out = Liveliness(3), INDEX["tongueOut"]
    assert life.frame(1, np.full(MOUTH_COUNT, 0.4, np.float32)).coefficients[out] == 0
    mouth = np.zeros(SPOKEN_COUNT, np.float32)
    mouth[out] = 0.8
    assert life.frame(2, mouth).coefficients[out] == np.float32(0.8) and life.frame(3).coefficients[out] == 0
