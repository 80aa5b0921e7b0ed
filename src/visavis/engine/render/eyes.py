"""Lids and gaze, painted into the texture of the resting face before the head is turned.

A lid is skin: what lies between brow and lashes is drawn down over the eye, lashes and all, and the lower lid rises to meet it a little.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.landmarks import EyeIndices, curve, smooth

Array = NDArray[np.float32]

LEVELS = 9  # maps baked between an open and a closed lid; those between are interpolated
LOWER_SHARE = 0.16  # of the way that the lower lid goes
GAZE_X, GAZE_Y = 0.036, 0.020  # reach of the iris in eye distances at eyeLookX, eyeLookY = 1 (about 15 degrees; the iris is 0.13 wide)


class Eye:
    """One eye of a texture. It keeps no state: `paint` writes a look into a texture, and the same arguments always give the same pixels."""

    def __init__(self, texture: NDArray[np.uint8], landmarks: Array, unit: float, indices: EyeIndices) -> None:
        """`texture` (H, W, 4), of which a part is kept; `landmarks` (478, 2) and `unit` in px of it."""
        p = landmarks[:, :2]
        upper, lower = p[list(indices.upper)], p[list(indices.lower)]
        left, right = float(upper[:, 0].min()), float(upper[:, 0].max())
        margin = 0.09 * unit
        brow_y = float(p[list(indices.brow), 1].min())
        h, w = texture.shape[:2]
        self.left, self.right = max(0, int(left - margin)), min(w, int(right + margin) + 2)
        self.top = max(0, int(brow_y - 0.02 * unit))
        self.bottom = min(h, int(lower[:, 1].max() + 0.17 * unit) + 2)
        self._open = texture[self.top : self.bottom, self.left : self.right].copy()
        x = np.arange(self.left, self.right, dtype=np.float32)
        y = np.arange(self.top, self.bottom, dtype=np.float32)
        self._x, self._y = (a.astype(np.float32) for a in np.meshgrid(x - self.left, y - self.top))
        lash = 0.012 * unit
        lid = np.interp(x, *curve(upper)).astype(np.float32) - self.top
        rim = np.interp(x, *curve(lower)).astype(np.float32) - self.top
        within = smooth(np.minimum(x - left, right - x) / (0.03 * unit) + 0.5)
        brow = np.interp(x, *curve(p[list(indices.brow)])).astype(np.float32) - self.top
        lid, rim = (cv2.GaussianBlur(line.reshape(1, -1), (0, 0), 0.02 * unit, borderType=cv2.BORDER_REPLICATE)[0] for line in (lid, rim))
        self._bake_lid(lid + 0.4 * lash, rim, np.minimum(brow, lid - 0.12 * unit), within, lash, unit)
        self._bake_gaze(p, indices, lid, rim, left, right, unit)

    def _bake_lid(self, lid: Array, rim: Array, brow: Array, within: Array, lash: float, unit: float) -> None:
        rows, columns = self._y.shape
        share = np.linspace(0, 1, LEVELS, dtype=np.float32)[:, None, None]
        closed = rim - LOWER_SHARE * (rim - lid)
        drop = (np.clip(closed - lid, 0, None) * within)[None, None, :] * share
        rise = (LOWER_SHARE * (rim - lid) * within)[None, None, :] * share
        y = np.broadcast_to(self._y, (LEVELS, rows, columns))
        # Where the skin above the eye comes from: s + drop * g(v(s)) = y with g rising from brow to lashes; Newton's method.
        span = np.maximum(lid - lash * 1.5 - brow, 2.0)[None, None, :]
        upper = y - drop
        for _ in range(7):
            v = np.clip((upper - brow) / span, 0, 1)
            slope = np.where((v > 0) & (v < 1), (0.5 + 3 * v * (1 - v)) / span, 0)
            upper = upper - (upper + drop * (0.5 * v + v * v * (1.5 - v)) - y) / (1 + drop * slope)
        # And the skin below it, which rises by less and less down the cheek.
        reach = 0.15 * unit
        lower = np.where(y < rim - rise + reach, np.minimum(rim + (y - rim + rise) / (1 + rise / reach), rim + reach), y)
        lower = np.where(y > rim + reach, y, lower)
        edge, floor = lid + drop, rim - rise
        sources = np.where(y <= edge, upper, np.where(y >= floor, lower, y)).astype(np.float32)
        covers = np.clip(np.clip(edge - y + 0.5, 0, 1) + np.clip(y - floor + 0.5, 0, 1), 0, 1).astype(np.float32)
        self._sources, self._covers = sources, covers
        frame = np.minimum.reduce([self._x, columns - 1 - self._x, self._y + 2, rows - 1 - self._y])
        self._rim_fade = np.clip(frame / 3.0, 0, 1)[..., None].astype(np.float32)
        # Lashes lie along the closed lid as a soft dark line.
        distance = (self._y - closed[None, :]) / (0.014 * unit)
        self._lash = (np.exp(-0.5 * distance**2) * within[None, :] * 0.34).astype(np.float32)[..., None]

    def _bake_gaze(self, p: Array, indices: EyeIndices, lid: Array, rim: Array, left: float, right: float, unit: float) -> None:
        centre = p[indices.iris] - (self.left, self.top)
        radius = float(np.linalg.norm(p[list(indices.rim)] - p[indices.iris], axis=1).mean())
        dx, dy = self._x - centre[0], self._y - centre[1]
        room = np.where(dx < 0, centre[0] + self.left - left, right - self.left - centre[0])
        d = np.sqrt(dx * dx + (0.8 * dy) ** 2)
        self._gaze_weight = (1.0 - smooth((d - 1.1 * radius) / np.maximum(room - 1.1 * radius, 0.6 * radius))).astype(np.float32)
        soft = 0.012 * unit
        inside = np.minimum(self._y - (lid + soft)[None, :], (rim - 0.2 * soft)[None, :] - self._y)
        eyeball = smooth(inside / soft + 0.5) * smooth(np.minimum(self._x - (left - self.left), right - self.left - self._x) / soft + 0.5)
        rows, columns = np.flatnonzero(eyeball.any(axis=1)), np.flatnonzero(eyeball.any(axis=0))
        self._ball = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        self._eyeball = eyeball[self._ball][..., None]
        self._gaze_weight = self._gaze_weight[self._ball]
        self._gaze_px = (GAZE_X * unit, GAZE_Y * unit)

    def paint(self, texture: NDArray[np.uint8], blink: float, look_x: float, look_y: float) -> None:
        """Write the eye into `texture`: `blink` 0 to 1, `look_x` and `look_y` -1 to 1."""
        area = texture[self.top : self.bottom, self.left : self.right]
        ball = self._open
        if look_x or look_y:
            gx, gy = look_x * self._gaze_px[0], look_y * self._gaze_px[1]
            from_x, from_y = self._x[self._ball] - gx * self._gaze_weight, self._y[self._ball] - gy * self._gaze_weight
            moved = cv2.remap(self._open, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            still = self._open[self._ball]
            ball = self._open.copy()
            ball[self._ball] = np.rint(still + (moved.astype(np.float32) - still) * self._eyeball)
        if blink <= 0:
            np.copyto(area, ball)
            return
        at = min(blink, 1.0) * (LEVELS - 1)
        low = min(int(at), LEVELS - 2)
        part = np.float32(at - low)
        source = self._sources[low] + (self._sources[low + 1] - self._sources[low]) * part
        cover = self._covers[low] + (self._covers[low + 1] - self._covers[low]) * part
        skin = cv2.remap(self._open, self._x, source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
        look = ball + (skin - ball) * cover[..., None]
        if blink > 0.7:
            amount = np.float32((min(blink, 1.0) - 0.7) / 0.3)
            look[..., :1] -= (look[..., :1] - 16.0) * (self._lash * amount)
        look = self._open + (look - self._open) * self._rim_fade
        np.copyto(area, np.rint(look).astype(np.uint8))
