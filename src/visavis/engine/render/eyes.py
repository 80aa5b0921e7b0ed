"""Lids and gaze, painted into the texture of the resting face before the head is turned.

A lid is skin: what lies between brow and lashes is drawn down over the eye, lashes and all, and the lower lid rises to meet it a little.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.landmarks import EyeIndices, curve, smooth

Array = NDArray[np.float32]

LEVELS = 5  # maps of lid skin baked between an open and a closed eye; those between are interpolated
SHUT_AT = 0.9  # of a blink: its sampled peak may fall short of 1, and no eye shall stay a slit
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
        brow = np.interp(x, *curve(p[list(indices.brow)])).astype(np.float32) - self.top
        lid, rim = (cv2.GaussianBlur(line.reshape(1, -1), (0, 0), 0.02 * unit, borderType=cv2.BORDER_REPLICATE)[0] for line in (lid, rim))
        # The skin of the lids begins a little beyond the lines of the mesh: no white, no wet rim is drawn over the closed eye.
        within = smooth(np.minimum(x - left, right - x) / (0.04 * unit) + 1.0)
        skin_lid, skin_rim = lid - 0.25 * lash, rim + 1.3 * lash * within
        self._bake_lid(skin_lid, skin_rim, np.minimum(brow, lid - 0.12 * unit), within, lash, unit)
        self._bake_gaze(p, indices, lid + 0.4 * lash, rim, left, right, unit)

    def _bake_lid(self, lid: Array, rim: Array, brow: Array, within: Array, lash: float, unit: float) -> None:
        rows, columns = self._y.shape
        share = np.linspace(0, 1, LEVELS, dtype=np.float32)[:, None, None]
        self._lid, self._rim = lid, rim
        self._drop = np.clip((1.0 - LOWER_SHARE) * (rim - lid), 0, None) * within
        self._rise = np.clip(rim - lid, 0, None) * within - self._drop
        drop, rise = self._drop[None, None, :] * share, self._rise[None, None, :] * share
        y = np.broadcast_to(self._y, (LEVELS, rows, columns))
        # Where the skin above the eye comes from: s + drop * g(v(s)) = y with g rising from brow to lashes; Newton's method.
        span = np.maximum(lid - lash - brow, 2.0)[None, None, :]
        upper = y - drop
        for _ in range(7):
            v = np.clip((upper - brow) / span, 0, 1)
            slope = np.where((v > 0) & (v < 1), (0.5 + 3 * v * (1 - v)) / span, 0)
            upper = upper - (upper + drop * (0.5 * v + v * v * (1.5 - v)) - y) / (1 + drop * slope)
        # And the skin below it, which rises by less and less down the cheek.
        reach = 0.15 * unit
        lower = np.where(y < rim - rise + reach, np.minimum(rim + (y - rim + rise) / (1 + rise / reach), rim + reach), y)
        lower = np.maximum(np.where(y > rim + reach, y, lower), rim)
        self._upper, self._lower = upper.astype(np.float32), lower.astype(np.float32)
        frame = np.minimum.reduce([self._x, columns - 1 - self._x, self._y + 2, rows - 1 - self._y])
        self._rim_fade = np.clip(frame / 3.0, 0, 1).astype(np.float32)
        self._lash_width = np.float32(1.15 * lash)
        self._lash_strength = (0.42 * np.clip((rim - lid) / (0.05 * unit), 0, 1) * within).astype(np.float32)

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
        self._eyeball = np.ascontiguousarray(eyeball[self._ball], np.float32)
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
            ball = self._open.copy()
            ball[self._ball] = _blend(moved, np.ascontiguousarray(self._open[self._ball]), self._eyeball)
        if blink <= 0:
            np.copyto(area, ball)
            return
        shut = min(blink / SHUT_AT, 1.0)
        at = shut * (LEVELS - 1)
        low = min(int(at), LEVELS - 2)
        part = np.float32(at - low)
        edge, floor = self._lid + np.float32(shut) * self._drop, self._rim - np.float32(shut) * self._rise
        above = cv2.addWeighted(self._upper[low], 1.0 - float(part), self._upper[low + 1], float(part), 0.0)
        under = cv2.addWeighted(self._lower[low], 1.0 - float(part), self._lower[low + 1], float(part), 0.0)
        skins = [cv2.remap(self._open, self._x, source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for source in (above, under)]
        # Shut lids overlap by a px: nothing shines through where they meet.
        covers = np.clip(edge - self._y + 0.5, 0, 1), np.clip(self._y - floor + 0.5 + shut, 0, 1)
        look = ball
        for skin, cover in zip(skins, covers, strict=True):
            look = _blend(skin, look, cover)
        # Lashes lie along the lid's edge as a soft dark line.
        distance = (self._y - edge) / self._lash_width
        shade = np.exp(-0.5 * distance * distance) * (self._lash_strength * np.float32(min(1.0, shut / 0.4)))
        luma = cv2.extractChannel(look, 0).astype(np.float32)
        luma -= (luma - 16.0) * shade
        cv2.insertChannel(np.rint(luma).astype(np.uint8), look, 0)
        np.copyto(area, _blend(look, self._open, self._rim_fade))


def _blend(over: NDArray[np.uint8], under: NDArray[np.uint8], weight: Array) -> NDArray[np.uint8]:
    """Return uint8 (h, w, 4): `over` where `weight`, float32 (h, w), is 1, `under` where it is 0."""
    return np.asarray(cv2.blendLinear(over, under, weight, 1.0 - weight), np.uint8)
