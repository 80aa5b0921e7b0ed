"""The mouth of a frame: the two layers of the lips, cut along their seam, and the inside of the mouth between them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine import native
from visavis.engine.motion.frame import INDEX
from visavis.engine.render.field_weights import FIELD_INDEX
from visavis.engine.render.fields import weighted_sum
from visavis.engine.render.plan import RenderPlan

Array = NDArray[np.float32]
Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

# Set by eye on rendered faces. Lengths in eye distances.
_TEETH_DROP = 0.395  # of the lower teeth at jawOpen 1
_TIP_HIDDEN = 0.03  # a tongue tip that is not out lies this far below the edges of the lower teeth
_TIP_LEAST = 0.02  # a smaller tongueOut shows no tip
_SKIN_LEAST = 12  # a transparency up to this counts as skin (255: nobody)
# Edges of the lips: softness in px and per eye distance. An inner side of a lip is softer than the edge of the opening.
_SOFTNESS_LEAST_PX, _SOFTNESS, _INNER_SOFTNESS = 0.55, 0.0075, 1.3
_STEEPEST = 3.0  # rows per column: an edge steeper than this is softened no further
_GAP_LEAST_PX = 0.15  # a smaller gap shows nothing between the lips
_BOX_LEAST_PX = 8  # the kernels draw eight px at once
# The line between closed lips leaves a shade on the edge of the lower lip. It is recoloured where the lips are apart by
# more than _LINE_KEPT, over a share of the gap and at most _RECOLOURED_MOST, from the lip _LIT_BELOW further down.
_LINE_KEPT, _RECOLOURED_SHARE, _RECOLOURED_MOST, _LIT_BELOW = 0.03, 0.3, 0.02, 0.032
# How much of the inner side of the lips shows: a share of the gap, at most this; and its opacity.
_INNER_SHARE, _INNER_MOST = 0.2, 0.024
_INNER_UPPER_OPACITY, _INNER_LOWER_OPACITY = 0.5, 0.8
# The shadow of the upper lip: how dark, and the distance after which it is 1 / e as dark.
_SHADOW_DEPTH, _SHADOW_DECAY = 0.14, 0.085
# The light in the mouth: darker towards the corners, and behind lips that are rounded or pushed forward.
_CORNER_DARK, _CORNER_FLATNESS, _CORNER_LIGHT_LEAST = 0.7, 2.6, 0.2
_ROUNDED_DARK, _PROTRUDED_DARK = 0.22, 0.55
_PUCKER_PROTRUDES, _FUNNEL_PROTRUDES = 1.1, 0.35
# The tongue: how far it goes down with the jaw, its rest below the seam, the height of a raised tip, and its light.
_TONGUE_SHARE, _TONGUE_REST, _TONGUE_RAISED, _TONGUE_LIGHT = 0.2, 0.015, -0.06, 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthPose:
    """The lips of one frame.

    `upper`, `lower`: the edges of the lips from the left corner to the right one, and `middle` the line between them,
    float32 (SEAM_POINTS, 2), output px. `gap`: the largest distance of the edges, px. `box`: the part of the picture
    that the mouth needs, even numbers. `head`: yaw, pitch, roll in degrees; `shift`: how far they move the middle of
    the seam, px. All others are weights from 0 to 1.
    """

    upper: Array
    lower: Array
    middle: Array
    gap: float
    box: tuple[int, int, int, int]
    head: tuple[float, float, float]
    shift: tuple[float, float]
    jaw: float
    tongue: float
    out: float
    rounded: float
    protruded: float


class Mouth:
    """Draws the mouth of one avatar at one size."""

    def __init__(self, plan: RenderPlan) -> None:
        self._plan = plan
        soft = max(_SOFTNESS_LEAST_PX, _SOFTNESS * plan.face.unit)
        # How fast an edge goes from 0 to 1, 1 / px: a ramp of 2.6 px + 0.8 looks as soft as a Gaussian of that width.
        self._edge, self._soft_edge = (1 / (2.6 * px + 0.8) for px in (soft, _INNER_SOFTNESS * soft))
        e = plan.face.unit
        mouth = plan.mouth_grid
        self._limits = (
            max(plan.region[0], mouth.x0 + mouth.cell),
            max(plan.region[1], mouth.y0 + mouth.cell),
            min(plan.region[2], mouth.x0 + (mouth.nx - 1) * mouth.cell),
            min(plan.region[3], mouth.y0 + (mouth.ny - 1) * mouth.cell),
        )
        self._margin = 2 * plan.grid.cell + 3
        self._unit = e
        self._scratch = native.row_scratch(mouth.nx * mouth.cell, mouth.cell)
        floats = ctypes.c_float * 4
        self._lip_colours = (
            floats(*plan.interior.lip_upper, _INNER_UPPER_OPACITY),
            floats(*plan.interior.lip_lower, _INNER_LOWER_OPACITY),
        )
        middle = plan.seam[len(plan.seam) // 2]
        self._seam_middle = (float(middle[0]), float(middle[1]))

    def pose(self, weights: Array) -> MouthPose | None:
        """Return the lips for the field weights of a frame, or None if the mouth lies outside the picture."""
        plan = self._plan
        upper = plan.seam + weighted_sum(weights, plan.seam_upper).reshape(-1, 2)
        lower = upper + weighted_sum(weights, plan.seam_jump).reshape(-1, 2)
        open_by = lower[:, 1] - upper[:, 1]
        gap = float(open_by.max())
        middle = np.where(open_by[:, None] > 0, (upper + lower) / 2, upper)
        lower = np.where(open_by[:, None] > 0, lower, upper)
        both = np.concatenate([upper, lower])
        m = self._margin
        left, top = np.floor(both.min(axis=0)).astype(int) - m
        right, bottom = np.ceil(both.max(axis=0)).astype(int) + m
        box = (
            max(self._limits[0], int(left)) // 2 * 2,
            max(self._limits[1], int(top)) // 2 * 2,
            min(self._limits[2], int(right) + 1) // 2 * 2,
            min(self._limits[3], int(bottom) + 1) // 2 * 2,
        )
        if box[2] - box[0] < _BOX_LEAST_PX or box[3] - box[1] < _BOX_LEAST_PX:
            return None
        head = weights[FIELD_INDEX["yaw"] :]
        shift = weighted_sum(head, plan.seam_turns)
        pucker, funnel = weights[INDEX["mouthPucker"]], weights[INDEX["mouthFunnel"]]
        return MouthPose(
            upper=upper,
            lower=lower,
            middle=middle,
            gap=gap,
            box=box,
            head=(float(head[0]), float(head[1]), float(head[2])),
            shift=(float(shift[0]), float(shift[1])),
            jaw=float(weights[INDEX["jawOpen"]]),
            tongue=float(weights[INDEX["tongueUp"]]),
            out=float(weights[INDEX["tongueOut"]]),
            rounded=min(1.0, float(pucker + funnel)),
            protruded=min(1.0, float(_PUCKER_PROTRUDES * pucker + _FUNNEL_PROTRUDES * funnel)),
        )

    def below(self, nodes: Array, pose: MouthPose) -> NDArray[np.bool_]:
        """Return which nodes (ny, nx, 2) lie below the line between the lips, bool (ny, nx)."""
        x = np.maximum.accumulate(pose.middle[:, 0])
        return nodes[..., 1] > np.interp(nodes[0, :, 0], x, pose.middle[:, 1])[None, :]

    def draw(
        self, out: Planes, texture: native.Texture, upper: native.Grid, lower: native.Grid, pose: MouthPose
    ) -> None:
        """Draw the mouth into the planes Y, U, V of a picture.

        `upper`, `lower`: the places in the texture from which the nodes of the two layers come, texture px, on the
        mouth's grid.
        """
        left, top, right, bottom = pose.box
        pixels = self._draw_lips(texture, upper, lower, pose)
        if pose.gap > _GAP_LEAST_PX:
            self._draw_opening(pixels, pose)
        # The box may reach beyond a narrow jaw. There the picture keeps what is drawn already.
        parts = tuple(
            plane[top // step : bottom // step, left // step : right // step]
            for plane, step in zip(out, (1, 2, 2), strict=True)
        )
        native.write_planes(pixels, _SKIN_LEAST, parts)

    def _draw_lips(
        self, texture: native.Texture, upper: native.Grid, lower: native.Grid, pose: MouthPose
    ) -> NDArray[np.uint8]:
        """Return both lips, uint8 (h, w, 4): the upper layer above the line between them, the lower layer below it."""
        left, top, right, bottom = pose.box
        grid = self._plan.mouth_grid
        x = np.arange(left, right, dtype=np.float32)
        middle = np.interp(x, np.maximum.accumulate(pose.middle[:, 0]), pose.middle[:, 1] - top).astype(np.float32)
        pixels = np.empty((bottom - top, right - left, 4), np.uint8)
        lips = native.Lips(
            left=left - grid.x0,
            top=top - grid.y0,
            width=right - left,
            height=bottom - top,
            middle=native.address(middle),
            steepness=self._edge,
            pixels=native.address(pixels),
        )
        native.draw_lips(lips, upper, lower, texture, self._scratch)
        return pixels

    def _draw_opening(self, pixels: NDArray[np.uint8], pose: MouthPose) -> None:
        """Draw the inside of the mouth between the lips into `pixels`, which cover the box of `pose`."""
        left, top, right, bottom = self._opening_box(pose)
        width, e = right - left, self._unit
        x = np.arange(left, right, dtype=np.float32)
        upper, lower = (
            np.interp(x, np.maximum.accumulate(line[:, 0]), line[:, 1] - top) for line in (pose.upper, pose.lower)
        )
        columns = np.empty((8, width), np.float32)
        columns[0], columns[1] = upper, lower
        columns[2:4] = _slope_cosines(columns[:2])
        gap = columns[1] - columns[0]
        np.clip((gap - _LINE_KEPT * e) * _RECOLOURED_SHARE, 0, _RECOLOURED_MOST * e, out=columns[4])
        np.clip(gap * _INNER_SHARE, 0, _INNER_MOST * e, out=columns[5])
        columns[6] = self._light(x, pose)
        columns[7] = np.exp(-(np.maximum(np.floor(columns[0]) + 1, 0) - columns[0]) / (_SHADOW_DECAY * e))
        patches = self._patches(pose, left, top)
        roll = np.deg2rad(pose.head[2])
        opening = native.Opening(
            pixels=native.address(pixels),
            pixels_width=pixels.shape[1],
            pixels_height=pixels.shape[0],
            left=left - pose.box[0],
            top=top - pose.box[1],
            width=width,
            height=bottom - top,
            lit_rows_below=max(2, round(_LIT_BELOW * e)),
            shadow_depth=_SHADOW_DEPTH,
            shadow_decay=float(np.exp(-1 / (_SHADOW_DECAY * e))),
            edge_steepness=self._edge,
            inner_steepness=self._soft_edge,
            lip_upper=self._lip_colours[0],
            lip_lower=self._lip_colours[1],
            roll_cosine=float(np.cos(roll)),
            roll_sine=float(np.sin(roll)),
            patches=patches,
            patch_count=len(patches),
        )
        for k, name in enumerate(
            ("upper", "lower", "cosine_upper", "cosine_lower", "recoloured", "inner", "light", "shadow")
        ):
            setattr(opening, name, native.address(columns[k]))
        native.draw_opening(opening)

    def _opening_box(self, pose: MouthPose) -> tuple[int, int, int, int]:
        """Return the box around the opening, with a rim for its soft edges."""
        rim = 4
        left, right = pose.upper[:, 0].min() - rim, pose.upper[:, 0].max() + rim
        top, bottom = pose.upper[:, 1].min() - rim, pose.lower[:, 1].max() + rim + 0.025 * self._unit
        return (
            max(pose.box[0], int(left)),
            max(pose.box[1], int(top)),
            min(pose.box[2], int(right) + 1),
            min(pose.box[3], int(bottom) + 1),
        )

    def _patches(self, pose: MouthPose, left: int, top: int) -> ctypes.Array[native.Patch]:
        """Return the parts of the mouth from the back to the front, placed in a box that begins at (left, top)."""
        inner, e = self._plan.interior, self._unit
        jaw = pose.jaw * _TEETH_DROP * e
        # The tongue lies on the floor of the mouth; its tip rises behind the upper teeth, comes nearer and gets
        # lighter.
        at_rest = jaw * _TONGUE_SHARE + _TONGUE_REST * e
        raised = _TONGUE_RAISED * e
        tongue_y = at_rest + (min(at_rest, raised) - at_rest) * pose.tongue
        near = 1.0 + _TONGUE_LIGHT * pose.tongue
        layers = [
            (inner.cavity, 0.0, 1.0),
            (inner.tongue, tongue_y, near),
            (inner.lower, jaw, 1.0),
            (inner.upper, 0.0, 1.0),
        ]
        if pose.out > _TIP_LEAST:  # the tip comes out over the lower teeth, up to the edges of the upper teeth
            layers.append((inner.tip, (1.0 - pose.out) * (jaw + _TIP_HIDDEN * e), 1.0))
        patches = (native.Patch * len(layers))()
        c, s = np.cos(np.deg2rad(pose.head[2])), np.sin(np.deg2rad(pose.head[2]))
        x, y = self._seam_middle[0] + pose.shift[0] - left, self._seam_middle[1] + pose.shift[1] - top
        for placed, (patch, down, light) in zip(patches, layers, strict=True):
            ax, ay = patch.anchor
            placed.yuva, (placed.height, placed.width) = native.address(patch.yuva), patch.yuva.shape[:2]
            placed.x, placed.y, placed.light = x - s * down - c * ax + s * ay, y + c * down - s * ax - c * ay, light
        return patches

    def _light(self, x: Array, pose: MouthPose) -> Array:
        """Return the light in every column `x`, 0 to 1. Lips that are pushed forward shade the teeth behind them."""
        centre, half = (pose.upper[0, 0] + pose.upper[-1, 0]) / 2, max((pose.upper[-1, 0] - pose.upper[0, 0]) / 2, 1.0)
        across = np.clip(1.0 - _CORNER_DARK * np.abs((x - centre) / half) ** _CORNER_FLATNESS, _CORNER_LIGHT_LEAST, 1.0)
        light: Array = across * ((1.0 - _ROUNDED_DARK * pose.rounded) * (1.0 - _PROTRUDED_DARK * pose.protruded))
        return light


def _slope_cosines(edges: Array) -> Array:
    """Return the cosine of the slope of edges, float32 like `edges` (n, w), which are heights by column.

    A px down is this many px straight across the edge. Softening by that distance keeps steep edges free of steps.
    """
    fall = np.zeros_like(edges)
    np.subtract(edges[:, 2:], edges[:, :-2], out=fall[:, 1:-1])  # over two columns
    cosines: Array = 1.0 / np.sqrt(1.0 + np.minimum(0.25 * fall * fall, _STEEPEST * _STEEPEST))
    return cosines
