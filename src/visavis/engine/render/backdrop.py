"""What stands behind the person and how near they are seen: values, and how they are read from the JSON that the API
takes.

A background in JSON is an object with a `type`:

    {"type": "photo"}                              the photo's own (the default)
    {"type": "color", "color": "#1a2b3c"}          one colour; "#abc" is short for "#aabbcc"
    {"type": "image", "image": "<URL or base64>"}  a picture that covers the whole frame
    {"type": "blur", "strength": 0.5}              the photo's own out of focus; strength above 0, at most 1
    {"type": "transparent"}                        true alpha: colour above, matte below, twice the height
    {"type": "chroma", "color": "#00b140"}         a flat key colour; this green is the default

How near: {"zoom": 1.2}, ZOOM_LEAST to ZOOM_MOST, default 1.

`Backdrop.parse(value, picture_id=…)` and `Framing.parse(value)` read these. Of an image, `image_source(value)` is the
URL or base64 to be fetched and decoded by the caller; the name of the picture that comes of it is given to `parse`.
`plain()` and `from_plain()` carry both values between processes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from visavis.engine.pack_ref import is_picture_id
from visavis.errors import BackgroundRefused, FramingRefused

Kind = Literal["photo", "color", "image", "blur", "transparent", "chroma"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Plain = dict[str, str | float | list[int]]

CHROMA_GREEN = (0, 177, 64)  # "#00b140", the green of chroma-key cloth
BLUR_STRENGTH = 0.5
ZOOM_LEAST, ZOOM_MOST = 0.5, 2.0
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_FIELDS: dict[Kind, frozenset[str]] = {
    "photo": frozenset(),
    "color": frozenset({"color"}),
    "image": frozenset({"picture_id"}),
    "blur": frozenset({"strength"}),
    "transparent": frozenset(),
    "chroma": frozenset({"color"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """What stands behind the person. `color` (r, g, b), 0 to 255: of kinds "color" and "chroma". `picture_id`: a
    picture's name, of kind "image" (engine/pack_ref.py); whoever makes a renderer gives the file beside it. `strength`:
    of kind "blur", above 0, at most 1.

    Raises BackgroundRefused for what does not fit together.
    """

    kind: Kind = "photo"
    color: tuple[int, int, int] | None = None
    picture_id: str | None = None
    strength: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BackgroundRefused(f"Unknown background {self.kind!r}", suggestion=_suggest(KINDS))
        if self.kind == "chroma" and self.color is None:
            object.__setattr__(self, "color", CHROMA_GREEN)
        if self.kind == "blur" and self.strength is None:
            object.__setattr__(self, "strength", BLUR_STRENGTH)
        for name in ("color", "picture_id", "strength"):
            if (getattr(self, name) is not None) != (name in _FIELDS[self.kind]):
                raise BackgroundRefused(
                    f"A background of type {self.kind} {'needs' if name in _FIELDS[self.kind] else 'has no'} {name}"
                )
        if self.color is not None and not (len(self.color) == 3 and all(0 <= c <= 255 for c in self.color)):
            raise BackgroundRefused("A colour is three values from 0 to 255")
        if self.picture_id is not None and not is_picture_id(self.picture_id):
            raise BackgroundRefused(f"{self.picture_id[:64]!r} is not a picture's id")
        if self.strength is not None and not 0.0 < self.strength <= 1.0:
            raise BackgroundRefused("The strength of a blur is above 0 and at most 1")

    @property
    def transparent(self) -> bool:
        """Whether the picture carries its matte below its colours, at twice the height."""
        return self.kind == "transparent"

    @classmethod
    def parse(cls, value: object, *, picture_id: str | None = None) -> Backdrop:
        """Read the JSON form; `picture_id`: the name of the decoded picture, where `image_source` named one. Raises
        BackgroundRefused.
        """
        kind = _kind(value)
        assert isinstance(value, dict)
        known = {"image"} if kind == "image" else _FIELDS[kind]
        if unknown := sorted(set(value) - known - {"type"}):
            raise BackgroundRefused(f"A background of type {kind} has no {_shown(unknown[0])}")
        if kind == "image":
            image_source(value)
            if picture_id is None:
                raise BackgroundRefused("The background image could not be read")
            return cls(kind=kind, picture_id=picture_id)
        color = parse_color(value["color"]) if "color" in value else None
        strength = value.get("strength")
        if strength is not None and not _is_number(strength):
            raise BackgroundRefused("The strength of a blur is a number above 0 and at most 1")
        return cls(kind=kind, color=color, strength=None if strength is None else float(strength))

    def plain(self) -> Plain:
        """Return what `from_plain` reads: strings and numbers alone."""
        out: Plain = {"kind": self.kind}
        if self.color is not None:
            out["color"] = list(self.color)
        if self.picture_id is not None:
            out["picture_id"] = self.picture_id
        if self.strength is not None:
            out["strength"] = self.strength
        return out

    @classmethod
    def from_plain(cls, plain: Plain) -> Backdrop:
        """Read what `plain` wrote."""
        color, picture_id, strength = plain.get("color"), plain.get("picture_id"), plain.get("strength")
        return cls(
            kind=plain.get("kind", "photo"),  # type: ignore[arg-type]  # checked in __post_init__
            color=(int(color[0]), int(color[1]), int(color[2])) if isinstance(color, list | tuple) else None,
            picture_id=str(picture_id) if picture_id is not None else None,
            strength=float(strength) if isinstance(strength, int | float) else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How near the person is seen: at a `zoom` of 1 the face is about 45 % of the picture's height, at 2 up to twice
    that, the head kept whole.

    Raises FramingRefused.
    """

    zoom: float = 1.0

    def __post_init__(self) -> None:
        if not ZOOM_LEAST <= self.zoom <= ZOOM_MOST:
            raise FramingRefused(f"The zoom is a number from {ZOOM_LEAST:g} to {ZOOM_MOST:g}")

    @classmethod
    def parse(cls, value: object) -> Framing:
        """Read the JSON form. Raises FramingRefused."""
        if not isinstance(value, dict):
            raise FramingRefused('The framing is an object like {"zoom": 1.2}')
        if unknown := sorted(set(value) - {"zoom"}):
            raise FramingRefused(f"The framing has no {_shown(unknown[0])}")
        zoom = value.get("zoom", 1.0)
        if not _is_number(zoom):
            raise FramingRefused(f"The zoom is a number from {ZOOM_LEAST:g} to {ZOOM_MOST:g}")
        return cls(zoom=float(zoom))

    def plain(self) -> Plain:
        return {"zoom": self.zoom}

    @classmethod
    def from_plain(cls, plain: Plain) -> Framing:
        zoom = plain.get("zoom", 1.0)
        assert isinstance(zoom, int | float)
        return cls(zoom=float(zoom))


PHOTO = Backdrop()
AS_EVER = Framing()


def image_source(value: object) -> str | None:
    """Return the URL or base64 of a JSON background of type "image", None for any other type. Raises
    BackgroundRefused.
    """
    if _kind(value) != "image":
        return None
    assert isinstance(value, dict)
    source = value.get("image")
    if not isinstance(source, str) or not source:
        raise BackgroundRefused(
            "A background of type image needs image", suggestion="Give an http(s) URL or a base64 image"
        )
    return source


def parse_color(value: object) -> tuple[int, int, int]:
    """Read "#1a2b3c" or "#abc". Raises BackgroundRefused."""
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise BackgroundRefused("That is no colour", suggestion='Write a colour like "#1a2b3c"')
    digits = value[1:] if len(value) == 7 else "".join(2 * c for c in value[1:])
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def _kind(value: object) -> Kind:
    if not isinstance(value, dict):
        raise BackgroundRefused('A background is an object like {"type": "color", "color": "#1a2b3c"}')
    for kind in KINDS:
        if value.get("type") == kind:
            return kind
    raise BackgroundRefused("Unknown background type", suggestion=_suggest(KINDS))


def _suggest(kinds: tuple[Kind, ...]) -> str:
    return f"Choose one of {', '.join(kinds)}"


def _is_number(value: object) -> bool:
    """Whether it is a number of a size that may be meant; integers of any length come in, and not all
    become a float.
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _shown(name: object) -> str:
    """Return an unknown member's name as an error may repeat it: not at any length, and fit for UTF-8."""
    return str(name)[:64].encode(errors="replace").decode()
