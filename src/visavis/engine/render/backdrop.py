"""The background and the framing of a session. `plain` and `from_plain` carry these values between processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from visavis.engine.pack_ref import is_picture_id

Kind = Literal["photo", "color", "image", "blur", "transparent", "chroma"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Plain = dict[str, str | float | list[int]]

CHROMA_GREEN = (0, 177, 64)  # "#00b140", the green of chroma-key cloth
BLUR_STRENGTH = 0.5
ZOOM_LEAST, ZOOM_MOST = 0.5, 2.0
# The fields that a background of each kind has, besides its kind.
FIELDS: dict[Kind, frozenset[str]] = {
    "photo": frozenset(),
    "color": frozenset({"color"}),
    "image": frozenset({"picture_id"}),
    "blur": frozenset({"strength"}),
    "transparent": frozenset(),
    "chroma": frozenset({"color"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """The background behind the person. `color` (r, g, b), 0 to 255: for the kinds "color" and "chroma". `picture_id`:
    the name of a picture (engine/pack_ref.py), for the kind "image"; a renderer gets its file as well. `strength`: for
    the kind "blur", above 0, at most 1.

    Raises ValueError for fields that do not fit the kind, or are out of range.
    """

    kind: Kind = "photo"
    color: tuple[int, int, int] | None = None
    picture_id: str | None = None
    strength: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Unknown background {self.kind!r}")
        if self.kind == "chroma" and self.color is None:
            object.__setattr__(self, "color", CHROMA_GREEN)
        if self.kind == "blur" and self.strength is None:
            object.__setattr__(self, "strength", BLUR_STRENGTH)
        for name in ("color", "picture_id", "strength"):
            if (getattr(self, name) is not None) != (name in FIELDS[self.kind]):
                raise ValueError(
                    f"A background of type {self.kind} {'needs' if name in FIELDS[self.kind] else 'has no'} {name}"
                )
        if self.color is not None and not (len(self.color) == 3 and all(0 <= c <= 255 for c in self.color)):
            raise ValueError("A colour is three values from 0 to 255")
        if self.picture_id is not None and not is_picture_id(self.picture_id):
            raise ValueError(f"{self.picture_id[:64]!r} is not a picture's id")
        if self.strength is not None and not 0.0 < self.strength <= 1.0:
            raise ValueError("strength must be above 0 and at most 1")

    @property
    def transparent(self) -> bool:
        """Whether the picture has a matte below its colours, and so twice the height."""
        return self.kind == "transparent"

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
    """How large the person is shown. At a `zoom` of 1, the face has about 45 % of the picture's height; at 2, up to
    twice that, as long as the whole head fits.

    Raises ValueError for a zoom out of its range.
    """

    zoom: float = 1.0

    def __post_init__(self) -> None:
        if not ZOOM_LEAST <= self.zoom <= ZOOM_MOST:
            raise ValueError(f"zoom must be a number from {ZOOM_LEAST:g} to {ZOOM_MOST:g}")

    def plain(self) -> Plain:
        return {"zoom": self.zoom}

    @classmethod
    def from_plain(cls, plain: Plain) -> Framing:
        zoom = plain.get("zoom", 1.0)
        assert isinstance(zoom, int | float)
        return cls(zoom=float(zoom))


PHOTO = Backdrop()
DEFAULT_FRAMING = Framing()
