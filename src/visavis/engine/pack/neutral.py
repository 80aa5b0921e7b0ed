"""Makes the neutral face: closes the lips of a photo with parted lips, and keeps the teeth that it showed.

Lengths are eye distances. Where no source is named, values were set by eye on photos with smiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.colour import to_yuv
from visavis.engine.landmarks import (
    CHEEK_LEFT,
    CHEEK_RIGHT,
    CHIN,
    EYE_OUTER_LEFT,
    EYE_OUTER_RIGHT,
    INNER_CORNER_LEFT,
    INNER_CORNER_RIGHT,
    INNER_LOWER,
    INNER_LOWER_MIDDLE,
    INNER_UPPER,
    INNER_UPPER_MIDDLE,
    MOUTH_CORNER_LEFT,
    MOUTH_CORNER_RIGHT,
    NOSE_BASE,
    OUTER_LOWER,
    OUTER_UPPER,
    curve,
    smoothstep,
)
from visavis.engine.pixels import pixels_at, square_around

# A gap of the inner lips from which a mouth counts as open. On 60 faces with closed lips it was up to 0.009.
OPEN_FROM = 0.011
NO_TEETH: NDArray[np.uint8] = np.zeros((0, 0, 4), np.uint8)
TEETH_FROM = 0.06  # teeth are looked for in a gap from this on
# How much of an upper tooth can show: crowns are 10 to 11 mm long, an eye distance is about 90 mm.
TOOTH_MOST = 0.13
# The upper lip closes nearly half of a small gap, and at most UPPER_MOST of a wide one. The lower lip and the jaw close
# the rest. Measured on the smiles of one man: gaps of 0.08, 0.12 and 0.24 had raised his upper lip by 0.032, 0.046 and
# 0.049, two fifths of it in the lip itself.
UPPER_SHARE, UPPER_MOST = 0.45, 0.07
# The part of a lip's way that a fuller lip makes; the skin beyond it makes the rest.
UPPER_LIP_PART, LOWER_LIP_PART = 0.4, 0.12
INTO_LIPS = 0.014  # the lips overlap the gap by this much, so that no tooth is left along the seam
UPPER_LIP_LEAST, LOWER_LIP_LEAST = 0.03, 0.05  # lips count as at least this high
# A broad smile is eased: its corners move in and down, not at all in a mouth up to SMILE_NARROW wide, and fully in one
# that is wider by SMILE_RANGE.
EASED_IN, EASED_DOWN = 0.045, 0.03
SMILE_NARROW, SMILE_RANGE = 0.56, 0.2
EASE_ROUNDS, CLOSE_ROUNDS = 5, 12  # rounds of substitution that find where a px comes from
# The part of the picture that changes: aside of the corners, above the base of the nose, below the chin.
BOX_ASIDE, BOX_ABOVE, BOX_BELOW = 0.7, 0.3, 0.7
LINE_WIDTH, LINE_DEPTH = 0.010, 0.5  # of the dark line between closed lips
# Teeth are kept only if they can be told from lips and skin. Luma and chroma in levels of 255.
TOOTH_BRIGHT_LEAST, TOOTH_BRIGHT_OVER_SKIN = 90.0, 0.72
TOOTH_SHARE_LEAST = 0.25  # of the open mouth
TOOTH_COLUMNS_LEAST = 0.75  # of the middle half of the mouth
SKIN_COLOURED_FROM = 8.0  # chroma of skin: in a picture of one colour, redness tells nothing
LESS_RED_THAN_SKIN = 3.0
RED_OF_LIPS = (17, 0, 84, 314)  # landmarks on the red of both lips


@dataclass(frozen=True, slots=True, kw_only=True)
class Neutral:
    """A picture with closed lips, uint8 (H, W, 3) RGB, and its landmarks (478, 3). `parted`: the gap that was closed,
    eye distances.

    `teeth`: the teeth that the photo showed, uint8 (h, w, 4) RGBA, opaque where they were visible; (0, 0, 4) if there
    were none. Their upper left corner lies `teeth_at` px from the middle of the closed seam.
    """

    picture: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    parted: float
    teeth: NDArray[np.uint8]
    teeth_at: tuple[float, float]


def close_lips(picture: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Neutral:
    """Return the face with its lips closed along one seam. If they are closed already, only the inner lines of the lips
    are joined.
    """
    p = landmarks[:, :2]
    unit = float(np.linalg.norm(p[EYE_OUTER_LEFT] - p[EYE_OUTER_RIGHT]))
    parted = float(np.max(p[list(INNER_LOWER), 1] - p[list(INNER_UPPER), 1])) / unit
    moved = landmarks.copy()
    if parted < OPEN_FROM:
        middle = (landmarks[list(INNER_UPPER), 1] + landmarks[list(INNER_LOWER), 1]) / 2
        moved[list(INNER_UPPER), 1] = middle
        moved[list(INNER_LOWER), 1] = middle
        return Neutral(picture=picture, landmarks=moved, parted=parted, teeth=NO_TEETH, teeth_at=(0.0, 0.0))
    return _close(picture, landmarks, unit, parted)


class _Closing:
    """The displacement that closes parted lips along a seam; px of the picture, columns [left, right)."""

    def __init__(self, p: NDArray[np.float32], unit: float, left: int, right: int) -> None:
        self.p, self.unit, self.left = p, unit, left
        column = np.arange(left, right, dtype=np.float32)
        corner_left, corner_right = p[INNER_CORNER_LEFT, 0], p[INNER_CORNER_RIGHT, 0]
        within = smoothstep(np.minimum(column - corner_left, corner_right - column) / (0.06 * unit))
        margin = INTO_LIPS * unit * within
        upper = np.interp(column, *curve(p[list(INNER_UPPER)])) - margin
        lower = np.interp(column, *curve(p[list(INNER_LOWER)])) + margin
        gap = np.clip(lower - upper, 0, None) * ((column > corner_left) & (column < corner_right))
        self.gap = cv2.GaussianBlur(gap.reshape(1, -1).astype(np.float32), (0, 0), 0.03 * unit)[0]
        self.upper, self.lower = upper.astype(np.float32), lower.astype(np.float32)
        widest = max(float(self.gap.max()) / unit, 1e-3)
        self.share = UPPER_MOST * (1.0 - float(np.exp(-UPPER_SHARE * widest / UPPER_MOST))) / widest
        self.seam = (upper + self.share * self.gap).astype(np.float32)
        # A lip that a smile no longer stretches is fuller: the lip makes a part of the way, the skin beyond it the
        # rest.
        self.upper_rim = np.minimum(
            np.interp(column, *curve(p[list(OUTER_UPPER)])), upper - UPPER_LIP_LEAST * unit
        ).astype(np.float32)
        self.lower_rim = np.maximum(
            np.interp(column, *curve(p[list(OUTER_LOWER)])), lower + LOWER_LIP_LEAST * unit
        ).astype(np.float32)
        wide = float(np.linalg.norm(p[MOUTH_CORNER_LEFT] - p[MOUTH_CORNER_RIGHT])) / unit
        self._ease = float(np.clip((wide - SMILE_NARROW) / SMILE_RANGE, 0, 1))

    def at(self, x: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return the indices of the columns of positions x."""
        columns: NDArray[np.intp] = np.clip(np.round(x - self.left).astype(np.intp), 0, len(self.gap) - 1)
        return columns

    def above(self, i: NDArray[np.intp], y: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how far the skin above the mouth moves down, in columns i at heights y."""
        edge, rim, nose = self.upper[i], self.upper_rim[i], self.p[NOSE_BASE, 1]
        at_rim = (1.0 - UPPER_LIP_PART) * smoothstep((y - nose) / np.maximum(rim - nose, 0.08 * self.unit))
        moved: NDArray[np.float32] = (
            self.share * self.gap[i] * (at_rim + UPPER_LIP_PART * np.clip((y - rim) / (edge - rim), 0, 1))
        )
        return moved

    def below(self, i: NDArray[np.intp], y: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how far the skin below the mouth moves down; it is negative, because the skin moves up."""
        edge, rim, chin = self.lower[i], self.lower_rim[i], self.p[CHIN, 1]
        at_rim = (1.0 - LOWER_LIP_PART) * (
            1.0 - smoothstep((y - rim) / np.maximum(0.95 * (chin - rim), 0.35 * self.unit))
        )
        moved: NDArray[np.float32] = (
            -(1 - self.share) * self.gap[i] * (at_rim + LOWER_LIP_PART * np.clip((rim - y) / (rim - edge), 0, 1))
        )
        return moved

    def relax(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the displacement that eases a broad smile: the corners move a little in and down."""
        dx, dy = np.zeros_like(x), np.zeros_like(y)
        for corner, side in ((self.p[MOUTH_CORNER_LEFT], 1.0), (self.p[MOUTH_CORNER_RIGHT], -1.0)):
            near = np.exp(
                -0.5 * (((x - corner[0]) / (0.2 * self.unit)) ** 2 + ((y - corner[1]) / (0.17 * self.unit)) ** 2)
            )
            dx = dx + side * EASED_IN * self._ease * self.unit * near
            dy = dy + EASED_DOWN * self._ease * self.unit * near
        return dx, dy


def _close(picture: NDArray[np.uint8], landmarks: NDArray[np.float32], unit: float, parted: float) -> Neutral:
    p = landmarks[:, :2]
    h, w = picture.shape[:2]
    left = max(int(p[MOUTH_CORNER_LEFT, 0] - BOX_ASIDE * unit), 0)
    right = min(int(p[MOUTH_CORNER_RIGHT, 0] + BOX_ASIDE * unit), w)
    top, bottom = max(int(p[NOSE_BASE, 1] - BOX_ABOVE * unit), 0), min(int(p[CHIN, 1] + BOX_BELOW * unit), h)
    closing = _Closing(p, unit, left, right)
    x, y = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
    # The lips close first, then the smile is eased. The source of a px is found in the opposite order.
    rx, ry = x, y
    for _ in range(EASE_ROUNDS):
        dx, dy = closing.relax(rx, ry)
        rx, ry = x - dx, y - dy
    i = closing.at(rx)
    upper, lower = ry, ry
    for _ in range(CLOSE_ROUNDS):
        upper, lower = ry - closing.above(i, upper), ry - closing.below(i, lower)
    filled = _fill_inside(picture, p, unit)
    layers = [
        cv2.remap(
            filled, rx.astype(np.float32), source.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        for source in (upper, lower)
    ]
    seam = closing.seam[i]
    mix = np.clip(seam - ry + 0.5, 0, 1)[..., None]
    moved = _move(landmarks, closing, (left, top, right, bottom))
    at = moved[:, :2] - (left, top)
    closed = _without_dark_corners(np.rint(layers[0] * mix + layers[1] * (1 - mix)).astype(np.uint8), at, unit)
    # The line between closed lips: a soft, slightly red shade that ends at the corners.
    line = np.exp(-0.5 * ((ry - seam) / (LINE_WIDTH * unit)) ** 2) * np.clip(closing.gap[i] / (0.04 * unit), 0, 1)
    closed = closed * (1.0 - LINE_DEPTH * line[..., None] * np.array([0.85, 1.0, 1.0], np.float32))
    closed = np.clip(closed + 0.5, 0, 255).astype(np.uint8)
    out = picture.copy()
    out[top:bottom, left:right] = _without_smile_folds(closed, at, unit)
    seam_middle = (moved[INNER_UPPER_MIDDLE, :2] + moved[INNER_LOWER_MIDDLE, :2]) / 2
    teeth, (tx, ty) = _own_teeth(picture, p, unit)
    return Neutral(
        picture=out,
        landmarks=moved,
        parted=parted,
        teeth=teeth,
        teeth_at=(tx - float(seam_middle[0]), ty - float(seam_middle[1])),
    )


def _move(landmarks: NDArray[np.float32], closing: _Closing, box: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Return the landmarks of the closed mouth: those within the box move like the picture, those of the inner lips lie
    on the seam.
    """
    left, top, right, bottom = box
    moved = landmarks.copy()
    x, y = landmarks[:468, 0], landmarks[:468, 1]
    i = closing.at(x)
    within = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    rise = np.where(y > closing.seam[i], closing.below(i, y), closing.above(i, y))
    shifted: NDArray[np.float32] = np.asarray(y + np.where(within, rise, 0), np.float32)
    dx, dy = closing.relax(x, shifted)
    moved[:468, 0] = x + np.where(within, dx, 0)
    moved[:468, 1] = shifted + np.where(within, dy, 0)
    x = np.asarray((landmarks[list(INNER_UPPER), 0] + landmarks[list(INNER_LOWER), 0]) / 2, np.float32)
    y = closing.seam[closing.at(x)]
    dx, dy = closing.relax(x, y)
    for ring in (INNER_UPPER, INNER_LOWER):
        moved[list(ring), 0] = x + dx
        moved[list(ring), 1] = y + dy
    return moved


def _without_dark_corners(image: NDArray[np.uint8], p: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
    """Return `image` without the dark corners of an open smile, which would be two spots beside closed lips.

    A morphological closing of the size of a corner gives the skin without them. The line between the lips is drawn
    later.
    """
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]].astype(np.float32)
    size = max(3, round(0.15 * unit)) | 1
    filled = cv2.morphologyEx(image, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    filled = cv2.GaussianBlur(filled, (0, 0), 0.02 * unit).astype(np.float32)
    zone = np.zeros(image.shape[:2], np.float32)
    for corner, side in ((p[MOUTH_CORNER_LEFT], -1.0), (p[MOUTH_CORNER_RIGHT], 1.0)):
        outward = (x - corner[0]) * side / unit
        near = np.exp(
            -0.5 * ((np.minimum(outward - 0.01, 0.0) / 0.045) ** 2 + (np.maximum(outward - 0.03, 0.0) / 0.05) ** 2)
        )
        zone = np.maximum(zone, near * np.exp(-0.5 * ((y - corner[1]) / (0.055 * unit)) ** 2))
    lit: NDArray[np.float32] = image + np.maximum(filled - image, 0.0) * zone[..., None]
    return lit


def _without_smile_folds(image: NDArray[np.uint8], p: NDArray[np.float32], unit: float) -> NDArray[np.uint8]:
    """Return `image` with weaker smile folds beside the corners of the mouth. They would move visibly with rounded
    lips.
    """
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]].astype(np.float32)
    size = max(3, round(0.09 * unit)) | 1
    filled = cv2.morphologyEx(image, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    filled = cv2.GaussianBlur(filled, (0, 0), 0.03 * unit).astype(np.float32)
    zone = np.zeros(image.shape[:2], np.float32)
    for corner, side in ((p[MOUTH_CORNER_LEFT], -1.0), (p[MOUTH_CORNER_RIGHT], 1.0)):
        outward = (x - corner[0]) * side / unit
        near = np.exp(-0.5 * (((outward - 0.07) / 0.09) ** 2 + ((y - corner[1] + 0.03 * unit) / (0.13 * unit)) ** 2))
        zone = np.maximum(zone, near * smoothstep((outward - 0.0) / 0.05))
    calm: NDArray[np.uint8] = np.rint(image + (filled - image) * (0.75 * zone[..., None])).astype(np.uint8)
    return calm


def _fill_inside(picture: NDArray[np.uint8], p: NDArray[np.float32], unit: float) -> NDArray[np.uint8]:
    """Return the picture with the inside of the mouth filled from the lips, so that no tooth is left along the seam."""
    ring = np.vstack([p[list(INNER_UPPER)], p[list(INNER_LOWER)][::-1]])
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(ring).astype(np.int32)], 255)
    grow = max(1, round(0.012 * unit))
    mask = cv2.dilate(mask, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8))
    x0, y0 = np.maximum(ring.min(axis=0).astype(int) - 12, 0)
    x1, y1 = ring.max(axis=0).astype(int) + 13
    out = picture.copy()
    out[y0:y1, x0:x1] = cv2.inpaint(picture[y0:y1, x0:x1], mask[y0:y1, x0:x1], 4, cv2.INPAINT_TELEA)
    return out


def _own_teeth(
    picture: NDArray[np.uint8], p: NDArray[np.float32], unit: float
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Return the upper teeth between parted lips and the place of their upper left corner: px that are bright, less red
    than lips and skin, and begin at the upper lip.

    Return no teeth if these are too few or only in places: a row half hidden by a hand or a moustache looks worse than
    drawn teeth.
    """
    none = NO_TEETH, (0.0, 0.0)
    ring = np.vstack([p[list(INNER_UPPER)], p[list(INNER_LOWER)][::-1]])
    if float(np.max(p[list(INNER_LOWER), 1] - p[list(INNER_UPPER), 1])) < TEETH_FROM * unit:
        return none
    x0, y0 = np.maximum(np.floor(ring.min(axis=0)).astype(int) - 2, 0)
    x1, y1 = np.minimum(np.ceil(ring.max(axis=0)).astype(int) + 3, picture.shape[1::-1])
    crop = picture[y0:y1, x0:x1]
    mask = np.zeros(crop.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint((ring - (x0, y0)) * 16).astype(np.int32)], 255, lineType=cv2.LINE_8, shift=4)
    mask = cv2.erode(mask, np.ones((3, 3), np.uint8))
    yuv = to_yuv(crop)
    inside = mask > 0
    if int(inside.sum()) < 40:
        return none
    bright = float(np.percentile(yuv[inside, 0], 90))
    skin = _skin_colour(picture, p, unit)
    lips = pixels_at(picture, p[list(RED_OF_LIPS)])
    redness = (
        float(np.median(yuv[inside & (yuv[..., 0] > 0.8 * bright), 2])) + float(np.median(to_yuv(lips)[:, 2]))
    ) / 2
    tooth = (
        smoothstep((yuv[..., 0] - 0.5 * bright) / (0.2 * bright)) * smoothstep((redness + 4 - yuv[..., 2]) / 6) * inside
    )
    tooth = tooth * _below_the_lip(tooth > 0.5, np.interp(np.arange(x0, x1), *curve(p[list(INNER_UPPER)])) - y0, unit)
    dim = bright < max(TOOTH_BRIGHT_LEAST, TOOTH_BRIGHT_OVER_SKIN * float(skin[0]))
    if float(tooth.sum()) < TOOTH_SHARE_LEAST * float(inside.sum()) or dim:
        return none
    whole = tooth > 0.8
    shown = whole.sum(axis=0) > 0.03 * unit
    middle = slice(len(shown) // 4, len(shown) - len(shown) // 4)
    if float(shown[middle].mean()) < TOOTH_COLUMNS_LEAST or int(whole.sum()) < 60:
        return none
    coloured = float(np.hypot(*(skin[1:] - 128.0))) > SKIN_COLOURED_FROM
    if coloured and float(np.median(yuv[whole, 2])) > float(skin[2]) - LESS_RED_THAN_SKIN:
        return none
    alpha = cv2.GaussianBlur(tooth.astype(np.float32), (0, 0), 0.008 * unit)
    if int((alpha > 0.8).sum()) < 40:
        return none
    return np.dstack([crop, np.rint(alpha * 255).astype(np.uint8)]), (float(x0), float(y0))


def _below_the_lip(tooth: NDArray[np.bool_], lip: NDArray[np.float64], unit: float) -> NDArray[np.bool_]:
    """Return which px belong to the row of teeth that begins at the upper lip, bool like `tooth`; lower teeth do not.
    `lip`: the height of the upper lip by column.
    """
    rows = np.arange(len(tooth))[:, None]
    first = np.where(tooth.any(axis=0), tooth.argmax(axis=0), len(tooth))
    missed = np.cumsum(~tooth & (rows >= first), axis=0)
    return (first <= lip + 0.05 * unit) & (rows >= first) & (missed <= 0.02 * unit) & (rows < first + TOOTH_MOST * unit)


def _skin_colour(picture: NDArray[np.uint8], p: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
    """Return the median Y, U, V of both cheeks."""
    reach_px = max(2, int(0.05 * unit))
    cheeks = [picture[square_around(picture, p[cheek], reach_px)].reshape(-1, 3) for cheek in (CHEEK_LEFT, CHEEK_RIGHT)]
    return np.asarray(np.median(to_yuv(np.concatenate(cheeks)), axis=0), dtype=np.float32)
