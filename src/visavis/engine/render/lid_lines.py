"""The lines of the lids: those of the mesh, or those found in the picture if the eyes are larger than the mesh.

On a photo, the mesh lies along the lids. Illustrations have larger eyes than people, and the mesh lies inside them.
Lids that followed the mesh would leave white at the corners and draw the thick line of the lashes down over the eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.landmarks import EYE_LEFT, EYE_RIGHT, EyeIndices, curve

Array = NDArray[np.float32]

# How much differences of Y, U and V count when skin is told from eye. Set by eye on the library's portraits, as are the
# thresholds: the distance from skin of a px that is not skin, in photos and in drawings, which are smoother.
_COLOUR_WEIGHTS = np.array([0.7, 1.3, 1.3], np.float32)
_NOT_SKIN, _NOT_DRAWN_SKIN = 18.0, 11.0
_BRIGHTER = 8.0  # levels of luma by which the white of the eye is brighter than skin
# The white beyond the eye of the mesh, as a share of that eye: the least, the mean of both eyes, the most. Measured on
# five drawings, both eyes of each: 0.03 to 0.13, with means from 0.05. On 28 photos and rendered figures: in nine, one
# eye whose skin lies in a shadow has 0.14 to 2.9; except in one, the other eye has 0.02 at most.
_WHITE_LEAST, _WHITE_MEAN, _WHITE_MOST = 0.025, 0.045, 0.3
# The box around an eye that is examined, eye distances beyond the lines of the mesh.
_BOX_ASIDE, _BOX_ABOVE, _BOX_BELOW = 0.17, 0.14, 0.12
# Where skin is sampled, eye distances: a band above the upper lid and one below the lower lid.
_SKIN_ABOVE, _SKIN_BELOW = (0.055, 0.11), (0.045, 0.10)
_SKIN_LEAST_PX = 20
# Bounds of what can be an eye: its width over that of the mesh; its height, eye distances; its iris over that of the
# mesh.
_WIDTH_LEAST, _WIDTH_MOST, _HEIGHT_MOST = 0.9, 2.0, 0.45
_IRIS_LEAST, _IRIS_MOST, _IRIS_ROWS_LEAST = 0.8, 1.9, 3
_LASHES_MOST = 0.06  # thickness of the line of the lashes, eye distances
_ABOVE_LASHES = 0.014  # bare skin begins this far above it


@dataclass(frozen=True, slots=True, kw_only=True)
class LidLines:
    """The lines of one eye, px of the texture.

    `left`, `right`: the corners. `upper`, `lower`: the lids as curves y(x). `iris`: its centre x, y and its radius.
    `whites`: where the white of the eye ends on the left and on the right. `bare`: the curve above the upper lid above
    which skin has no lashes; None if the lines are those of the mesh.
    """

    left: float
    right: float
    upper: tuple[Array, Array]
    lower: tuple[Array, Array]
    iris: tuple[float, float, float]
    whites: tuple[float, float]
    bare: tuple[Array, Array] | None = None

    @property
    def drawn(self) -> bool:
        """Whether the lines were found in the picture."""
        return self.bare is not None


def lid_lines(texture: NDArray[np.uint8], points: Array, unit: float) -> tuple[LidLines, LidLines]:
    """Return the lines of the left eye and of the right eye: those in the picture if both are found, else those of the
    mesh.

    `texture` (H, W, 4): Y, U, V first; `points` (478, 2) and `unit` in px of it.
    """
    eyes = [_eye_picture(texture, points, unit, indices) for indices in (EYE_LEFT, EYE_RIGHT)]
    white = [eye.white_beyond(_NOT_SKIN) for eye in eyes]
    if min(white) >= _WHITE_LEAST and max(white) <= _WHITE_MOST and sum(white) / 2 >= _WHITE_MEAN:
        left, right = (eye.lines(_NOT_DRAWN_SKIN) for eye in eyes)
        if left is not None and right is not None:
            return left, right
    return eyes[0].mesh, eyes[1].mesh


def _eye_picture(texture: NDArray[np.uint8], points: Array, unit: float, indices: EyeIndices) -> _EyePicture:
    upper, lower = points[list(indices.upper)], points[list(indices.lower)]
    radius = float(np.linalg.norm(points[list(indices.rim)] - points[indices.iris], axis=1).mean())
    left, right = float(upper[:, 0].min()), float(upper[:, 0].max())
    mesh = LidLines(
        left=left,
        right=right,
        whites=(left, right),
        upper=curve(upper),
        lower=curve(lower),
        iris=(float(points[indices.iris, 0]), float(points[indices.iris, 1]), radius),
    )
    box = (
        max(0, int(mesh.left - _BOX_ASIDE * unit)),
        max(0, int(float(upper[:, 1].min()) - _BOX_ABOVE * unit)),
        min(texture.shape[1], int(mesh.right + _BOX_ASIDE * unit)),
        min(texture.shape[0], int(float(lower[:, 1].max()) + _BOX_BELOW * unit)),
    )
    return _EyePicture(texture, points, unit, indices, mesh, box)


class _EyePicture:
    """The picture in a box around an eye. Tells skin from eye, and the white of the eye from the rest."""

    def __init__(
        self,
        texture: NDArray[np.uint8],
        points: Array,
        unit: float,
        indices: EyeIndices,
        mesh: LidLines,
        box: tuple[int, int, int, int],
    ) -> None:
        left, top, right, bottom = box
        self._left, self._top, self._unit, self.mesh = left, top, unit, mesh
        self._area = texture[top:bottom, left:right, :3].astype(np.float32)
        self._x = np.arange(left, right, dtype=np.float32)
        self._y = np.arange(top, bottom, dtype=np.float32)[:, None]
        self._lid, rim = np.interp(self._x, *mesh.upper), np.interp(self._x, *mesh.lower)
        beside = (self._x >= mesh.left) & (self._x <= mesh.right)
        near, far = _SKIN_ABOVE
        above = self._area[(self._y < self._lid - near * unit) & (self._y > self._lid - far * unit) & beside]
        near, far = _SKIN_BELOW
        below = self._area[(self._y > rim + near * unit) & (self._y < rim + far * unit) & beside]
        self._skins = [np.median(part, axis=0) for part in (above, below) if len(part) > _SKIN_LEAST_PX]
        self._iris = points[indices.iris] - (left, top)
        self._radius = mesh.iris[2]
        self._outline = np.round(
            np.vstack([points[list(indices.upper)], points[list(indices.lower)][::-1]]) - (left, top)
        ).astype(np.int32)

    def white_beyond(self, not_skin: float) -> float:
        """Return the white of the eye outside the lids of the mesh, as a share of the area between them.

        `not_skin`: the distance from skin of a px that is not skin.
        """
        if not self._skins:
            return 0.0
        inside = np.zeros(self._area.shape[:2], np.uint8)
        cv2.fillPoly(inside, [self._outline], 1)
        reach = 2 * max(1, round(0.012 * self._unit)) + 1
        beyond = cv2.dilate(inside, np.ones((reach, reach), np.uint8)) == 0
        return float(
            (self._eye(not_skin) & beyond & self._white() & (self._y > self._lid - 0.06 * self._unit)).sum()
        ) / max(int(inside.sum()), 1)

    def _white(self) -> NDArray[np.bool_]:
        return np.asarray(self._area[..., 0] > max(float(skin[0]) for skin in self._skins) + _BRIGHTER)

    def _eye(self, not_skin: float) -> NDArray[np.bool_]:
        """Return which px are not skin and are connected with the iris."""
        differences = [np.sqrt((((self._area - skin) * _COLOUR_WEIGHTS) ** 2).sum(axis=-1)) for skin in self._skins]
        other = (np.minimum.reduce(differences) > not_skin).astype(np.uint8)
        size = 2 * max(1, round(0.008 * self._unit)) + 1
        # A morphological opening removes lashes and wrinkles that touch the eye: they are thin.
        other = cv2.morphologyEx(other, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))
        x, y = int(self._iris[0]), int(self._iris[1])
        cv2.circle(other, (x, y), round(self._radius), 1, -1)
        _, parts = cv2.connectedComponents(other)
        return np.asarray(parts == parts[min(max(y, 0), len(parts) - 1), min(max(x, 0), parts.shape[1] - 1)])

    def lines(self, not_skin: float) -> LidLines | None:
        """Return the lines of the eye in the picture, or None if what was found cannot be an eye."""
        eye, unit, mesh = self._eye(not_skin), self._unit, self.mesh
        columns = np.flatnonzero(eye.sum(axis=0) >= 2)
        if not len(columns) or eye[0].any() or eye[-1].any():  # it reaches a brow, a shadow or the hair
            return None
        x = self._x[columns[0] : columns[-1] + 1]
        seen = eye[:, columns[0] : columns[-1] + 1]
        top = (seen.argmax(axis=0) + self._top).astype(np.float32)
        bottom = (len(seen) - 1 - seen[::-1].argmax(axis=0) + self._top).astype(np.float32)
        width = float(x[-1] - x[0]) / (mesh.right - mesh.left)
        if not _WIDTH_LEAST < width < _WIDTH_MOST or float((bottom - top).max()) > _HEIGHT_MOST * unit:
            return None
        top, bottom = (
            cv2.GaussianBlur(line[None], (0, 0), 0.012 * unit, borderType=cv2.BORDER_REPLICATE)[0]
            for line in (top, bottom)
        )
        lid = np.interp(x, *mesh.upper)
        within = (x > mesh.left) & (x < mesh.right)
        white = np.flatnonzero((eye & self._white()).any(axis=0))
        if not len(white):
            return None
        # The line of the lashes lies between the top of the eye and the lid of the mesh.
        thick = float(np.clip(np.median((lid - top)[within]), 0.0, _LASHES_MOST * unit)) if within.any() else 0.0
        upper = top + np.minimum(thick, 0.5 * (bottom - top))
        return LidLines(
            left=float(x[0]),
            right=float(x[-1]),
            upper=(x, upper.astype(np.float32)),
            lower=(x, bottom),
            iris=self._iris_seen(),
            whites=(float(self._x[white[0]]), float(self._x[white[-1]])),
            bare=(x, top - np.float32(_ABOVE_LASHES * float(np.float32(unit)))),
        )

    def _iris_seen(self) -> tuple[float, float, float]:
        """Return the iris in the picture, which lies between the whites on both sides of its middle; else that of the
        mesh.
        """
        x, y = self._iris
        white = self._white()
        radii, middles = [], []
        for row in range(int(y - 0.4 * self._radius), int(y + 0.8 * self._radius) + 1):
            at = np.flatnonzero(white[min(max(row, 0), len(white) - 1)])
            left, right = at[at < x - 0.7 * self._radius], at[at > x + 0.7 * self._radius]  # highlights lie further in
            if len(left) and len(right):
                radii.append(float(np.hypot((right[0] - left[-1]) / 2, row - y)))
                middles.append((right[0] + left[-1]) / 2)
        if len(radii) < _IRIS_ROWS_LEAST or not _IRIS_LEAST < float(np.median(radii)) / self._radius < _IRIS_MOST:
            return self.mesh.iris
        return self._left + float(np.median(middles)), self._top + float(y), float(np.median(radii))
