"""How a session looks: what is behind the person, how near they are, and the mood they are in. A value, and its JSON as
the API takes it.

    {"background": {"type": "color", "color": "#1a2b3c"}, "framing": {"zoom": 1.2}, "emotion": {"name": "happy",
    "weight": 0.6}}

Each member may be left out, which leaves it as it is, or null, which makes it what it is by default. Unknown members
are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from visavis.engine.motion.mood import EMOTIONS, NEUTRAL, Mood
from visavis.engine.pack_ref import picture_id_of
from visavis.engine.render.backdrop import AS_EVER, PHOTO, Backdrop, Framing, image_source
from visavis.errors import InvalidEmotion, InvalidOutput

MEMBERS = ("background", "framing", "emotion")
_NO_PICTURE = picture_id_of(b"")  # stands for the picture while the rest of a background is checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    backdrop: Backdrop = PHOTO
    framing: Framing = AS_EVER
    mood: Mood = NEUTRAL

    def shown(self) -> dict[str, Any]:
        """Return the JSON that a client is told; of an image only that there is one."""
        background: dict[str, Any] = {"type": self.backdrop.kind}
        if self.backdrop.color is not None:
            background["color"] = "#{:02x}{:02x}{:02x}".format(*self.backdrop.color)
        if self.backdrop.strength is not None:
            background["strength"] = self.backdrop.strength
        return {"background": background, "framing": {"zoom": self.framing.zoom}, "emotion": _emotion_of(self.mood)}

    def plain(self) -> dict[str, Any]:
        """Return what `from_plain` reads: for the way to a stage, and for the store."""
        return {"backdrop": self.backdrop.plain(), "framing": self.framing.plain(), "mood": list(self.mood.weights())}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Output:
        """Read what `plain` wrote. Raises `BackgroundRefused`, `FramingRefused`."""
        return cls(
            backdrop=Backdrop.from_plain(plain["backdrop"]),
            framing=Framing.from_plain(plain["framing"]),
            mood=mood_of(plain["mood"]),
        )


AS_IS = Output()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputChange:
    """What a client wants otherwise; None where it wants nothing. `background` is its JSON, checked."""

    background: dict[str, Any] | None = None
    framing: Framing | None = None
    mood: Mood | None = None

    @property
    def image(self) -> str | None:
        """The address or the base64 of the background's picture, if it is one."""
        return None if self.background is None else image_source(self.background)

    def made_to(self, output: Output, *, picture_id: str | None = None) -> Output:
        """Return the output with this change; `picture_id`: the name of the background's picture, where it is one."""
        if self.background is not None:
            output = replace(output, backdrop=Backdrop.parse(self.background, picture_id=picture_id))
        if self.framing is not None:
            output = replace(output, framing=self.framing)
        return output if self.mood is None else replace(output, mood=self.mood)


def read_output(value: Any) -> OutputChange:
    """Read the JSON of an output. Raises `InvalidOutput`, `BackgroundRefused`, `FramingRefused`, `InvalidEmotion`."""
    if not isinstance(value, dict):
        raise InvalidOutput("output must be an object", suggestion=f"It takes {', '.join(MEMBERS)}")
    if unknown := sorted(set(value) - set(MEMBERS)):
        raise InvalidOutput(f"output has no {unknown[0][:64]!r}", suggestion=f"It takes {', '.join(MEMBERS)}")
    background, framing, mood = None, None, None
    if "background" in value:
        background = {"type": "photo"} if value["background"] is None else value["background"]
        Backdrop.parse(background, picture_id=_NO_PICTURE)
    if "framing" in value:
        framing = AS_EVER if value["framing"] is None else Framing.parse(value["framing"])
    if "emotion" in value:
        try:
            mood = NEUTRAL if value["emotion"] is None else parse_emotion(value["emotion"])
        except ValueError as refused:
            raise InvalidEmotion(str(refused)) from None
    return OutputChange(background=background, framing=framing, mood=mood)


def parse_emotion(emotion: Any) -> Mood:
    """Read `"happy"` or `{"name": "happy", "weight": 0.6}`. Raises ValueError, whose text is for the client."""
    weight: Any = 1.0
    if isinstance(emotion, dict):
        if unknown := sorted(set(emotion) - {"name", "weight"}):
            raise ValueError(f"emotion has no {unknown[0][:32]!r}; it takes name and weight")
        weight = emotion.get("weight", 1.0)
        emotion = emotion.get("name")
    if not isinstance(emotion, str) or emotion not in EMOTIONS:
        raise ValueError(f"emotion must be one of {', '.join(EMOTIONS)}")
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= 1:
        raise ValueError("emotion.weight must be a number from 0 to 1")
    return Mood.of(emotion, float(weight))


def mood_of(weights: list[float]) -> Mood:
    """Return the mood of `Mood.weights()`."""
    happy, sad, surprised, serious = weights
    return Mood(happy=happy, sad=sad, surprised=surprised, serious=serious)


def _emotion_of(mood: Mood) -> dict[str, Any]:
    felt = [(name, weight) for name, weight in zip(EMOTIONS[1:], mood.weights(), strict=True) if weight]
    name, weight = felt[0] if felt else (EMOTIONS[0], 1.0)
    return {"name": name, "weight": weight}
