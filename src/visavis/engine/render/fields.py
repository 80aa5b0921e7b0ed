"""How a face moves: one smooth displacement field per coefficient, evaluated on a coarse grid of nodes.

The lips are split along their seam. Every coefficient has a field for the skin above the seam and, below it and between
the corners of the mouth, a jump that the lower lip makes against the upper one. `upper` holds for the upper layer
everywhere; `upper + jump` for the lower layer. Both agree

Displacements are fractions of the distance of the outer eye corners; what is 1.0 here was set by eye and by measuring
the lips of rendered frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine import native
from visavis.engine.motion.frame import COEFFICIENTS, SPOKEN_COUNT, MotionFrame
from visavis.engine.render.landmarks import FACE_OVAL, FaceGeometry, smooth

Array = NDArray[np.float32]
FieldOfY = Callable[[Array], Array]  # of heights y at fixed x

HEAD_ANGLES = ("yaw", "pitch", "roll")  # degrees
PARTED = "lipsParted"  # rounded lips stand a little apart, unless they are being closed
RELAXED = "smileRelaxed"  # who frowns has stopped smiling first, though the photo smiles
COLUMNS: tuple[str, ...] = (*COEFFICIENTS, PARTED, RELAXED, *HEAD_ANGLES)
MOUTH_COLUMNS = [*range(SPOKEN_COUNT), COLUMNS.index(PARTED)]  # they move nothing outside the mouth's part of the grid
SKIN_COLUMNS = [k for k in range(len(COLUMNS)) if k not in MOUTH_COLUMNS]
COLUMN: dict[str, int] = {name: i for i, name in enumerate(COLUMNS)}

CORNER_SHARE = 0.20  # of the jaw's drop that the corners of the mouth follow
# eye distances from the middle of the face beyond which nothing moves: arms hang still while a chest breathes
MOVED_WIDTH = 2.6
SMILE_FULL = 0.06  # eye distances by which the corners stand above the middle of the seam in a broad smile
GAP_FULL = 0.455  # the gap of lips at jawOpen 1, in eye distances


def weigh(motion: MotionFrame) -> Array:
    """Return the weight of every column for a motion frame, float32 (len(COLUMNS),)."""
    weights = np.zeros(len(COLUMNS), np.float32)
    weights[: len(COEFFICIENTS)] = motion.coefficients
    funnel, pucker = weights[COLUMN["mouthFunnel"]], weights[COLUMN["mouthPucker"]]
    if funnel or pucker:
        close, jaw = float(weights[COLUMN["mouthClose"]]), float(weights[COLUMN["jawOpen"]])
        apart = 1.0 - min(1.0, close / max(jaw, 0.02))
        weights[COLUMN[PARTED]] = (funnel + 0.2 * pucker) * apart
    # The sad frown with their mouths, the serious with their brows and hardly with their mouths: neither smiles.
    frown, brows = float(weights[COLUMN["mouthFrown"]]), float(weights[COLUMN["browDown"]])
    weights[COLUMN[RELAXED]] = min(1.0, frown + min(brows, 3.0 * frown))
    weights[COLUMN["yaw"] :] = (motion.yaw_deg, motion.pitch_deg, motion.roll_deg)
    return weights


def total(weights: Array, rows: Array) -> Array:
    """Return the weighted sum of `rows` (k, n), float32, contiguous like `weights`."""
    out = np.empty(rows.shape[1], np.float32)
    native.total(weights, rows, out)
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Displacements in px of the grid's plane. `upper`, `jump`: float32 (len(COLUMNS), ny, nx, 2), x before y."""

    upper: Array
    jump: Array


def opening(t: Array) -> Array:
    """Return the shape of open lips across the mouth: 1 in the middle, 0 at the corners and outside."""
    return np.clip(1.0 - np.abs(t) ** 2.5, 0.0, 1.0) ** 0.66


def bell(d: Array) -> Array:
    height: Array = np.exp(-0.5 * d * d)
    return height


def evaluate(face: FaceGeometry, x: Array, y: Array) -> Fields:
    """Evaluate every field at nodes `x`, `y` (ny, nx), px in the plane of `face`."""
    upper = np.zeros((len(COLUMNS), *x.shape, 2), np.float32)
    jump = np.zeros_like(upper)
    mouth = _MouthFields(face, x, y)
    above = (y <= mouth.seam)[..., None]
    # The cut is as deep as lips can open; further down both layers are one again.
    cut = (1.0 - smooth((y - mouth.seam - 0.5 * face.unit) / (0.35 * face.unit)))[..., None]
    for name, (low, up) in mouth.all().items():
        k = COLUMN[name]
        step = (_at_seam(mouth, low) - _at_seam(mouth, up)) * cut
        jump[k] = step * face.unit
        upper[k] = np.where(above, up(mouth.y), low(mouth.y) - step) * face.unit
    aside = np.abs(x - face.centre_x) / face.unit
    still_beside = (1.0 - smooth((aside - MOVED_WIDTH + 0.8) / 0.75))[..., None]
    for name, field in (_skin_fields(face, x, y) | _mood_fields(face, mouth)).items():
        upper[COLUMN[name]] = field * still_beside * face.unit
    for name, field in _head_fields(face, x, y).items():
        upper[COLUMN[name]] = field * still_beside
    return Fields(upper=upper, jump=jump)


def _at_seam(mouth: _MouthFields, field: FieldOfY) -> Array:
    inside = (np.abs(mouth.t) < 1.0)[..., None]
    return np.where(inside, field(mouth.seam), 0.0).astype(np.float32)


class _MouthFields:
    """The mouth's coefficients as pairs of fields: (below the seam, above the seam), each a function of y
    at fixed x.
    """

    def __init__(self, face: FaceGeometry, x: Array, y: Array) -> None:
        self.face, self.x, self.y = face, x.astype(np.float32), y.astype(np.float32)
        self.e = face.unit
        self.t = face.across(x)
        self.seam = face.seam_y(x)
        self.lens = opening(self.t)
        inside = np.clip(np.abs(self.t), 0, 1)
        self.corner = inside**2.5
        self.outside = np.clip((np.abs(x - face.centre_x) - face.half_width) / self.e, 0, None)
        self.base = face.nose_base_y
        self.lip_low = np.maximum(np.interp(x, *face.lower_outer) - self.seam, 0.03 * self.e).astype(np.float32)
        self.lip_up = np.maximum(self.seam - np.interp(x, *face.upper_outer), 0.02 * self.e).astype(np.float32)
        # How far each corner stands above (negative) or below the middle of the seam: a smile is flattened by rounding
        # and by a falling jaw.
        middle = float(face.seam_y(np.array([face.centre_x]))[0])
        bend = np.where(x < face.centre_x, face.corner_left[1] - middle, face.corner_right[1] - middle) / face.unit
        self.flat = (-bend * inside**2).astype(np.float32)

    def all(self) -> dict[str, tuple[FieldOfY, FieldOfY]]:
        return {
            "jawOpen": (self.jaw_low, self.jaw_up),
            "mouthClose": (self.close_low, self.close_up),
            "mouthFunnel": (lambda y: self.round(y, 0.275, 0.035), lambda y: self.round(y, 0.275, -0.035)),
            "mouthPucker": (lambda y: self.round(y, 0.33, 0.03), lambda y: self.round(y, 0.33, -0.03)),
            PARTED: (lambda y: self.part(y, 0.055), lambda y: self.part(y, -0.045)),
            "mouthPress": (self.press_low, self.press_up),
            "mouthLowerDown": (lambda y: self.lip(y, 0.085, 0.7), lambda y: self.lip(y, 0.0, 0.7)),
            "mouthUpperUp": (lambda y: self.lip(y, 0.0, 0.7), lambda y: self.lip(y, -0.06, 0.8)),
            "mouthStretch": (lambda y: self.widen(y, 0.14, 0.01), lambda y: self.widen(y, 0.14, 0.01)),
            "mouthSmile": (lambda y: self.widen(y, 0.16, -0.06), lambda y: self.widen(y, 0.16, -0.06)),
            "mouthRollLower": (self.roll_low, lambda y: self.zero(y)),
            "mouthRollUpper": (lambda y: self.zero(y), self.roll_up),
        }

    @staticmethod
    def pair(dx: Array, dy: Array) -> Array:
        pairs: Array = np.stack(np.broadcast_arrays(dx, dy), axis=-1).astype(np.float32)
        return pairs

    def zero(self, y: Array) -> Array:
        return self.pair(np.zeros_like(y), np.zeros_like(y))

    def up_fade(self, y: Array) -> Array:
        """1 at the seam, 0 at the base of the nose and above."""
        return smooth((y - self.base + 0.02 * self.e) / np.maximum(self.seam - self.base, 0.1 * self.e))

    def cheek(self) -> Array:
        """1 between the corners, 0 where the cheek ends."""
        return bell(self.outside / 0.26)

    # The jaw turns about a hinge before the ears: chin and lower lip go down (and a little back), cheeks follow, the
    # neck takes it up.
    def jaw_low(self, y: Array) -> Array:
        f, e = self.face, self.e
        drop = GAP_FULL - 0.035
        at_seam = CORNER_SHARE + (1 - CORNER_SHARE) * self.lens
        at_seam = at_seam * self.cheek() + 0.5 * self.flat * bell(self.outside / 0.2) / drop
        aside = np.abs(self.x - f.centre_x) / e
        # hair and ears beside the jaw hang still
        at_chin = bell(aside / 0.44) * (1.0 - smooth((aside - 0.5) / 0.35)) * 0.97
        chin_y = f.chin[1]
        depth = np.maximum(chin_y - self.seam, 0.3 * e)
        down = smooth((y - self.seam) / (0.75 * depth))
        w = at_seam + (at_chin - at_seam) * down
        # The neck takes it up before a collar begins; as evenly as it can, for skin that is squeezed to nothing would
        # fold.
        below = np.clip((y - chin_y + 0.02 * e) / (0.54 * e), 0, 1)
        neck = 1.0 - (0.6 * below + 0.4 * smooth(below))
        # the jaw grows no wider as it falls: the corners come in
        dx = -0.06 * np.clip((self.x - f.centre_x) / e, -1, 1) * w
        return self.pair(dx * neck, drop * w * neck)

    def jaw_up(self, y: Array) -> Array:
        follow = CORNER_SHARE * (1 - self.lens) * self.cheek() * (GAP_FULL - 0.035)
        lift = -0.035 * self.lens + 0.5 * self.flat * bell(self.outside / 0.2)
        dx = -0.06 * np.clip((self.x - self.face.centre_x) / self.e, -1, 1) * CORNER_SHARE
        fade = self.up_fade(y)
        return self.pair(dx * self.cheek() * fade, (follow + lift) * fade)

    # Lips drawn together against jawOpen: the same gap, taken back; the chin stays down.
    def close_low(self, y: Array) -> Array:
        rise = -0.72 * GAP_FULL * self.lens - 0.5 * CORNER_SHARE * (GAP_FULL - 0.035) * self.corner * self.cheek()
        chin_y = self.face.chin[1]
        fade = 1.0 - smooth((y - self.seam) / np.maximum(0.95 * (chin_y - self.seam), 0.3 * self.e))
        return self.pair(np.zeros_like(y), rise * fade)

    def close_up(self, y: Array) -> Array:
        fall = 0.28 * GAP_FULL * self.lens - 0.5 * CORNER_SHARE * (GAP_FULL - 0.035) * self.corner * self.cheek()
        return self.pair(np.zeros_like(y), fall * self.up_fade(y))

    def band(self, y: Array, reach: float) -> Array:
        """1 at the seam, fading with distance from it over `reach` eye distances; never above the base of the nose."""
        d = np.abs(y - self.seam) / (reach * self.e)
        below_nose = np.where(y < self.seam, smooth((y - self.base) / (0.12 * self.e)), 1.0)
        share: Array = (1.0 - smooth(d)) * below_nose
        return share

    def in_out(self, y: Array, share: float) -> Array:
        """Horizontal draw towards the middle by `share` of the half width at the corners, dying out over the cheek."""
        t = self.t
        hw = self.face.half_width / self.e
        inner = -np.clip(t, -1, 1) * share * hw
        fall = bell(self.outside / 0.2)
        return inner * fall * self.band(y, 0.5)

    def part(self, y: Array, by: float) -> Array:
        return self.pair(np.zeros_like(y), by * np.clip(1.0 - self.t**2, 0, 1) * self.band(y, 0.38))

    def round(self, y: Array, share: float, swell: float) -> Array:
        """Corners in; the lip swells outwards by `swell` so that it keeps its volume; a seam bent by a smile
        straightens.
        """
        lip = self.lip_low if swell > 0 else self.lip_up
        out = smooth(np.abs(y - self.seam) / lip) * self.band(y, 0.42)
        body = self.band(y, 0.38) * np.clip(1.0 - np.abs(self.t) ** 2.4, 0, 1)
        flat = 1.9 * share * self.flat * bell(self.outside / 0.2) * self.band(y, 0.45)
        return self.pair(self.in_out(y, share), swell * out * body + flat)

    def lip(self, y: Array, part: float, width: float) -> Array:
        """The lip of this side drawn away from the seam by `part`, most of it over the middle."""
        shape = np.clip(1.0 - np.abs(self.t / 1.0) ** 3.0, 0, 1) ** width
        fade = self.band(y, 0.42) if part > 0 else self.up_fade(y)
        return self.pair(np.zeros_like(y), part * shape * fade)

    def widen(self, y: Array, share: float, rise: float) -> Array:
        dx = -self.in_out(y, share)
        lift = (
            rise
            * (self.corner * self.cheek() * np.where(self.outside > 0, bell(self.outside / 0.2), 1.0))
            * self.band(y, 0.5)
        )
        return self.pair(dx, lift)

    def press_low(self, y: Array) -> Array:
        return self.pair(np.zeros_like(y), self._thin(y, self.lip_low, 0.42, -1.0))

    def press_up(self, y: Array) -> Array:
        return self.pair(np.zeros_like(y), self._thin(y, self.lip_up, 0.42, 1.0))

    def roll_low(self, y: Array) -> Array:
        return self.pair(
            np.zeros_like(y), self._thin(y, self.lip_low, 0.65, -1.0) - 0.03 * self.lens * self.band(y, 0.3)
        )

    def roll_up(self, y: Array) -> Array:
        return self.pair(np.zeros_like(y), self._thin(y, self.lip_up, 0.55, 1.0))

    def _thin(self, y: Array, lip: Array, share: float, sign: float) -> Array:
        """The lip's outer edge drawn to the seam by `share` of its height; the skin beyond follows and fades."""
        d = np.abs(y - self.seam)
        towards = np.where(d < lip, d, lip * (1.0 - smooth((d - lip) / (0.26 * self.e))))
        keep = np.clip(1.0 - np.abs(self.t) ** 4, 0, 1)
        nose = np.where(y < self.seam, smooth((y - self.base) / (0.1 * self.e)), 1.0)
        moved: Array = sign * share * towards / self.e * keep * nose
        return moved


def _skin_fields(face: FaceGeometry, x: Array, y: Array) -> dict[str, Array]:
    """Brows, cheeks and breath, in eye distances."""
    p, e = face.landmarks[:, :2], face.unit
    lids = (p[159, 1] + p[386, 1]) / 2
    over_eye = smooth((lids - 0.02 * e - y) / (0.14 * e))

    def blob(i: int, sx: float, sy: float) -> Array:
        height: Array = np.exp(-0.5 * (((x - p[i, 0]) / (sx * e)) ** 2 + ((y - p[i, 1]) / (sy * e)) ** 2))
        return height

    def vertical(dy: Array) -> Array:
        pairs: Array = np.stack([np.zeros_like(dy), dy], axis=-1).astype(np.float32)
        return pairs

    inner = (blob(107, 0.14, 0.2) + blob(336, 0.14, 0.2)) * over_eye
    outer = (blob(70, 0.17, 0.2) + blob(300, 0.17, 0.2)) * over_eye
    cheeks = blob(50, 0.2, 0.16) + blob(280, 0.2, 0.16)
    under_eye = smooth((y - (p[145, 1] + p[374, 1]) / 2) / (0.1 * e))
    chest = smooth((y - face.chin[1] - 0.25 * e) / (1.1 * e))

    def both(dx: Array, dy: Array) -> Array:
        return np.stack([dx, dy], axis=-1).astype(np.float32)

    together = blob(107, 0.15, 0.16) - blob(336, 0.15, 0.16)  # the brows' inner ends towards each other
    return {
        "browInnerUp": vertical(-0.068 * inner),
        "browOuterUp": vertical(-0.05 * outer),
        "browDown": both(0.022 * together * over_eye, 0.042 * (inner + 0.45 * outer)),
        "cheekSquint": vertical(-0.04 * cheeks * under_eye),
        "breath": vertical(-0.022 * chest),
    }


def _mood_fields(face: FaceGeometry, mouth: _MouthFields) -> dict[str, Array]:
    """The mouth of a mood, in eye distances: both lips move as one, so that speech opens and closes them as ever."""
    x, y, e, t = mouth.x, mouth.y, mouth.e, mouth.t
    inside = np.clip(np.abs(t), 0, 1)
    corner_y = float(face.corner_left[1] + face.corner_right[1]) / 2
    # Full at the corners and level there, 0 in the middle, dying out over the cheek: no kink anywhere.
    lift = np.where(inside < 1, inside**3 * (4 - 3 * inside), bell(mouth.outside / 0.25))
    draw = np.sign(t) * np.where(inside < 1, inside * (1.5 - 0.5 * inside * inside), bell(mouth.outside / 0.25))
    d = (y - corner_y) / e
    height = bell(d / np.where(d < 0, 0.24, 0.26)) * smooth((y - face.nose_base_y + 0.22 * e) / (0.3 * e))
    low = np.minimum(smooth((y - face.nose_base_y) / np.maximum(mouth.seam - face.nose_base_y, 0.1 * e)), 1.0)
    chin_y = face.chin[1]
    under = 1.0 - smooth((y - chin_y + 0.14 * e) / (0.22 * e))
    centre = bell((x - face.centre_x) / (0.24 * e))
    thin = mouth._thin(y, mouth.lip_up, 0.16, 1.0) * (y < mouth.seam) - mouth._thin(y, mouth.lip_low, 0.12, 1.0) * (
        y >= mouth.seam
    )
    # Who smiles in the photo needs less of a smile: corners that stand higher than the middle already are on their way.
    more = 1.0 - 0.55 * float(smooth(np.array(mouth.flat.max() / 0.09, np.float32)))
    smile = float(smooth(np.array(max(0.0, float(mouth.flat.max())) / SMILE_FULL, np.float32)))
    level = 0.75 * np.maximum(mouth.flat, 0.0) * np.where(inside < 1, 1.0, bell(mouth.outside / 0.25)) * height
    return {
        RELAXED: mouth.pair(-0.035 * smile * draw * height, level - smile * (0.008 * centre * height + 0.5 * thin)),
        "moodSmile": mouth.pair(
            0.075 * more * draw * height, more * (-0.068 * lift * height + 0.008 * centre * height + thin)
        ),
        "mouthFrown": mouth.pair(
            0.012 * draw * height, (0.05 - 0.015 * smile) * lift * height - 0.012 * centre * low * under
        ),
        "mouthShrugLower": mouth.pair(np.zeros_like(y), -0.04 * centre * low * under),
    }


def depth(face: FaceGeometry, x: Array, y: Array) -> Array:
    """Return how far before the axis of the head each node lies, px: from the mesh inside the face, falling to 0 at the
    outline of the hair.
    """
    p = face.landmarks
    chosen = np.unique(np.r_[np.arange(0, 468, 4), list(FACE_OVAL)])
    near = (float(p[list(FACE_OVAL), 2].mean()) - p[chosen, 2]) + 0.22 * face.unit
    wide = (0.16 * face.unit) ** 2
    d2 = (x.reshape(-1, 1) - p[chosen, 0]) ** 2 + (y.reshape(-1, 1) - p[chosen, 1]) ** 2
    weight = np.exp(-0.5 * d2 / wide)
    whole = weight.sum(axis=1)
    inside = weight @ near / np.maximum(whole, 1e-6)
    fade = smooth(1.0 - np.sqrt(d2.min(axis=1)) / (0.75 * face.unit))
    depth: Array = (np.maximum(inside, 0.0) * fade).reshape(x.shape).astype(np.float32)
    return depth


def _head_fields(face: FaceGeometry, x: Array, y: Array) -> dict[str, Array]:
    """px per degree: parallax by depth for yaw and pitch, a turn about the neck for roll, all dying out on the
    shoulders.
    """
    e, chin = face.unit, face.chin
    near = depth(face, x, y)
    head = 1.0 - smooth((y - chin[1] - 0.05 * e) / (1.15 * e))
    degree = np.float32(np.pi / 180)
    pivot_x, pivot_y = chin[0], chin[1] + 0.55 * e
    zero = np.zeros_like(near)
    yaw = np.stack([(near * 1.15 + 0.12 * e * head) * degree, zero], axis=-1)
    pitch = np.stack([zero, (near * 1.15 + 0.12 * e * head) * degree], axis=-1)
    roll = np.stack([-(y - pivot_y) * head, (x - pivot_x) * head], axis=-1) * degree
    return {"yaw": yaw.astype(np.float32), "pitch": pitch.astype(np.float32), "roll": roll.astype(np.float32)}
