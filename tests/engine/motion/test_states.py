"""States and moods: each looks its own way, and nothing jumps on the way from one to the next."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from visavis.engine.motion.expressions import expressions
from visavis.engine.motion.frame import COEFFICIENTS, INDEX, MOUTH_COUNT, MotionFrame
from visavis.engine.motion.liveliness import SILENCE, Cue, Liveliness
from visavis.engine.motion.mood import EMOTIONS, Mood
from visavis.engine.motion.states import AvatarState

STATES: tuple[AvatarState, ...] = ("idle", "listening", "thinking", "speaking")
MINUTE = 6000

# Units a second, and a second squared. Lids and saccades are the quickest things in a face; what a mood holds is slow.
LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(COEFFICIENTS, (2.5, 40.0)),
    **dict.fromkeys(("eyeBlinkLeft", "eyeBlinkRight"), (25.0, 1600.0)),
    **dict.fromkeys(("eyeLookX", "eyeLookY"), (70.0, 6000.0)),
    **dict.fromkeys(("browInnerUp", "browOuterUp", "browDown"), (7.0, 500.0)),
    "eyeWide": (4.0, 100.0),
}


def performance(seed: int, steps: int) -> list[MotionFrame]:
    """A face whose state, mood and stress change at any time, also while the last change is still on its way."""
    random, life = Random(seed), Liveliness(seed)
    state: AvatarState = "idle"
    mood, stress, frames = Mood(), 0.0, []
    for step in range(steps):
        if random.random() < 0.012:
            state = random.choice(STATES)
        if random.random() < 0.012:
            mood = Mood.of(random.choice(EMOTIONS), random.random())
        if random.random() < 0.03:
            stress = random.choice((0.0, random.random()))
        speaking = state == "speaking"
        frames.append(
            life.frame(
                step, cue=Cue(rest=0.0, loudness=0.5, stress=stress) if speaking else SILENCE, state=state, mood=mood
            )
        )
    return frames


def live(state: AvatarState, seed: int, steps: int, mood: Mood | None = None) -> list[MotionFrame]:
    life = Liveliness(seed)
    return [life.frame(step, state=state, mood=mood or Mood()) for step in range(steps)]


def rows(frames: list[MotionFrame]) -> NDArray[np.float32]:
    return np.array([frame.coefficients for frame in frames], np.float64)


def test_no_channel_jumps_whatever_changes_and_whenever() -> None:
    frames = performance(4, 3 * MINUTE)
    path = rows(frames)
    speed, push = (
        np.abs(np.diff(path, axis=0)).max(axis=0) * 100,
        np.abs(np.diff(path, n=2, axis=0)).max(axis=0) * 100**2,
    )
    for k, name in enumerate(COEFFICIENTS):
        assert speed[k] <= LIMITS[name][0], (name, speed[k])
        assert push[k] <= LIMITS[name][1], (name, push[k])
    head = np.array([(f.yaw_deg, f.pitch_deg, f.roll_deg) for f in frames])
    assert np.abs(np.diff(head, axis=0)).max() * 100 < 40, "degrees a second"
    assert np.abs(np.diff(head, n=2, axis=0)).max() * 100**2 < 500
    assert np.all(np.abs(head) <= (6.0, 5.0, 4.0))


def test_the_same_seed_and_changes_give_the_same_frames() -> None:
    assert np.array_equal(rows(performance(9, 1500)), rows(performance(9, 1500)))


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_a_mood_held_in_silence_is_still_to_the_bit(emotion: str) -> None:
    held = rows(live("idle", 1, 900, Mood.of(emotion)))[600:]
    lips = [*range(MOUTH_COUNT), *(INDEX[name] for name in ("moodSmile", "mouthFrown", "mouthShrugLower"))]
    assert (held[:, lips] == held[0, lips]).all()
    assert held[0, lips].any() == (emotion != "neutral")


@pytest.mark.parametrize("emotion", EMOTIONS[1:])
def test_speech_over_a_mood_closes_and_touches_as_without(emotion: str) -> None:
    life = Liveliness(2)
    mouths = {
        "p": {"jawOpen": 0.08, "mouthClose": 0.08, "mouthPress": 0.35},
        "f": {"jawOpen": 0.1, "mouthRollLower": 0.75, "mouthUpperUp": 0.25},
    }
    life.frame(400, mood=Mood.of(emotion))
    for n, shape in enumerate(mouths.values()):
        mouth = np.zeros(MOUTH_COUNT, np.float32)
        for name, value in shape.items():
            mouth[INDEX[name]] = value
        shown = life.frame(401 + n, mouth, Cue(rest=0.0), "speaking", Mood.of(emotion)).coefficients
        assert (
            shown[INDEX["jawOpen"]] == mouth[INDEX["jawOpen"]]
            and shown[INDEX["mouthClose"]] == mouth[INDEX["mouthClose"]]
        )
        assert shown[INDEX["mouthRollLower"]] == mouth[INDEX["mouthRollLower"]]


def test_corners_stay_up_in_speech_and_give_way_to_rounding() -> None:
    life, happy = Liveliness(2), Mood.of("happy")
    life.frame(400, mood=happy)
    open_mouth, round_mouth = np.zeros(MOUTH_COUNT, np.float32), np.zeros(MOUTH_COUNT, np.float32)
    open_mouth[INDEX["jawOpen"]], round_mouth[INDEX["mouthPucker"]] = 0.6, 0.8
    smile = INDEX["moodSmile"]
    assert life.frame(401, open_mouth, mood=happy).coefficients[smile] > 0.7
    assert 0.3 < life.frame(402, round_mouth, mood=happy).coefficients[smile] < 0.7


def test_half_a_mood_is_half_the_face_and_moods_blend() -> None:
    table, cheeks = expressions(), INDEX["moodSmile"]
    half = rows(live("idle", 3, 700, Mood.of("happy", 0.5)))[-1]
    assert np.isclose(half[cheeks], 0.5 * table[0, cheeks])
    both = rows(live("idle", 3, 700, Mood(happy=0.5, surprised=0.5)))[-1]
    assert np.isclose(both[cheeks], half[cheeks]) and both[INDEX["eyeWide"]] > 0.4


@pytest.mark.parametrize("state", STATES)
def test_blinks_come_twelve_to_thirty_times_a_minute_in_every_state(state: AvatarState) -> None:
    life, count, before = Liveliness(1), 0, 0.0
    for step in range(0, 5 * MINUTE, 4):
        phrase = state == "speaking" and step % 320 < 230
        lid = float(
            life.frame(step, cue=Cue(rest=0.0) if phrase else SILENCE, state=state).coefficients[INDEX["eyeBlinkLeft"]]
        )
        count += lid > 0.85 >= before
        before = lid
    assert 12 <= count / 5 <= 30, (state, count / 5)


def test_who_thinks_looks_away_and_frowns_and_who_listens_holds_the_gaze_and_nods() -> None:
    seen = {state: live(state, 6, 2 * MINUTE) for state in STATES}
    away = {
        state: (np.hypot(*rows(frames)[:, [INDEX["eyeLookX"], INDEX["eyeLookY"]]].T) > 0.25).mean()
        for state, frames in seen.items()
    }
    assert away["thinking"] > 0.5 and max(away["listening"], away["speaking"]) < 0.15
    assert rows(seen["thinking"])[-1, INDEX["browDown"]] > 0.2 > rows(seen["listening"])[-1, INDEX["browDown"]]
    assert rows(seen["listening"])[-1, INDEX["browInnerUp"]] > 0.1

    def nods(state: AvatarState) -> int:
        pitch = np.array([frame.pitch_deg for frame in seen[state]])
        return int(
            np.sum(
                pitch[25:-25] - np.minimum(pitch[:-50], pitch[50:]) * 0.5 - np.maximum(pitch[:-50], pitch[50:]) * 0.5
                > 0.45
            )
        )

    assert nods("listening") > 3 * max(nods("idle"), 20), "quick dips of the head"


def test_a_new_state_shows_in_the_eyes_within_a_second() -> None:
    quick = 0
    for seed in range(12):
        life = Liveliness(seed)
        life.frame(1000)
        looks = rows([life.frame(step, state="thinking") for step in range(1001, 1100)])
        quick += bool((np.hypot(*looks[:, [INDEX["eyeLookX"], INDEX["eyeLookY"]]].T) > 0.25).any())
    assert quick >= 6
