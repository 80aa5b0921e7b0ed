"""Moods: what may be asked for, and what a blend carries."""

from __future__ import annotations

import math

import pytest

from visavis.engine.motion.mood import EMOTIONS, NEUTRAL, Mood


def test_every_emotion_has_a_mood_and_neutral_is_none() -> None:
    assert Mood.of("neutral") == NEUTRAL == Mood()
    assert [Mood.of(e, 0.6).weights().index(0.6) for e in EMOTIONS[1:]] == [0, 1, 2, 3]
    assert Mood.of("happy") == Mood(happy=1.0)


@pytest.mark.parametrize(
    ("emotion", "weight"),
    [("furious", 1.0), ("happy", 1.2), ("sad", -0.1), ("sad", math.nan), ("neutral", 7.0), ("", 0.5)],
)
def test_what_is_no_mood_is_refused(emotion: str, weight: float) -> None:
    with pytest.raises(ValueError, match=r"emotion|weight"):
        Mood.of(emotion, weight)


def test_weights_outside_are_refused_in_a_blend_as_well() -> None:
    with pytest.raises(ValueError, match="surprised"):
        Mood(happy=0.5, surprised=1.5)
