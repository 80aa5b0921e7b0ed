"""The displacement fields of speech: the jaw and the lips.

Every field is a pair of functions, one for the skin below the seam and one for the skin above it. Each maps a height y
to a displacement (x, y) in eye distances, for fixed x.

The shapes and strengths were set by eye on rendered faces and checked by tracking the lips of rendered frames with a
face mesh. A strength holds for a coefficient of 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from visavis.engine.landmarks import FaceGeometry, gaussian, smoothstep
from visavis.engine.render.field_weights import PARTED

Array = NDArray[np.float32]
FieldAtHeight = Callable[[Array], Array]  # y (ny, nx) -> displacement (ny, nx, 2), eye distances

# All lengths are eye distances (the distance of the outer eye corners, about 90 mm).
# --- jaw
GAP_FULL = 0.455  # the gap of the lips at jawOpen 1
UPPER_LIP_LIFT = 0.035  # of it, the part that the upper lip makes
JAW_DROP = GAP_FULL - UPPER_LIP_LIFT  # the part that the lower lip makes
CORNER_SHARE = 0.20  # of the jaw's drop that the corners of the mouth follow
CHIN_SHARE = 0.97  # of the jaw's drop at the chin
CHIN_WIDTH = 0.44  # standard deviation of the drop across the chin
BESIDE_JAW, BESIDE_JAW_FADE = 0.5, 0.35  # hair and ears beyond this, to the side, do not move with the jaw
JAW_NARROWING = 0.06  # the corners come in by this much of the jaw's drop, so that the jaw does not grow wider
# The neck takes up the drop between the chin and a collar. The slope is nearly even: skin squeezed too much would fold.
NECK_ABOVE_CHIN, NECK_LENGTH, NECK_EVENNESS = 0.02, 0.54, 0.6
DEPTH_TO_CHIN_LEAST = 0.3  # the jaw's transition from lip to chin is at least this long
LIP_TO_CHIN = 0.75  # and takes this share of the way
# A smile in the photo bends the seam; an opening jaw levels half of the bend.
LEVELLED_BY_JAW = 0.5
# --- closing
LOWER_CLOSES, UPPER_CLOSES = 0.72, 0.28  # shares of the gap; they add up to 1: mouthClose takes back all of jawOpen
CORNERS_CLOSE = 0.5  # of the corners' way with the jaw
CLOSE_TO_CHIN = 0.95  # the lower lip's rise fades out over this share of the way to the chin
# --- lips, at a coefficient of 1
FUNNEL_NARROWS, FUNNEL_SWELLS = 0.275, 0.035  # share of the half width that the corners come in; the lips' swelling
PUCKER_NARROWS, PUCKER_SWELLS = 0.33, 0.03
LOWER_PARTS, UPPER_PARTS = 0.055, -0.045  # PARTED
LOWER_DOWN, UPPER_UP = 0.085, -0.06
LOWER_DOWN_WIDTH, UPPER_UP_WIDTH = 0.7, 0.8  # exponents of the profile across the lip: smaller is wider
STRETCH_WIDENS, STRETCH_LOWERS = 0.14, 0.01
SMILE_WIDENS, SMILE_RAISES = 0.16, -0.06
PRESS_THINS, ROLL_LOWER_THINS, ROLL_UPPER_THINS = 0.42, 0.65, 0.55  # share of the lip's height that is drawn in
ROLL_LOWER_RISES = 0.03
LEVELLED_BY_ROUNDING = 1.9  # of the bend of the seam, times the narrowing
# --- how far the fields reach
CHEEK_REACH, CORNER_REACH = 0.26, 0.2  # standard deviations beyond the corners of the mouth
LIP_LEAST_LOWER, LIP_LEAST_UPPER = 0.03, 0.02  # a thinner lip counts as this high
NOSE_MARGIN = 0.02  # the upper lip's motion ends this far above the base of the nose
LIP_TO_NOSE_LEAST = 0.1  # and fades over at least this length
THIN_REACH = 0.26  # beyond the lip that is drawn in
BAND_TO_NOSE, THIN_TO_NOSE = 0.12, 0.1  # below the base of the nose, where motion begins
BAND_NARROW, BAND_WIDEN, BAND_PART = 0.5, 0.5, 0.38
BAND_SWELL, BAND_LIP, BAND_LEVEL, BAND_ROLL = 0.42, 0.42, 0.45, 0.3
# --- profiles across the mouth, from |t| = 0 in the middle to 1 at the corners; larger exponents are flatter
OPENING_FLATNESS, OPENING_FULLNESS = 2.5, 0.66
CORNER_SHARPNESS = 2.5
SWELL_FLATNESS, LIP_FLATNESS, THIN_FLATNESS = 2.4, 3.0, 4


def opening_profile(t: Array) -> Array:
    """Return the shape of open lips across the mouth: 1 in the middle, 0 at the corners and outside."""
    profile: Array = np.asarray(np.clip(1.0 - np.abs(t) ** OPENING_FLATNESS, 0.0, 1.0) ** OPENING_FULLNESS, np.float32)
    return profile


class MouthFields:
    """The fields of one face at nodes `x`, `y`, each (ny, nx), px.

    Values at the nodes: `t` is the place across the mouth (-1 and 1 at its corners), `seam` the height of the seam in
    px, `lens` the profile of open lips, `corner` a profile that is 1 at the corners, `outside` the distance beyond the
    corners in eye distances, `bend` how far the seam lies above the middle of the seam, in eye distances.
    """

    def __init__(self, face: FaceGeometry, x: Array, y: Array) -> None:
        self.face, self.x, self.y = face, x.astype(np.float32), y.astype(np.float32)
        self.e = face.unit
        self.t = face.across(x)
        self.seam = face.seam_y(x)
        self.lens = opening_profile(self.t)
        inside = np.clip(np.abs(self.t), 0, 1)
        self.corner = inside**CORNER_SHARPNESS
        self.outside = np.clip((np.abs(x - face.centre_x) - face.half_width) / self.e, 0, None)
        self.base = face.nose_base_y
        self.lip_low = np.maximum(np.interp(x, *face.lower_outer) - self.seam, LIP_LEAST_LOWER * self.e).astype(
            np.float32
        )
        self.lip_up = np.maximum(self.seam - np.interp(x, *face.upper_outer), LIP_LEAST_UPPER * self.e).astype(
            np.float32
        )
        middle = float(face.seam_y(np.array([face.centre_x]))[0])
        left, right = float(face.corner_left[1]) - middle, float(face.corner_right[1]) - middle
        below = np.where(x < face.centre_x, left, right) / face.unit
        self.bend = (-below * inside**2).astype(np.float32)

    def all(self) -> dict[str, tuple[FieldAtHeight, FieldAtHeight]]:
        """Return (below the seam, above the seam) for every field of speech."""
        return {
            "jawOpen": (self.jaw_low, self.jaw_up),
            "mouthClose": (self.close_low, self.close_up),
            "mouthFunnel": (
                lambda y: self.rounded(y, FUNNEL_NARROWS, FUNNEL_SWELLS),
                lambda y: self.rounded(y, FUNNEL_NARROWS, -FUNNEL_SWELLS),
            ),
            "mouthPucker": (
                lambda y: self.rounded(y, PUCKER_NARROWS, PUCKER_SWELLS),
                lambda y: self.rounded(y, PUCKER_NARROWS, -PUCKER_SWELLS),
            ),
            PARTED: (lambda y: self.parted(y, LOWER_PARTS), lambda y: self.parted(y, UPPER_PARTS)),
            "mouthPress": (self.press_low, self.press_up),
            "mouthLowerDown": (
                lambda y: self.lip_moved(y, LOWER_DOWN, LOWER_DOWN_WIDTH),
                lambda y: self.lip_moved(y, 0.0, LOWER_DOWN_WIDTH),
            ),
            "mouthUpperUp": (
                lambda y: self.lip_moved(y, 0.0, LOWER_DOWN_WIDTH),
                lambda y: self.lip_moved(y, UPPER_UP, UPPER_UP_WIDTH),
            ),
            "mouthStretch": (
                lambda y: self.widened(y, STRETCH_WIDENS, STRETCH_LOWERS),
                lambda y: self.widened(y, STRETCH_WIDENS, STRETCH_LOWERS),
            ),
            "mouthSmile": (
                lambda y: self.widened(y, SMILE_WIDENS, SMILE_RAISES),
                lambda y: self.widened(y, SMILE_WIDENS, SMILE_RAISES),
            ),
            "mouthRollLower": (self.roll_low, self.zero),
            "mouthRollUpper": (self.zero, self.roll_up),
        }

    @staticmethod
    def vectors(dx: NDArray[np.floating], dy: NDArray[np.floating]) -> Array:
        """Return the displacements (…, 2) with the parts `dx` and `dy`, which are broadcast to one shape."""
        displacements: Array = np.stack(np.broadcast_arrays(dx, dy), axis=-1).astype(np.float32)
        return displacements

    def zero(self, y: Array) -> Array:
        return self.vectors(np.zeros_like(y), np.zeros_like(y))

    def fade_to_nose(self, y: Array) -> Array:
        """1 at the seam, 0 at the base of the nose and above."""
        return smoothstep(
            (y - self.base + NOSE_MARGIN * self.e) / np.maximum(self.seam - self.base, LIP_TO_NOSE_LEAST * self.e)
        )

    def fade_to_cheek(self) -> Array:
        """1 between the corners, 0 where the cheek ends."""
        return gaussian(self.outside / CHEEK_REACH)

    def levelling(self) -> Array:
        """How far an open jaw moves the seam down to level its bend."""
        moved: Array = LEVELLED_BY_JAW * self.bend * gaussian(self.outside / CORNER_REACH)
        return moved

    def jaw_low(self, y: Array) -> Array:
        """The jaw turns about a hinge in front of the ears: chin and lower lip go down, cheeks follow, the neck takes
        it up.
        """
        f, e = self.face, self.e
        at_seam = CORNER_SHARE + (1 - CORNER_SHARE) * self.lens
        at_seam = at_seam * self.fade_to_cheek() + self.levelling() / JAW_DROP
        aside = np.abs(self.x - f.centre_x) / e
        at_chin = gaussian(aside / CHIN_WIDTH) * (1.0 - smoothstep((aside - BESIDE_JAW) / BESIDE_JAW_FADE)) * CHIN_SHARE
        chin_y = f.chin[1]
        depth = np.maximum(chin_y - self.seam, DEPTH_TO_CHIN_LEAST * e)
        down = smoothstep((y - self.seam) / (LIP_TO_CHIN * depth))
        w = at_seam + (at_chin - at_seam) * down
        below = np.clip((y - chin_y + NECK_ABOVE_CHIN * e) / (NECK_LENGTH * e), 0, 1)
        neck = 1.0 - (NECK_EVENNESS * below + (1 - NECK_EVENNESS) * smoothstep(below))
        dx = -JAW_NARROWING * np.clip((self.x - f.centre_x) / e, -1, 1) * w
        return self.vectors(dx * neck, JAW_DROP * w * neck)

    def jaw_up(self, y: Array) -> Array:
        follow = CORNER_SHARE * (1 - self.lens) * self.fade_to_cheek() * JAW_DROP
        lift = -UPPER_LIP_LIFT * self.lens + self.levelling()
        dx = -JAW_NARROWING * np.clip((self.x - self.face.centre_x) / self.e, -1, 1) * CORNER_SHARE
        fade = self.fade_to_nose(y)
        return self.vectors(dx * self.fade_to_cheek() * fade, (follow + lift) * fade)

    def corners_close(self) -> Array:
        """How far mouthClose raises the corners of the mouth."""
        raised: Array = np.asarray(
            CORNERS_CLOSE * CORNER_SHARE * JAW_DROP * self.corner * self.fade_to_cheek(), np.float32
        )
        return raised

    def close_low(self, y: Array) -> Array:
        """The lower lip is drawn up against jawOpen, by its share of the same gap; the chin stays down."""
        rise = -LOWER_CLOSES * GAP_FULL * self.lens - self.corners_close()
        chin_y = self.face.chin[1]
        fade = 1.0 - smoothstep(
            (y - self.seam) / np.maximum(CLOSE_TO_CHIN * (chin_y - self.seam), DEPTH_TO_CHIN_LEAST * self.e)
        )
        return self.vectors(np.zeros_like(y), rise * fade)

    def close_up(self, y: Array) -> Array:
        fall = UPPER_CLOSES * GAP_FULL * self.lens - self.corners_close()
        return self.vectors(np.zeros_like(y), fall * self.fade_to_nose(y))

    def band(self, y: Array, reach: float) -> Array:
        """1 at the seam, 0 from `reach` eye distances away, and never above the base of the nose."""
        d = np.abs(y - self.seam) / (reach * self.e)
        to_nose = np.where(y < self.seam, smoothstep((y - self.base) / (BAND_TO_NOSE * self.e)), 1.0)
        share: Array = (1.0 - smoothstep(d)) * to_nose
        return share

    def narrowing(self, y: Array, share: float) -> Array:
        """Horizontal motion towards the middle, at the corners by `share` of the half width, fading over the cheek."""
        t = self.t
        half_width = self.face.half_width / self.e
        inner = -np.clip(t, -1, 1) * share * half_width
        return inner * gaussian(self.outside / CORNER_REACH) * self.band(y, BAND_NARROW)

    def parted(self, y: Array, by: float) -> Array:
        return self.vectors(np.zeros_like(y), by * np.clip(1.0 - self.t**2, 0, 1) * self.band(y, BAND_PART))

    def rounded(self, y: Array, share: float, swell: float) -> Array:
        """Move the corners in by `share` of the half width and swell the lip by `swell`, so that it keeps its volume.

        A seam that a smile has bent becomes straight.
        """
        lip = self.lip_low if swell > 0 else self.lip_up
        out = smoothstep(np.abs(y - self.seam) / lip) * self.band(y, BAND_SWELL)
        body = self.band(y, BAND_PART) * np.clip(1.0 - np.abs(self.t) ** SWELL_FLATNESS, 0, 1)
        bend = LEVELLED_BY_ROUNDING * share * self.bend * gaussian(self.outside / CORNER_REACH)
        return self.vectors(self.narrowing(y, share), swell * out * body + bend * self.band(y, BAND_LEVEL))

    def lip_moved(self, y: Array, by: float, width: float) -> Array:
        """Move the lip on this side of the seam by `by`, mostly over its middle."""
        shape = np.clip(1.0 - np.abs(self.t / 1.0) ** LIP_FLATNESS, 0, 1) ** width
        fade = self.band(y, BAND_LIP) if by > 0 else self.fade_to_nose(y)
        return self.vectors(np.zeros_like(y), by * shape * fade)

    def widened(self, y: Array, share: float, rise: float) -> Array:
        """Move the corners out by `share` of the half width, and by `rise`."""
        dx = -self.narrowing(y, share)
        lift = (
            rise
            * (
                self.corner
                * self.fade_to_cheek()
                * np.where(self.outside > 0, gaussian(self.outside / CORNER_REACH), 1.0)
            )
            * self.band(y, BAND_WIDEN)
        )
        return self.vectors(dx, lift)

    def press_low(self, y: Array) -> Array:
        return self.vectors(np.zeros_like(y), self.thinned(y, self.lip_low, PRESS_THINS, -1.0))

    def press_up(self, y: Array) -> Array:
        return self.vectors(np.zeros_like(y), self.thinned(y, self.lip_up, PRESS_THINS, 1.0))

    def roll_low(self, y: Array) -> Array:
        return self.vectors(
            np.zeros_like(y),
            self.thinned(y, self.lip_low, ROLL_LOWER_THINS, -1.0)
            - ROLL_LOWER_RISES * self.lens * self.band(y, BAND_ROLL),
        )

    def roll_up(self, y: Array) -> Array:
        return self.vectors(np.zeros_like(y), self.thinned(y, self.lip_up, ROLL_UPPER_THINS, 1.0))

    def thinned(self, y: Array, lip: Array, share: float, sign: float) -> Array:
        """Draw the outer edge of the lip towards the seam by `share` of the lip's height; the skin beyond follows and
        fades.
        """
        d = np.abs(y - self.seam)
        towards = np.where(d < lip, d, lip * (1.0 - smoothstep((d - lip) / (THIN_REACH * self.e))))
        keep = np.clip(1.0 - np.abs(self.t) ** THIN_FLATNESS, 0, 1)
        nose = np.where(y < self.seam, smoothstep((y - self.base) / (THIN_TO_NOSE * self.e)), 1.0)
        moved: Array = np.asarray(sign * share * towards / self.e * keep * nose, np.float32)
        return moved
