"""Folds: how the light on the skin changes where a face folds.

A displaced picture keeps the shading of the resting face, so a smile would be no more than a bent line. A fold is a map
of the change of luma at its full depth. The maps are drawn once for a face and a size, along its landmarks; a frame
adds their weighted sum to the texture.

The shapes and depths were set by eye on rendered faces.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine import native
from visavis.engine.landmarks import (
    BROW_INNER_LEFT,
    BROW_INNER_RIGHT,
    BROW_OUTER_LEFT,
    BROW_OUTER_RIGHT,
    FOREHEAD,
    NOSE_BASE,
    NOSE_WING_LEFT,
    NOSE_WING_RIGHT,
    FaceGeometry,
    gaussian,
    smoothstep,
)
from visavis.engine.render.field_weights import FIELD_INDEX, FIELD_NAMES

Array = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, right, bottom
Depths = tuple[tuple[int, ...], ...]  # for every area, the depth of each of its folds, 0 to STEPS

STEPS = 48  # from no fold to its full depth; one step changes luma by less than one level almost everywhere
SMALLEST_AREA_PX = 8
AREA_RIM = 0.06  # a fold fades out this far inside the rim of its area, eye distances
_BLACK = 16.0  # luma of black in limited range

# How deep each fold is: a weighted sum of field weights, held to 0 to 1.
_DEPTHS: dict[str, dict[str, float]] = {
    "nasolabial": {
        "moodSmile": 0.8,
        "mouthSmile": 0.5,
        "mouthStretch": 0.25,
        "cheekSquint": 0.2,
        "mouthPucker": -0.3,
    },
    "under_lip": {
        "mouthPucker": 0.6,
        "mouthFunnel": 0.45,
        "mouthPress": 0.3,
        "mouthShrugLower": 1.0,
        "mouthRollLower": 0.3,
        "jawOpen": -0.4,
    },
    "mouth_corners": {"jawOpen": 4.0, "mouthFunnel": 1.0, "mouthPucker": 1.0},
    "frown": {"browDown": 0.9, "browInnerUp": 0.15},
    "forehead": {"browInnerUp": 0.6, "browOuterUp": 0.4},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Area:
    """A part of the texture and its folds; areas do not overlap. `maps`: the luma of the photo, and the change of luma
    of each fold at full depth. `first`, `end`: the folds of the area among all folds.
    """

    rows: slice
    columns: slice
    maps: native.FoldMaps
    first: int
    end: int


class Folds:
    """The folds of one texture.

    The class keeps no state of a frame: `paint` writes the folds into a texture, and the same depths always give the
    same pixels.
    """

    def __init__(self, texture: NDArray[np.uint8], landmarks: Array, unit: float, eyes: tuple[Box, Box]) -> None:
        """`texture` (H, W, 4); `landmarks` (478, 2 or 3), `unit` and the boxes of the `eyes` in px of it. `Eye` paints
        inside these boxes, so folds never touch them.
        """
        p = np.concatenate([landmarks[:, :2], np.zeros((len(landmarks), 1), np.float32)], axis=1).astype(np.float32)
        face = FaceGeometry.of(p)
        height, width = texture.shape[:2]
        self._areas: list[_Area] = []
        depths: list[Array] = []
        for (left, top, right, bottom), names in _areas(face, p, unit, eyes):
            left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
            if right - left < SMALLEST_AREA_PX or bottom - top < SMALLEST_AREA_PX:
                continue
            rows, columns = slice(top, bottom), slice(left, right)
            x, y = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
            luma = texture[rows, columns, 0].astype(np.float32)
            to_rim = np.minimum.reduce([x - left, right - 1 - x, y - top, bottom - 1 - y])
            inner = smoothstep(to_rim / (AREA_RIM * unit)) * (texture[rows, columns, 3] == 0)
            shapes = _Shapes(face, p, unit, x, y, luma)
            maps = native.FoldMaps(luma, [getattr(shapes, name)() * inner for name in names])
            first, end = len(depths), len(depths) + len(names)
            self._areas.append(_Area(rows=rows, columns=columns, maps=maps, first=first, end=end))
            depths += [_depths(name) for name in names]
        # The weight of every field in the depth of each fold, float32 (folds, len(FIELD_NAMES)).
        self._depths = np.array(depths, np.float32).reshape(-1, len(FIELD_NAMES))

    def depths(self, weights: Array) -> Depths:
        """Return how deep the folds of every area are for the field weights of a frame."""
        shares: list[float] = np.dot(self._depths, weights).tolist()
        depths = [round(min(1.0, max(0.0, share)) * STEPS) for share in shares]
        return tuple(tuple(depths[area.first : area.end]) for area in self._areas)

    def paint(self, texture: NDArray[np.uint8], depths: Depths, shown: Depths) -> list[Box]:
        """Write the folds at `depths` into `texture`, which shows them at `shown`. Return the boxes of the areas that
        changed; nothing else is touched.
        """
        painted: list[Box] = []
        for area, wanted, before in zip(self._areas, depths, shown, strict=True):
            if wanted == before:
                continue
            native.paint_folds(area.maps, [depth / STEPS for depth in wanted], texture[area.rows, area.columns])
            painted.append((area.columns.start, area.rows.start, area.columns.stop, area.rows.stop))
        return painted


def _areas(face: FaceGeometry, p: Array, unit: float, eyes: tuple[Box, Box]) -> tuple[tuple[Box, tuple[str, ...]], ...]:
    """Return the boxes in which folds are drawn, with the names of their folds: around the mouth, between the brows, on
    the forehead.
    """
    lids_top, lids_bottom = min(eyes[0][1], eyes[1][1]), max(eyes[0][3], eyes[1][3])
    between = min(eyes)[2], max(eyes)[0]
    nose_y, chin_y = float(p[NOSE_BASE, 1]), float(face.chin[1])
    around_mouth = (
        int(float(face.corner_left[0]) - 0.45 * unit),
        max(lids_bottom, int(nose_y - 0.30 * unit)),
        int(float(face.corner_right[0]) + 0.45 * unit) + 1,
        int(chin_y),
    )
    between_brows = (between[0], lids_top, between[1], lids_bottom - int(0.15 * unit))
    forehead = (int(p[BROW_OUTER_LEFT, 0]), int(p[FOREHEAD, 1]), int(p[BROW_OUTER_RIGHT, 0]), lids_top)
    return (
        (around_mouth, ("nasolabial", "under_lip", "mouth_corners")),
        (between_brows, ("frown",)),
        (forehead, ("forehead",)),
    )


def _depths(name: str) -> Array:
    row = np.zeros(len(FIELD_NAMES), np.float32)
    for field, share in _DEPTHS[name].items():
        row[FIELD_INDEX[field]] = share
    return row


class _Shapes:
    """The shapes of the folds as changes of luma, float32 (h, w), over an area with pixels at x, y (h, w).

    In the methods, distances are eye distances. The first number of a Gaussian is its strength, as a share of the
    light; negative is darker. The number that divides is its standard deviation.
    """

    def __init__(self, face: FaceGeometry, p: Array, unit: float, x: Array, y: Array, luma: Array) -> None:
        self.face, self.p, self.e, self.x, self.y, self.luma = face, p, unit, x, y, luma

    def _shade(self, share: Array) -> Array:
        """Return the change of luma for a share of the light: darker below 0, lighter above."""
        return (self.luma - _BLACK) * share

    def nasolabial(self) -> Array:
        """The nasolabial folds: a groove from the wing of the nose past the corner of the mouth, and the cheek that
        swells beside it.
        """
        share = np.zeros_like(self.luma)
        e = self.e
        for wing, corner, side in (
            (self.p[NOSE_WING_LEFT], self.face.corner_left, -1.0),
            (self.p[NOSE_WING_RIGHT], self.face.corner_right, 1.0),
        ):
            # A quadratic Bézier curve of 40 points.
            wing_x, wing_y, corner_x, corner_y = map(float, (*wing[:2], *corner[:2]))
            begin = np.array([wing_x + side * 0.035 * e, wing_y - 0.02 * e])
            end = np.array([corner_x + side * 0.10 * e, corner_y + 0.07 * e])
            bend = np.array([corner_x + side * 0.10 * e, (begin[1] + end[1]) / 2 - 0.03 * e])
            at = np.linspace(0.0, 1.0, 40, dtype=np.float32)[:, None]
            line = (1 - at) ** 2 * begin + 2 * at * (1 - at) * bend + at**2 * end
            x_at = np.interp(self.y, line[:, 1], line[:, 0])
            along = np.interp(self.y, line[:, 1], at[:, 0], left=-0.3, right=1.3)
            # The distance from the curve, outwards positive. It is measured horizontally; the factor corrects for the
            # slant of the curve.
            across = (self.x - x_at) * side / e * 0.82
            length = smoothstep((along + 0.06) / 0.28) * smoothstep((1.12 - along) / 0.45)
            groove = -0.075 * gaussian(across / 0.027) - 0.045 * gaussian((across - 0.02) / 0.06)
            swell = 0.045 * gaussian((across - 0.12) / 0.06)
            share += (groove + swell) * length
        return self._shade(share)

    def under_lip(self) -> Array:
        """The hollow between lower lip and chin, and the upper edge of the chin, which catches the light."""
        lip = np.interp(self.x, *self.face.lower_outer).astype(np.float32)
        below = (self.y - lip) / self.e
        wide = gaussian((self.x - self.face.centre_x) / (0.17 * self.e))
        hollow = -0.15 * gaussian((below - 0.045) / 0.03) + 0.05 * gaussian((below - 0.14) / 0.045)
        return self._shade(hollow * wide * smoothstep((below + 0.005) / 0.03))

    def mouth_corners(self) -> Array:
        """What removes the ends of the line between the lips: an open mouth has no line beyond its corners.

        A morphological closing of the size of the line gives the skin without it.
        """
        size = max(3, round(0.05 * self.e)) | 1
        bare = cv2.morphologyEx(self.luma, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
        bare = cv2.GaussianBlur(bare, (0, 0), 0.008 * self.e)
        zone = np.zeros_like(self.luma)
        for corner, side in ((self.face.corner_left, -1.0), (self.face.corner_right, 1.0)):
            outward = (self.x - corner[0]) * side / self.e
            near = (
                smoothstep((outward + 0.012) / 0.025)
                * smoothstep((0.17 - outward) / 0.06)
                * gaussian((self.y - corner[1]) / (0.05 * self.e))
            )
            zone = np.maximum(zone, near)
        brighter: Array = np.maximum(bare - self.luma, 0.0) * zone
        return brighter

    def frown(self) -> Array:
        """The upright lines between the brows."""
        e, middle = self.e, float(self.p[BROW_INNER_LEFT, 0] + self.p[BROW_INNER_RIGHT, 0]) / 2
        y_at = float(self.p[BROW_INNER_LEFT, 1] + self.p[BROW_INNER_RIGHT, 1]) / 2
        share = np.zeros_like(self.luma)
        for side in (-1.0, 1.0):
            across = ((self.x - middle) * side - 0.052 * e) / e
            share += -0.13 * gaussian(across / 0.013) + 0.035 * gaussian((across + 0.035) / 0.02)
        return self._shade(share * gaussian((self.y - y_at - 0.02 * e) / (0.075 * e)))

    def forehead(self) -> Array:
        """Three faint lines across the forehead, bent like the brows."""
        e, middle = self.e, (float(self.p[BROW_INNER_LEFT, 0]) + float(self.p[BROW_INNER_RIGHT, 0])) / 2
        brow_y = float(self.p[BROW_INNER_LEFT, 1] + self.p[BROW_INNER_RIGHT, 1]) / 2
        out = (self.x - middle) / e
        share = np.zeros_like(self.luma)
        for height, depth in ((0.13, 0.05), (0.21, 0.045), (0.29, 0.03)):
            off = (self.y - (brow_y - height * e + 0.16 * e * out * out)) / e
            share += depth * (0.5 * gaussian((off - 0.022) / 0.014) - gaussian(off / 0.013))
        return self._shade(share * gaussian(out / 0.27))
