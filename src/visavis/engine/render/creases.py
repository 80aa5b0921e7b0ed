"""Creases: how the light on the skin changes where a face folds, as maps that darken and brighten the texture.

A displaced picture keeps the shading of the resting face; what makes a smile more than a bent line is the fold beside
it. Each map is the change of luma that one fold makes at its full depth, drawn along the landmarks once for a face and
a size; what a frame shows is their weighted sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.fields import COLUMN, COLUMNS
from visavis.engine.render.landmarks import NOSE_BASE, FaceGeometry, smooth

Array = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, right, bottom

STEPS = 48  # to the full depth of a fold; a step is less than one level of luma almost everywhere
_BLACK = 16.0  # luma

# How deep each fold is for the columns of a frame, and its depth at most. Set by eye.
_DEPTHS: dict[str, dict[str, float]] = {
    "cheeks": {"moodSmile": 0.8, "mouthSmile": 0.5, "mouthStretch": 0.25, "cheekSquint": 0.2, "mouthPucker": -0.3},
    "underlip": {
        "mouthPucker": 0.6,
        "mouthFunnel": 0.45,
        "mouthPress": 0.3,
        "mouthShrugLower": 1.0,
        "mouthRollLower": 0.3,
        "jawOpen": -0.4,
    },
    "corners": {"jawOpen": 4.0, "mouthFunnel": 1.0, "mouthPucker": 1.0},
    "frown": {"browDown": 0.9, "browInnerUp": 0.15},
    "forehead": {"browInnerUp": 0.6, "browOuterUp": 0.4},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fold:
    """One fold: `change` of luma at full depth, float32 (h, w), in its area; `depths`: float32 (len(COLUMNS),)."""

    change: Array
    depths: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class _Area:
    """A part of the texture, apart from the others, and its folds. `luma`: uint8 (h, w), as the photo has it."""

    rows: slice
    columns: slice
    luma: Array
    folds: tuple[_Fold, ...]


class Creases:
    """The folds of one texture. It keeps no state: `paint` writes them into a texture, and the same depths always give
    the same pixels.
    """

    def __init__(self, texture: NDArray[np.uint8], landmarks: Array, unit: float, eyes: tuple[Box, Box]) -> None:
        """`texture` (H, W, 4), `landmarks` (478, 2 or 3), `unit` and the boxes of the `eyes` (painted by others, so
        never touched) in px of it.
        """
        p = np.concatenate([landmarks[:, :2], np.zeros((len(landmarks), 1), np.float32)], axis=1).astype(np.float32)
        face = FaceGeometry.of(p)
        height, width = texture.shape[:2]
        lids_top, lids_bottom = min(eyes[0][1], eyes[1][1]), max(eyes[0][3], eyes[1][3])
        between = sorted(eyes)[0][2], sorted(eyes)[1][0]
        nose_y, chin_y = float(p[NOSE_BASE, 1]), float(face.chin[1])
        areas: list[tuple[Box, tuple[str, ...]]] = [
            (
                (
                    int(face.corner_left[0] - 0.45 * unit),
                    max(lids_bottom, int(nose_y - 0.30 * unit)),
                    int(face.corner_right[0] + 0.45 * unit) + 1,
                    int(chin_y),
                ),
                ("cheeks", "underlip", "corners"),
            ),
            ((between[0], lids_top, between[1], max(eyes[0][3], eyes[1][3]) - int(0.15 * unit)), ("frown",)),
            ((int(p[70, 0]), int(p[10, 1]), int(p[300, 0]), lids_top), ("forehead",)),
        ]
        self._areas = []
        for (left, top, right, bottom), names in areas:
            left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
            if right - left < 8 or bottom - top < 8:
                continue
            rows, columns = slice(top, bottom), slice(left, right)
            x, y = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
            luma = texture[rows, columns, 0].astype(np.float32)
            frame = np.minimum.reduce([x - left, right - 1 - x, y - top, bottom - 1 - y])
            inner = smooth(frame / (0.06 * unit)) * (texture[rows, columns, 3] == 0)
            draw = _Draw(face, p, unit, x, y, luma)
            folds = tuple(
                _Fold(change=np.ascontiguousarray(getattr(draw, name)() * inner, np.float32), depths=_depths(name))
                for name in names
            )
            self._areas.append(_Area(rows=rows, columns=columns, luma=luma, folds=folds))

    def depths(self, weights: Array) -> tuple[tuple[int, ...], ...]:
        """Return how deep the folds of every area are, in STEPS, for the weights of a frame's columns."""
        return tuple(
            tuple(round(min(1.0, max(0.0, float(fold.depths @ weights))) * STEPS) for fold in area.folds)
            for area in self._areas
        )

    def paint(
        self, texture: NDArray[np.uint8], depths: tuple[tuple[int, ...], ...], shown: tuple[tuple[int, ...], ...]
    ) -> list[Box]:
        """Write the folds into `texture`, which shows them at the depths `shown`; return the boxes of the areas that
        change: no other is touched.
        """
        painted: list[Box] = []
        for area, wanted, before in zip(self._areas, depths, shown, strict=True):
            if wanted == before:
                continue
            luma = area.luma
            for fold, depth in zip(area.folds, wanted, strict=True):
                if depth:
                    luma = cv2.scaleAdd(fold.change, depth / STEPS, luma)
            part = texture[area.rows, area.columns]
            cv2.insertChannel(cv2.convertScaleAbs(luma), part, 0)
            painted.append((area.columns.start, area.rows.start, area.columns.stop, area.rows.stop))
        return painted


def _depths(name: str) -> Array:
    row = np.zeros(len(COLUMNS), np.float32)
    for column, share in _DEPTHS[name].items():
        row[COLUMN[column]] = share
    return row


def _bell(d: Array) -> Array:
    height: Array = np.exp(-0.5 * d * d)
    return height


class _Draw:
    """Draws folds as changes of luma over an area with pixels at x, y (h, w)."""

    def __init__(self, face: FaceGeometry, p: Array, unit: float, x: Array, y: Array, luma: Array) -> None:
        self.face, self.p, self.e, self.x, self.y, self.luma = face, p, unit, x, y, luma

    def _shade(self, share: Array) -> Array:
        """Darker (below 0) or lighter by a share of the light."""
        return (self.luma - _BLACK) * share

    def cheeks(self) -> Array:
        """The nasolabial fold: a groove from the wing of the nose past the corner of the mouth, and the cheek that
        swells beside it.
        """
        share = np.zeros_like(self.luma)
        e = self.e
        for wing, corner, side in (
            (self.p[129], self.face.corner_left, -1.0),
            (self.p[358], self.face.corner_right, 1.0),
        ):
            begin = np.array([wing[0] + side * 0.035 * e, wing[1] - 0.02 * e])
            end = np.array([corner[0] + side * 0.10 * e, corner[1] + 0.07 * e])
            bend = np.array([corner[0] + side * 0.10 * e, (begin[1] + end[1]) / 2 - 0.03 * e])
            at = np.linspace(0.0, 1.0, 40, dtype=np.float32)[:, None]
            line = (1 - at) ** 2 * begin + 2 * at * (1 - at) * bend + at**2 * end
            # Distance to the line, outwards positive, and how far along it the nearest point lies.
            x_at = np.interp(self.y, line[:, 1], line[:, 0])
            along = np.interp(self.y, line[:, 1], at[:, 0], left=-0.3, right=1.3)
            # the line leans: what is level is longer than what is straight across
            across = (self.x - x_at) * side / e * 0.82
            length = smooth((along + 0.06) / 0.28) * smooth((1.12 - along) / 0.45)
            groove = -0.075 * _bell(across / 0.027) - 0.045 * _bell((across - 0.02) / 0.06)
            swell = 0.045 * _bell((across - 0.12) / 0.06)
            share += (groove + swell) * length
        return self._shade(share)

    def underlip(self) -> Array:
        """The hollow between lower lip and chin, and the chin's upper edge that catches the light."""
        lip = np.interp(self.x, *self.face.lower_outer).astype(np.float32)
        below = (self.y - lip) / self.e
        wide = _bell((self.x - self.face.centre_x) / (0.17 * self.e))
        hollow = -0.15 * _bell((below - 0.045) / 0.03) + 0.05 * _bell((below - 0.14) / 0.045)
        return self._shade(hollow * wide * smooth((below + 0.005) / 0.03))

    def corners(self) -> Array:
        """The ends of the line in which lips meet, taken away: an open mouth does not go on beyond its corners."""
        size = max(3, round(0.05 * self.e)) | 1
        bare = cv2.morphologyEx(self.luma, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
        bare = cv2.GaussianBlur(bare, (0, 0), 0.008 * self.e)
        zone = np.zeros_like(self.luma)
        for corner, side in ((self.face.corner_left, -1.0), (self.face.corner_right, 1.0)):
            outward = (self.x - corner[0]) * side / self.e
            near = (
                smooth((outward + 0.012) / 0.025)
                * smooth((0.17 - outward) / 0.06)
                * _bell((self.y - corner[1]) / (0.05 * self.e))
            )
            zone = np.maximum(zone, near)
        lost: Array = np.maximum(bare - self.luma, 0.0) * zone
        return lost

    def frown(self) -> Array:
        """The upright lines between the brows."""
        e, middle = self.e, float(self.p[107, 0] + self.p[336, 0]) / 2
        y_at = float(self.p[107, 1] + self.p[336, 1]) / 2
        share = np.zeros_like(self.luma)
        for side in (-1.0, 1.0):
            across = ((self.x - middle) * side - 0.052 * e) / e
            share += -0.13 * _bell(across / 0.013) + 0.035 * _bell((across + 0.035) / 0.02)
        return self._shade(share * _bell((self.y - y_at - 0.02 * e) / (0.075 * e)))

    def forehead(self) -> Array:
        """Faint lines across the forehead, bent like the brows."""
        e, middle = self.e, (float(self.p[107, 0]) + float(self.p[336, 0])) / 2
        brow_y = float(self.p[107, 1] + self.p[336, 1]) / 2
        out = (self.x - middle) / e
        share = np.zeros_like(self.luma)
        for height, depth in ((0.13, 0.05), (0.21, 0.045), (0.29, 0.03)):
            off = (self.y - (brow_y - height * e + 0.16 * e * out * out)) / e
            share += depth * (0.5 * _bell((off - 0.022) / 0.014) - _bell(off / 0.013))
        return self._shade(share * _bell(out / 0.27))
