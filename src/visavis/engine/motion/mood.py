"""Moods: blends of a few named emotions.

A mood contains only weights. expressions.py has the face of each emotion, and `Liveliness` how fast the face reaches a
mood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Emotion = Literal["neutral", "happy", "sad", "surprised", "serious"]
EMOTIONS: tuple[Emotion, ...] = ("neutral", "happy", "sad", "surprised", "serious")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """The weight of each emotion, 0 to 1; the neutral face has only zeros. Raises ValueError for another weight."""

    happy: float = 0.0
    sad: float = 0.0
    surprised: float = 0.0
    serious: float = 0.0

    def __post_init__(self) -> None:
        for emotion, weight in zip(EMOTIONS[1:], self.weights(), strict=True):
            if not 0.0 <= weight <= 1.0:  # refuses NaN as well
                raise ValueError(f"the weight of {emotion} is {weight}; it must be from 0 to 1")

    @classmethod
    def of(cls, emotion: str, weight: float = 1.0) -> Mood:
        """Return the mood with one emotion at `weight`, 0 to 1. "neutral" at any weight is the neutral mood.

        Raises ValueError for an unknown emotion or another weight.
        """
        if emotion not in EMOTIONS:
            raise ValueError(f"{emotion!r} is no emotion; there are {', '.join(EMOTIONS)}")
        if not 0.0 <= weight <= 1.0:
            raise ValueError(f"the weight of {emotion} is {weight}; it must be from 0 to 1")
        return cls() if emotion == "neutral" else cls(**{emotion: weight})

    def weights(self) -> tuple[float, float, float, float]:
        """Return the weights in the order of EMOTIONS without neutral."""
        return self.happy, self.sad, self.surprised, self.serious


NEUTRAL = Mood()
