"""Lids and gaze, painted into the texture of the resting face before the warp.

To close an eye, the skin between brow and lashes is drawn down over it. The lashes stay behind; they are painted along
the edge of the lid. The lower lid rises a little to meet the upper one, and more in a squint. The eyeball continues
behind the lids, so an eye that turns or opens wide shows eyeball and not lid.

Where no source is named, shapes were set by eye on rendered faces.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine import native
from visavis.engine.landmarks import EyeIndices, curve, smoothstep
from visavis.engine.render.lid_lines import LidLines

Array = NDArray[np.float32]

LEVELS = 5  # maps of lid skin that are made in advance, from an open eye to a closed one; others are interpolated
# The eye is shut from this share of a blink on. Frames sample a blink, and their highest sample may be below 1.
SHUT_AT = 0.8
HALVINGS = 14  # bisection steps that find the source of a lid's skin, to a hundredth of a px
CORNERS_AT = 0.7  # from this share of closing on, skin covers the corners that the lids leave open
LOWER_SHARE = 0.16  # of the way between the lids that the lower lid goes in a blink
SQUINT_SHARE = 0.38  # and at eyeSquint 1
LIFT = 0.021  # of the upper lid at eyeWide 1, eye distances
# How far the iris moves at eyeLookX = 1 and eyeLookY = 1, eye distances (about 15 degrees; the iris is 0.13 wide).
GAZE_X, GAZE_Y = 0.036, 0.020
_LASH = (26, 126, 131, 0)  # a texel of a lash: Y, U, V, no transparency
_LASH_WIDTH = 0.012  # eye distances
_LASH_STRENGTH_USUAL, _LASH_STRENGTH_LEAST, _LASH_STRENGTH_MOST = 0.42, 0.25, 0.8
BARED_AT = 0.5  # of a blink: from here on the lid shows bare skin without a trace of lashes
# The part of the texture that belongs to an eye: beside and below it, and above its brow, eye distances.
_MARGIN_ASIDE, _MARGIN_BELOW, _MARGIN_ABOVE_BROW = 0.09, 0.17, 0.02


class Eye:
    """One eye of a texture.

    The class keeps no state of a frame: `paint` writes the eye into a texture, and the same arguments always give the
    same pixels.
    """

    def __init__(
        self, texture: NDArray[np.uint8], landmarks: Array, unit: float, indices: EyeIndices, lines: LidLines
    ) -> None:
        """`texture`: (H, W, 4); a part of it is copied. `landmarks` (478, 2), `unit` and `lines` are in its px."""
        p = landmarks[:, :2]
        upper, lower = p[list(indices.upper)], p[list(indices.lower)]
        left, right = float(upper[:, 0].min()), float(upper[:, 0].max())
        margin = _MARGIN_ASIDE * unit
        brow_y = float(p[list(indices.brow), 1].min())
        h, w = texture.shape[:2]
        self.left, self.right = (
            max(0, int(min(left, lines.left) - margin)),
            min(w, int(max(right, lines.right) + margin) + 2),
        )
        self.top = max(0, int(brow_y - _MARGIN_ABOVE_BROW * unit))
        self.bottom = min(h, int(max(float(lower[:, 1].max()), float(lines.lower[1].max())) + _MARGIN_BELOW * unit) + 2)
        self._open = texture[self.top : self.bottom, self.left : self.right].copy()
        x = np.arange(self.left, self.right, dtype=np.float32)
        y = np.arange(self.top, self.bottom, dtype=np.float32)
        self._x, self._y = (a.astype(np.float32) for a in np.meshgrid(x - self.left, y - self.top))
        lash = _LASH_WIDTH * unit
        lid = np.interp(x, *curve(upper)).astype(np.float32) - self.top
        rim = np.interp(x, *curve(lower)).astype(np.float32) - self.top
        brow = np.interp(x, *curve(p[list(indices.brow)])).astype(np.float32) - self.top
        lid, rim = self._soft(lid, unit), self._soft(rim, unit)
        # The skin of the lids begins a little beyond the lines of the mesh, so that no white and no wet rim of the eye
        # is drawn over the closed eye.
        within = smoothstep(np.minimum(x - lines.left, lines.right - x) / (0.04 * unit) + 1.0)
        closing_lid, closing_rim = (
            np.interp(x, *line).astype(np.float32) - self.top for line in (lines.upper, lines.lower)
        )
        closing_lid, closing_rim = self._soft(closing_lid, unit), self._soft(closing_rim, unit)
        bare = (
            self._soft(np.interp(x, *lines.bare).astype(np.float32) - self.top, unit)
            if lines.bare
            else lid - 0.03 * unit
        )
        skin_lid, skin_rim = closing_lid - 0.25 * lash, closing_rim + 1.3 * lash * within
        self._bake_lid(skin_lid, skin_rim, np.minimum(brow, bare - 0.09 * unit), within, lash, unit)
        self._without_eye = self._skin_without_eye(closing_lid, closing_rim, lines, unit)
        self._bare_lid = _blend(
            self._skin_without_lashes(bare, within, unit),
            self._without_eye,
            np.broadcast_to(within, self._y.shape).astype(np.float32),
        )
        if lines.drawn:
            lid, rim, (left, right) = closing_lid, closing_rim, lines.whites
        self._bake_gaze(lines.iris, lid + 0.4 * lash, rim, left, right, unit)
        self._prepare_kernels()

    @staticmethod
    def _soft(line: Array, unit: float) -> Array:
        """Return a line of heights, (w,), smoothed."""
        return np.asarray(
            cv2.GaussianBlur(line.reshape(1, -1), (0, 0), 0.02 * unit, borderType=cv2.BORDER_REPLICATE)[0], np.float32
        )

    def _bake_lid(self, lid: Array, rim: Array, brow: Array, within: Array, lash: float, unit: float) -> None:
        """Prepare the lids: how far they travel, from where their skin comes, and the lashes on their edge.

        `lid`, `rim`, `brow`: heights of the upper lid, the lower lid and the brow by column; `within`: 0 beside the
        eye, 1 inside its corners.
        """
        rows, columns = self._y.shape
        share = np.linspace(0, 1, LEVELS, dtype=np.float32)[:, None, None]
        self._lid, self._rim = lid, rim
        self._drop = np.clip((1.0 - LOWER_SHARE) * (rim - lid), 0, None) * within
        self._rise = np.clip(SQUINT_SHARE * (rim - lid), 0, None) * within
        drop, rise = self._drop[None, None, :] * share, self._rise[None, None, :] * share
        y = np.broadcast_to(self._y, (LEVELS, rows, columns))
        self._lift = (LIFT * unit * np.clip((rim - lid) / (0.06 * unit), 0, 1) * within).astype(np.float32)
        self._travel_px = float(self._drop.max()), float(self._lift.max())
        self._raised = _source_heights(self._y, -self._lift, brow, lid - lash)
        upper = _source_heights(y, drop, brow, lid - lash)
        # The skin below the lower lid rises with it, by less and less down the cheek.
        reach = 0.15 * unit
        lower = np.where(
            y < rim - rise + reach, np.minimum(rim + (y - rim + rise) / (1 + rise / reach), rim + reach), y
        )
        lower = np.maximum(np.where(y > rim + reach, y, lower), rim)
        self._upper, self._lower = upper, lower.astype(np.float32)
        frame = np.minimum.reduce([self._x, columns - 1 - self._x, self._y + 2, rows - 1 - self._y])
        self._rim_fade = np.clip(frame / 3.0, 0, 1).astype(np.float32)
        self._lash_width = np.float32(1.15 * lash)
        # The lashes of the closed eye are as dark, compared with the skin above them, as those of the open eye.
        luma, column = self._open[..., 0].astype(np.float32), np.arange(columns)
        seen = (rim - lid > 0.03 * unit) & (within > 0.9)

        def rows_at(line: Array) -> NDArray[np.int64]:
            found: NDArray[np.int64] = np.clip(np.rint(line).astype(int), 0, rows - 1)[seen]
            return found

        dark = np.minimum.reduce([luma[rows_at(lid + k * lash), column[seen]] for k in (-0.5, 0.0, 0.5, 1.0)])
        skin = luma[rows_at(lid - 0.08 * unit), column[seen]]
        strength = (
            float(
                np.clip(
                    1.0 - float(np.median(dark - 16.0)) / max(float(np.median(skin - 16.0)), 1.0),
                    _LASH_STRENGTH_LEAST,
                    _LASH_STRENGTH_MOST,
                )
            )
            if seen.any()
            else _LASH_STRENGTH_USUAL
        )
        self._lash_strength = (strength * np.clip((rim - lid) / (0.05 * unit), 0, 1) * within).astype(np.float32)

    def _skin_without_lashes(self, above: Array, within: Array, unit: float) -> NDArray[np.uint8]:
        """Return the open eye with bare skin on its upper lid, taken from `above` the lashes.

        Lashes that were drawn down over the eye, and their highlights, would become long streaks.
        """
        size = max(3, round(0.035 * unit)) | 1
        bare = cv2.morphologyEx(self._open, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
        bare[..., 1:] = self._open[..., 1:]
        # Eye and lashes lie on the edge of the lid. Skin begins above them and is copied down.
        from_y = np.minimum(self._y, np.maximum(above, 0)[None, :])
        bare = cv2.remap(bare, self._x, from_y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        bare = cv2.GaussianBlur(bare, (0, 0), sigmaX=0.022 * unit, sigmaY=0.007 * unit, borderType=cv2.BORDER_REPLICATE)
        band = smoothstep((self._y - (above - 0.07 * unit)[None, :]) / (0.05 * unit)) * np.clip(within, 0, 1)[None, :]
        return _blend(bare, self._open, band.astype(np.float32))

    def _skin_without_eye(self, lid: Array, rim: Array, lines: LidLines, unit: float) -> NDArray[np.uint8]:
        """Return the part with skin in place of the eye.

        Shut lids leave the corners of an eye open. This skin covers the red flesh and the wet rims there.
        """
        beyond, aside = 0.035 * unit, 0.06 * unit
        x = np.arange(self.left, self.right, dtype=np.float32)
        eye = (
            (self._y > lid - beyond)
            & (self._y < rim + beyond)
            & ((x > lines.left - aside) & (x < lines.right + aside))[None, :]
        )
        picture = np.ascontiguousarray(self._open[..., :3])
        out = self._open.copy()
        out[..., :3] = cv2.inpaint(picture, eye.astype(np.uint8), 3.0, cv2.INPAINT_TELEA)
        return _blend(out, self._open, cv2.GaussianBlur(eye.astype(np.float32), (0, 0), 0.01 * unit))

    def _bake_gaze(
        self, iris: tuple[float, float, float], lid: Array, rim: Array, left: float, right: float, unit: float
    ) -> None:
        """Prepare the gaze: the eyeball without lids, and how far each of its px moves.

        The iris moves by the full gaze and the corners not at all. `iris`: its centre and radius, `left`, `right`: the
        corners, px of the texture; `lid`, `rim`: heights of the lids by column.
        """
        centre, radius = (iris[0] - self.left, iris[1] - self.top), iris[2]
        dx, dy = self._x - centre[0], self._y - centre[1]
        room = np.where(dx < 0, centre[0] + self.left - left, right - self.left - centre[0])
        d = np.sqrt(dx * dx + (0.8 * dy) ** 2)
        self._gaze_weight = (
            1.0 - smoothstep((d - 1.1 * radius) / np.maximum(room - 1.1 * radius, 0.6 * radius))
        ).astype(np.float32)
        soft = 0.012 * unit
        inside = np.minimum(self._y - (lid + soft)[None, :], (rim - 0.2 * soft)[None, :] - self._y)
        eyeball = smoothstep(inside / soft + 0.5) * smoothstep(
            np.minimum(self._x - (left - self.left), right - self.left - self._x) / soft + 0.5
        )
        if not eyeball.any():  # the eye is closed in the photo: keep one px with almost no weight
            eyeball[:1, :1] = 1e-6
        rows, columns = np.flatnonzero(eyeball.any(axis=1)), np.flatnonzero(eyeball.any(axis=0))
        above = int(float(self._lift.max()) + 3)  # px above the eye that a raised lid may reveal
        self._ball = slice(max(0, rows[0] - above), rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        self._under_lid = (1.0 - smoothstep((self._y - lid[None, :] - 2 * soft) / (2 * soft)))[self._ball]
        self._eyeball = np.ascontiguousarray(eyeball[self._ball], np.float32)
        self._gaze_weight = self._gaze_weight[self._ball]
        self._gaze_px = (GAZE_X * unit, GAZE_Y * unit)
        from_iris = np.sqrt(dx * dx + dy * dy)
        seen = eyeball > 0.9
        self._behind = self._behind_lids(seen, from_iris, radius)
        # Lashes lie over the visible white. A raised lid takes them along, so the eyeball below it has none.
        luma = self._open[..., 0].astype(np.float32)
        white = luma[seen & (from_iris > 1.5 * radius)]
        clear = seen & (
            (from_iris < 1.5 * radius) | (luma > (0.75 * float(np.percentile(white, 70)) if len(white) else 0.0))
        )
        self._bare = self._behind_lids(clear, from_iris, radius)

    def _behind_lids(self, seen: NDArray[np.bool_], from_iris: Array, radius: float) -> NDArray[np.uint8]:
        """Return the eye as if it had no lids: a round iris with white around it, filled in from the part that is
        `seen`, bool (h, w).
        """
        disc = from_iris < 1.08 * radius
        reach = max(2.0, 0.2 * radius)
        near = cv2.dilate(seen.astype(np.uint8), np.ones((2 * round(radius) + 1,) * 2, np.uint8)) > 0
        out = self._open.copy()
        for part, shown in ((~disc, seen & ~disc), (disc, seen & (from_iris < 0.98 * radius))):
            if shown.sum() < 12:
                continue
            picture = np.ascontiguousarray(self._open[..., :3])
            filled = cv2.inpaint(picture, (~shown).astype(np.uint8), reach, cv2.INPAINT_TELEA)
            filled = cv2.GaussianBlur(filled, (0, 0), 0.12 * radius)
            take = part & ~seen & near
            out[take, :3] = filled[take]
        soft = cv2.GaussianBlur(out, (0, 0), 0.06 * radius)
        return np.where(seen[..., None], self._open, soft).astype(np.uint8)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Return the part of the texture that `paint` writes: left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    def paint(
        self,
        texture: NDArray[np.uint8],
        blink: float,
        look_x: float,
        look_y: float,
        squint: float = 0.0,
        wide: float = 0.0,
    ) -> None:
        """Write the eye into `texture`. `blink`, `squint` and `wide`: 0 to 1; `look_x` and `look_y`: -1 to 1."""
        area = texture[self.top : self.bottom, self.left : self.right]
        shut = min(max(blink, 0.0) / SHUT_AT, 1.0)
        risen = max(shut * LOWER_SHARE / SQUINT_SHARE, squint)
        dropped = min(shut, (1.0 - risen * SQUINT_SHARE) / (1.0 - LOWER_SHARE))  # the upper lid stops at the lower one
        drop_px, lift_px = self._travel_px
        raised = 0.0
        if wide > 0 and lift_px > 0:
            down_px = dropped * drop_px - wide * (1.0 - shut) * lift_px
            dropped, raised = max(0.0, down_px / max(drop_px, 1e-3)), max(0.0, -down_px / lift_px)
        lidless = not (shut or risen or raised)
        look = area if lidless else np.empty_like(self._open)
        self._turn_eyeball(look, look_x, look_y, dropped, raised)
        if lidless:
            return
        if shut > CORNERS_AT:
            hidden = (shut - CORNERS_AT) / (1.0 - CORNERS_AT)
            look = np.asarray(cv2.addWeighted(look, 1.0 - hidden, self._without_eye, hidden, 0.0), np.uint8)
        bared = min(1.0, shut / BARED_AT)
        lids = native.Lids.from_buffer_copy(self._lids)
        if raised:
            lids.upper_first, lids.upper_second, lids.upper_share = self._y_at, self._raised_at, raised
            skin = self._open
        else:
            lids.upper_first, lids.upper_second, lids.upper_share = _around(self._upper_at, dropped)
            skin = np.asarray(cv2.addWeighted(self._open, 1.0 - bared, self._bare_lid, bared, 0.0), np.uint8)
        lids.lower_first, lids.lower_second, lids.lower_share = _around(self._lower_at, risen)
        lids.look, lids.lid_skin = native.address(look), native.address(skin)
        lids.dropped, lids.raised, lids.risen = dropped, raised, risen
        lids.overlap = shut  # shut lids overlap by a px, so nothing shines through where they meet
        lids.lash_share = max(bared, 0.6 * raised)
        native.paint_lids(lids, area)

    def _prepare_kernels(self) -> None:
        """Prepare what the kernels need of every frame: they take addresses of arrays."""

        def kept(array: Array) -> int:
            self._kept.append(np.ascontiguousarray(array, np.float32))
            return native.address(self._kept[-1])

        self._kept: list[Array] = []
        self._y_at, self._raised_at = kept(self._y), kept(self._raised)
        self._upper_at, self._lower_at = ([kept(level) for level in maps] for maps in (self._upper, self._lower))
        height, width = self._y.shape
        self._lids = native.Lids(
            width=width,
            height=height,
            open=native.address(self._open),
            rim_fade=kept(self._rim_fade),
            lid=kept(self._lid),
            drop=kept(self._drop),
            lift=kept(self._lift),
            rim=kept(self._rim),
            rise=kept(self._rise),
            lash_strength=kept(self._lash_strength),
            per_lash=1 / float(self._lash_width),
        )
        self._lids.lash[:] = _LASH
        rows, columns = self._ball
        self._gaze = native.Gaze(
            width=width,
            height=height,
            open=native.address(self._open),
            behind=native.address(self._behind),
            left=columns.start,
            top=rows.start,
            across=columns.stop - columns.start,
            down=rows.stop - rows.start,
            shown=kept(self._eyeball),
            weight=kept(self._gaze_weight),
        )

    def _turn_eyeball(
        self, part: NDArray[np.uint8], look_x: float, look_y: float, dropped: float, raised: float
    ) -> None:
        """Write the eye into `part` with its gaze turned, between the lids of the photo, or with the upper lid raised
        by `raised`, 0 to 1, where it is not dropped.
        """
        if not (look_x or look_y or raised):
            np.copyto(part, self._open)
            return
        gaze, by_px = self._gaze, (look_x * self._gaze_px[0], look_y * self._gaze_px[1])
        if not raised:
            native.turn_eye(gaze, by_px, part)
            return
        # The part that lid and lashes hid appears gradually.
        come = min(1.0, raised / 0.4)
        behind = np.asarray(cv2.addWeighted(self._behind, 1.0 - come, self._bare, come, 0.0), np.uint8)
        edge = (self._lid + np.float32(dropped) * self._drop - np.float32(raised) * self._lift)[self._ball[1]]
        bare = (
            np.clip(self._y[self._ball] - edge[None, :] + 0.5, 0, 1) * self._under_lid * (self._lift[self._ball[1]] > 0)
        )
        shown = np.maximum(self._eyeball, (bare * come).astype(np.float32))
        gaze = native.Gaze.from_buffer_copy(gaze)
        gaze.behind, gaze.shown = native.address(behind), native.address(shown)
        native.turn_eye(gaze, by_px, part)


def _source_heights(y: Array, drop: Array, brow: Array, lashes: Array) -> Array:
    """Return the heights from which the skin at heights y (..., h, w) comes, when skin is drawn down by `drop` at the
    lashes and not at all at the brow.

    Solves s + drop * g(v(s)) = y for s by bisection; g rises from 0 at the brow to 1 at the lashes.
    """
    span = np.maximum(lashes - brow, 2.0)[None, :]
    least, most = np.minimum(y, y - drop), np.maximum(y, y - drop)
    for _ in range(HALVINGS):
        source = 0.5 * (least + most)
        v = np.clip((source - brow) / span, 0, 1)
        below = source + drop * (0.5 * v + v * v * (1.5 - v)) > y
        least, most = np.where(below, least, source), np.where(below, source, most)
    found: Array = (0.5 * (least + most)).astype(np.float32)
    return found


def _around(maps: Sequence[int], share: float) -> tuple[int, int, float]:
    """Return the prepared maps (LEVELS of them) before and after `share`, 0 to 1, and how far it lies between them."""
    at = min(share, 1.0) * (LEVELS - 1)
    low = min(int(at), LEVELS - 2)
    return maps[low], maps[low + 1], at - low


def _blend(over: NDArray[np.uint8], under: NDArray[np.uint8], weight: Array) -> NDArray[np.uint8]:
    """Return `over` where `weight`, float32 (h, w), is 1 and `under` where it is 0, uint8 (h, w, 4)."""
    return np.asarray(cv2.blendLinear(over, under, weight, 1.0 - weight), np.uint8)
