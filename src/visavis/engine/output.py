"""The output of a session: its background, framing and mood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from visavis.engine.motion.mood import NEUTRAL, Mood
from visavis.engine.render.backdrop import DEFAULT_FRAMING, PHOTO, Backdrop, Framing


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    backdrop: Backdrop = PHOTO
    framing: Framing = DEFAULT_FRAMING
    mood: Mood = NEUTRAL

    def plain(self) -> dict[str, Any]:
        """Return the output as plain values, for the store; `from_plain` reads them."""
        return {"backdrop": self.backdrop.plain(), "framing": self.framing.plain(), "mood": list(self.mood.weights())}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Output:
        """Read what `plain` wrote. Raises ValueError."""
        return cls(
            backdrop=Backdrop.from_plain(plain["backdrop"]),
            framing=Framing.from_plain(plain["framing"]),
            mood=mood_of(plain["mood"]),
        )


DEFAULT_OUTPUT = Output()


def mood_of(weights: list[float]) -> Mood:
    """Return the mood of `Mood.weights()`."""
    happy, sad, surprised, serious = weights
    return Mood(happy=happy, sad=sad, surprised=surprised, serious=serious)
