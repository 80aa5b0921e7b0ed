"""Reads the seven points of a face in the JSON of the API: {"left_eye": [0.4, 0.3], "right_eye": [0.6, 0.3], …}."""

from __future__ import annotations

from collections.abc import Mapping

from visavis.engine.portrait.points import NAMES, SUGGESTION, Point, SevenPoints
from visavis.errors import InvalidPoints
from visavis.json_text import FORM_FIELD_BOUNDS, JsonRefused, read_json

MAX_TEXT_CHARS = 4096


def read_points(given: object) -> SevenPoints:
    """Return the points in `given`: json text, or what json holds. Raises InvalidPoints."""
    if isinstance(given, str):
        if len(given) > MAX_TEXT_CHARS:
            raise _refused(f"points are longer than {MAX_TEXT_CHARS} characters")
        try:
            given = read_json(given, FORM_FIELD_BOUNDS)
        except JsonRefused as refused:
            raise _refused(f"points {refused}") from None
    if not isinstance(given, Mapping) or set(given) != set(NAMES):
        raise _refused("points must have exactly seven members")
    return SevenPoints(**{name: _point(name, given[name]) for name in NAMES})


def _point(name: str, value: object) -> Point:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(_within(part) for part in value):
        raise _refused(f"points.{name} is not a position in the picture")
    return float(value[0]), float(value[1])


def _within(part: object) -> bool:
    return isinstance(part, int | float) and not isinstance(part, bool) and 0.0 <= part <= 1.0


def _refused(message: str) -> InvalidPoints:
    return InvalidPoints(message, suggestion=SUGGESTION)
