"""Reads and writes outputs in the JSON of the API; REST and the channel have the same form
(docs/reference/output.md).

    {"background": {"type": "color", "color": "#1a2b3c"},
     "framing": {"zoom": 1.2},
     "emotion": {"name": "happy", "weight": 0.6}}

A member that is left out does not change; null sets its default. Unknown members are refused. A background is an object
with a `type`:

    {"type": "photo"}                              the photo's own (the default)
    {"type": "color", "color": "#1a2b3c"}          one colour; "#abc" is short for "#aabbcc"
    {"type": "image", "image": "<URL or base64>"}  a picture that covers the whole frame
    {"type": "blur", "strength": 0.5}              the photo's own out of focus; strength above 0, at most 1
    {"type": "transparent"}                        true alpha: colour above, matte below, twice the height
    {"type": "chroma", "color": "#00b140"}         a flat key colour; this green is the default

An emotion may be its name alone: "happy".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from visavis.engine.motion.mood import EMOTIONS, NEUTRAL, Mood
from visavis.engine.output import Output
from visavis.engine.render.backdrop import (
    DEFAULT_FRAMING,
    FIELDS,
    KINDS,
    PHOTO,
    ZOOM_LEAST,
    ZOOM_MOST,
    Backdrop,
    Framing,
    Kind,
)
from visavis.errors import BackgroundRefused, FramingRefused, InvalidEmotion, InvalidOutput

MEMBERS = ("background", "framing", "emotion")
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSource:
    """The picture that a client sent for a background: an http(s) address, or base64."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputChange:
    """A change of an output. None: no change."""

    background: Backdrop | PictureSource | None = None
    framing: Framing | None = None
    mood: Mood | None = None

    def apply_to(self, output: Output, *, picture_id: str | None = None) -> Output:
        """Return the output after this change. `picture_id`: the name of the picture, if `background` is a
        PictureSource.
        """
        if isinstance(self.background, PictureSource):
            output = replace(output, backdrop=Backdrop(kind="image", picture_id=picture_id))
        elif self.background is not None:
            output = replace(output, backdrop=self.background)
        if self.framing is not None:
            output = replace(output, framing=self.framing)
        return output if self.mood is None else replace(output, mood=self.mood)


def read_output(value: Any) -> OutputChange:
    """Read an output. Raises `InvalidOutput`, `BackgroundRefused`, `FramingRefused`, `InvalidEmotion`."""
    if not isinstance(value, dict):
        raise InvalidOutput("output must be an object", suggestion=f"It takes {', '.join(MEMBERS)}")
    if unknown := sorted(set(value) - set(MEMBERS)):
        raise InvalidOutput(f"output has no member {unknown[0][:64]!r}", suggestion=f"It takes {', '.join(MEMBERS)}")
    background: Backdrop | PictureSource | None = None
    framing, mood = None, None
    if "background" in value:
        background = PHOTO if value["background"] is None else read_background(value["background"])
    if "framing" in value:
        framing = DEFAULT_FRAMING if value["framing"] is None else read_framing(value["framing"])
    if "emotion" in value:
        mood = NEUTRAL if value["emotion"] is None else read_emotion(value["emotion"])
    return OutputChange(background=background, framing=framing, mood=mood)


def write_output(output: Output) -> dict[str, Any]:
    """Return the JSON that clients get. It does not contain the picture of a background."""
    background: dict[str, Any] = {"type": output.backdrop.kind}
    if output.backdrop.color is not None:
        background["color"] = "#{:02x}{:02x}{:02x}".format(*output.backdrop.color)
    if output.backdrop.strength is not None:
        background["strength"] = output.backdrop.strength
    return {"background": background, "framing": {"zoom": output.framing.zoom}, "emotion": _write_mood(output.mood)}


def read_background(value: object) -> Backdrop | PictureSource:
    """Raises `BackgroundRefused`."""
    if not isinstance(value, dict):
        raise BackgroundRefused('background must be an object like {"type": "color", "color": "#1a2b3c"}')
    kind = _kind(value.get("type"))
    if unknown := sorted(set(value) - ({"image"} if kind == "image" else FIELDS[kind]) - {"type"}):
        raise BackgroundRefused(f"A background of type {kind} has no member {_shown(unknown[0])}")
    if kind == "image":
        return _picture_source(value.get("image"))
    color = _color(value["color"]) if "color" in value else None
    strength = value.get("strength")
    if strength is not None and not _is_number(strength):
        raise BackgroundRefused("strength must be a number above 0 and at most 1")
    try:
        return Backdrop(kind=kind, color=color, strength=None if strength is None else float(strength))
    except ValueError as refused:
        raise BackgroundRefused(str(refused)) from None


def read_framing(value: object) -> Framing:
    """Read {"zoom": 1.2}. Raises `FramingRefused`."""
    if not isinstance(value, dict):
        raise FramingRefused('framing must be an object like {"zoom": 1.2}')
    if unknown := sorted(set(value) - {"zoom"}):
        raise FramingRefused(f"framing has no member {_shown(unknown[0])}")
    zoom = value.get("zoom", DEFAULT_FRAMING.zoom)
    if not _is_number(zoom):
        raise FramingRefused(f"zoom must be a number from {ZOOM_LEAST:g} to {ZOOM_MOST:g}")
    try:
        return Framing(zoom=float(zoom))
    except ValueError as refused:
        raise FramingRefused(str(refused)) from None


def read_emotion(value: Any) -> Mood:
    """Read "happy" or {"name": "happy", "weight": 0.6}. Raises `InvalidEmotion`."""
    weight: Any = 1.0
    if isinstance(value, dict):
        if unknown := sorted(set(value) - {"name", "weight"}):
            raise InvalidEmotion(f"emotion has no member {unknown[0][:32]!r}; it takes name and weight")
        weight = value.get("weight", 1.0)
        value = value.get("name")
    if not isinstance(value, str) or value not in EMOTIONS:
        raise InvalidEmotion(f"emotion must be one of {', '.join(EMOTIONS)}")
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= 1:
        raise InvalidEmotion("emotion.weight must be a number from 0 to 1")
    return Mood.of(value, float(weight))


def _kind(name: object) -> Kind:
    for kind in KINDS:
        if name == kind:
            return kind
    raise BackgroundRefused("Unknown background type", suggestion=f"Choose one of {', '.join(KINDS)}")


def _picture_source(text: object) -> PictureSource:
    if not isinstance(text, str) or not text:
        raise BackgroundRefused(
            "A background of type image needs the member image", suggestion="Give an http(s) URL or a base64 image"
        )
    return PictureSource(text=text)


def _color(text: object) -> tuple[int, int, int]:
    """Read "#1a2b3c" or "#abc"."""
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise BackgroundRefused("Invalid colour", suggestion='Write a colour like "#1a2b3c"')
    digits = text[1:] if len(text) == 7 else "".join(2 * c for c in text[1:])
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def _write_mood(mood: Mood) -> dict[str, Any]:
    felt = [(name, weight) for name, weight in zip(EMOTIONS[1:], mood.weights(), strict=True) if weight]
    name, weight = felt[0] if felt else (EMOTIONS[0], 1.0)
    return {"name": name, "weight": weight}


def _is_number(value: object) -> bool:
    """Whether it is a number of a plausible size. JSON has integers of any length, and not all become a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _shown(name: object) -> str:
    """Return the name of an unknown member for an error message: short, and valid UTF-8."""
    return str(name)[:64].encode(errors="replace").decode()
