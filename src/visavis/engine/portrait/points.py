"""Seven points that a person places on a face if no face was found."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

from visavis.engine.errors import ImageRefused, Reason

Point = tuple[float, float]
NAMES = ("left_eye", "right_eye", "mouth_left", "mouth_right", "upper_lip", "lower_lip", "chin")
SUGGESTION = f"Give each of {', '.join(NAMES)} as [x, y] between 0 and 1; left is the left side of the picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class SevenPoints:
    """Places in the upright picture: x from its left edge, y from its upper edge, 0 to 1. Left and right are the
    viewer's.

    `left_eye`, `right_eye`: the middles of the eyes; `mouth_left`, `mouth_right`: the corners of the mouth;
    `upper_lip`: the middle of the upper edge of the upper lip; `lower_lip`: the middle of the lower edge of the lower
    lip; `chin`: its lowest point.
    """

    left_eye: Point
    right_eye: Point
    mouth_left: Point
    mouth_right: Point
    upper_lip: Point
    lower_lip: Point
    chin: Point

    def plain(self) -> str:
        """Return the points as one line of text, for the sandbox and for the files of a look; `from_plain` reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_plain(cls, text: str) -> SevenPoints:
        return cls(**{name: tuple(place) for name, place in json.loads(text).items()})

    def in_px(self, width_px: int, height_px: int) -> list[Point]:
        """Return the points in the order of NAMES, in px of a picture of that size."""
        return [(x * width_px, y * height_px) for x, y in (getattr(self, name) for name in NAMES)]


def judge_points(px: list[Point]) -> None:
    """Raise ImageRefused WRONG_POINTS unless `px`, as `in_px` gives them, could be a face. The limits are wide: the
    measures of drawn faces differ much from those of people.
    """
    (lx, ly), (rx, ry), *_ = px
    eyes = math.hypot(rx - lx, ry - ly)
    if eyes < 2.0:
        raise _refused("The eyes are at the same position")
    # In the axes of the face: x from the left eye to the right eye, y down the face, in eye distances from the middle
    # between the eyes.
    ax, ay = (rx - lx) / eyes, (ry - ly) / eyes
    cx, cy = (lx + rx) / 2, (ly + ry) / 2
    own = [(((x - cx) * ax + (y - cy) * ay) / eyes, ((y - cy) * ax - (x - cx) * ay) / eyes) for x, y in px]
    _, _, mouth_left, mouth_right, upper, lower, chin = own
    middle_x, middle_y = (mouth_left[0] + mouth_right[0]) / 2, (mouth_left[1] + mouth_right[1]) / 2
    if not 0.25 < middle_y < 3.5 or abs(middle_x) > 0.8:
        raise _refused("The mouth is not below the eyes")
    beside = all(mouth_left[0] < lip[0] < mouth_right[0] for lip in (upper, lower))
    if not 0.15 < mouth_right[0] - mouth_left[0] < 3.0 or not beside:
        raise _refused("The corners of the mouth and the lips are not side by side")
    if upper[1] >= lower[1] or abs(upper[1] - middle_y) > 1.2 or abs(lower[1] - middle_y) > 1.2:
        raise _refused("The upper lip is not above the lower lip")
    if not lower[1] + 0.03 < chin[1] < middle_y + 3.0 or abs(chin[0] - middle_x) > 1.0:
        raise _refused("The chin is not below the mouth")


def _refused(message: str) -> ImageRefused:
    return ImageRefused(Reason.WRONG_POINTS, message, suggestion=SUGGESTION)
