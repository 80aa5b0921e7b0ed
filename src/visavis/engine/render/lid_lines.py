"""Where an eye opens: by the lines of the mesh, or, where an eye is drawn larger than the mesh believes, by the picture
itself.

The mesh of a photo lies along the lids. Illustrations have eyes larger than anybody's, and the mesh lies inside them:
lids that followed it would leave white at the corners and draw the thick line of the lashes down over the eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.landmarks import EYE_LEFT, EYE_RIGHT, EyeIndices, curve

Array = NDArray[np.float32]

# how much a difference of Y, of U, of V tells skin from what is no skin
_SEEN_BY = np.array([0.7, 1.3, 1.3], np.float32)
_NO_SKIN, _NO_DRAWN_SKIN = 18.0, 11.0  # such differences; in a drawing, which is smooth, less is enough
_BRIGHTER = 8.0  # than skin, by levels of luma: white of the eye
# White that lies beyond the mesh's eye, as a share of that eye. Five drawings, both eyes each: 0.03 to 0.13, 0.05 and
# more in the mean; 28 photos and figures: one eye of nine of them 0.14 to 2.9, where its skin lies in a shadow, the
# other 0.02 at most but in one.
_WHITE_LEAST, _WHITE_MEAN, _WHITE_MOST = 0.025, 0.045, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class LidLines:
    """Heights are functions of x in px of the texture, float32 like it; `left`, `right`: the corners. `bare`: where
    skin without lashes begins above the upper lid. `iris`: its centre and radius; `whites`: where the white of the eye
    ends to the left and to the right. `drawn`: whether the picture has told them.
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
        return self.bare is not None


def lid_lines(texture: NDArray[np.uint8], points: Array, unit: float) -> tuple[LidLines, LidLines]:
    """Return the lines of the eye on the viewer's left and of that on the right: drawn, if both are.

    `texture` (H, W, 4): Y, U, V first; `points` (478, 2) and `unit` in px of it.
    """
    looks = [_look(texture, points, unit, indices) for indices in (EYE_LEFT, EYE_RIGHT)]
    white = [look.white_beyond(_NO_SKIN) for look in looks]
    if min(white) >= _WHITE_LEAST and max(white) <= _WHITE_MOST and sum(white) / 2 >= _WHITE_MEAN:
        left, right = (look.lines(_NO_DRAWN_SKIN) for look in looks)
        if left is not None and right is not None:
            return left, right
    return looks[0].mesh, looks[1].mesh


def _look(texture: NDArray[np.uint8], points: Array, unit: float, indices: EyeIndices) -> _Look:
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
        max(0, int(mesh.left - 0.17 * unit)),
        max(0, int(upper[:, 1].min() - 0.14 * unit)),
        min(texture.shape[1], int(mesh.right + 0.17 * unit)),
        min(texture.shape[0], int(lower[:, 1].max() + 0.12 * unit)),
    )
    return _Look(texture, points, unit, indices, mesh, box)


class _Look:
    """What the picture shows in a box about an eye."""

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
        above = self._area[(self._y < self._lid - 0.055 * unit) & (self._y > self._lid - 0.11 * unit) & beside]
        below = self._area[(self._y > rim + 0.045 * unit) & (self._y < rim + 0.10 * unit) & beside]
        self._skins = [np.median(part, axis=0) for part in (above, below) if len(part) > 20]
        self._iris = points[indices.iris] - (left, top)
        self._radius = mesh.iris[2]
        self._outline = np.round(
            np.vstack([points[list(indices.upper)], points[list(indices.lower)][::-1]]) - (left, top)
        ).astype(np.int32)

    def white_beyond(self, no_skin: float) -> float:
        """Return how much of what belongs to the eye and is brighter than skin lies outside of the mesh's lids; 1: as
        much as the area between.
        """
        if not self._skins:
            return 0.0
        inside = np.zeros(self._area.shape[:2], np.uint8)
        cv2.fillPoly(inside, [self._outline], 1)
        reach = 2 * max(1, round(0.012 * self._unit)) + 1
        beyond = cv2.dilate(inside, np.ones((reach, reach), np.uint8)) == 0
        return float(
            (self._eye(no_skin) & beyond & self._white() & (self._y > self._lid - 0.06 * self._unit)).sum()
        ) / max(int(inside.sum()), 1)

    def _white(self) -> NDArray[np.bool_]:
        return np.asarray(self._area[..., 0] > max(float(skin[0]) for skin in self._skins) + _BRIGHTER)

    def _eye(self, no_skin: float) -> NDArray[np.bool_]:
        """Which px hang together with the iris and are no skin."""
        differences = [np.sqrt((((self._area - skin) * _SEEN_BY) ** 2).sum(axis=-1)) for skin in self._skins]
        other = (np.minimum.reduce(differences) > no_skin).astype(np.uint8)
        size = 2 * max(1, round(0.008 * self._unit)) + 1
        # lashes and wrinkles that touch it are thin
        other = cv2.morphologyEx(other, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))
        x, y = int(self._iris[0]), int(self._iris[1])
        cv2.circle(other, (x, y), round(self._radius), 1, -1)
        _, parts = cv2.connectedComponents(other)
        return np.asarray(parts == parts[min(max(y, 0), len(parts) - 1), min(max(x, 0), parts.shape[1] - 1)])

    def lines(self, no_skin: float) -> LidLines | None:
        """Return the lines of the eye as it is drawn, or None where what is seen cannot be one."""
        eye, unit, mesh = self._eye(no_skin), self._unit, self.mesh
        columns = np.flatnonzero(eye.sum(axis=0) >= 2)
        if not len(columns) or eye[0].any() or eye[-1].any():  # it runs into a brow, a shadow or the hair
            return None
        x = self._x[columns[0] : columns[-1] + 1]
        seen = eye[:, columns[0] : columns[-1] + 1]
        top = (seen.argmax(axis=0) + self._top).astype(np.float32)
        bottom = (len(seen) - 1 - seen[::-1].argmax(axis=0) + self._top).astype(np.float32)
        if not 0.9 < (x[-1] - x[0]) / (mesh.right - mesh.left) < 2.0 or float((bottom - top).max()) > 0.45 * unit:
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
        # the line of the lashes
        thick = float(np.clip(np.median((lid - top)[within]), 0.0, 0.06 * unit)) if within.any() else 0.0
        upper = top + np.minimum(thick, 0.5 * (bottom - top))
        return LidLines(
            left=float(x[0]),
            right=float(x[-1]),
            upper=(x, upper.astype(np.float32)),
            lower=(x, bottom),
            iris=self._iris_seen(),
            whites=(float(self._x[white[0]]), float(self._x[white[-1]])),
            bare=(x, top - 0.014 * np.float32(unit)),
        )

    def _iris_seen(self) -> tuple[float, float, float]:
        """Return the iris as it is drawn: between the whites to both sides of its middle, or as the mesh has it."""
        x, y = self._iris
        white = self._white()
        radii, middles = [], []
        for row in range(int(y - 0.4 * self._radius), int(y + 0.8 * self._radius) + 1):
            at = np.flatnonzero(white[min(max(row, 0), len(white) - 1)])
            left, right = at[at < x - 0.7 * self._radius], at[at > x + 0.7 * self._radius]  # highlights lie further in
            if len(left) and len(right):
                radii.append(float(np.hypot((right[0] - left[-1]) / 2, row - y)))
                middles.append((right[0] + left[-1]) / 2)
        if len(radii) < 3 or not 0.8 < float(np.median(radii)) / self._radius < 1.9:
            return self.mesh.iris
        return self._left + float(np.median(middles)), self._top + float(y), float(np.median(radii))
