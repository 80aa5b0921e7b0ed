"""Moods: how a face feels, as a blend of a few named expressions.

A mood says what to show; how fast the face gets there is for `Liveliness` to say, and what an expression looks like for
the renderer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Emotion = Literal["neutral", "happy", "sad", "surprised", "serious"]
EMOTIONS: tuple[Emotion, ...] = ("neutral", "happy", "sad", "surprised", "serious")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """Weights, 0 to 1 each, of the expressions that are blended; all zero is the neutral face. Raises ValueError for a
    weight outside.
    """

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
        """Return one emotion at `weight`, 0 to 1; "neutral" is none at any weight. Raises ValueError for an emotion
        that is none of EMOTIONS.
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
