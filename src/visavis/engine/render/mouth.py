"""The mouth of a frame: the two layers of the lips, cut along their seam, and the inside of the mouth between them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, exp, floor, radians, sin

import numpy as np
from numpy.typing import NDArray

from visavis.engine import native
from visavis.engine.render.field_weights import FIELD_INDEX, FIELD_NAMES
from visavis.engine.render.interior import Interior, Patch
from visavis.engine.render.plan import SEAM_POINTS, RenderPlan

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

_COLUMNS = ("upper", "lower", "cosine_upper", "cosine_lower", "recoloured", "inner", "light", "shadow")
_TONGUE, _TIP = 1, 4  # among the parts of the mouth
_JAW, _TONGUE_UP, _TONGUE_OUT = (FIELD_INDEX[name] for name in ("jawOpen", "tongueUp", "tongueOut"))
_PUCKER, _FUNNEL, _YAW = (FIELD_INDEX[name] for name in ("mouthPucker", "mouthFunnel", "yaw"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthPose:
    """The lips of one frame; their lines are in the `Mouth`.

    `gap`: the largest distance of the lips, px. `corners`: x of the left and of the right corner, `extent`: left, top,
    right and bottom of the lines, `box`: the part of the picture that the mouth needs, even numbers; all output px.
    `roll_deg`: of the head; `shift`: how far the head moves the middle of the seam, px. All others are weights from 0
    to 1.
    """

    gap: float
    corners: tuple[float, float]
    extent: tuple[float, float, float, float]
    box: tuple[int, int, int, int]
    roll_deg: float
    shift: tuple[float, float]
    jaw: float
    tongue: float
    out: float
    rounded: float
    protruded: float


class Mouth:
    """Draws the mouth of one avatar at one size into one picture.

    `out`: the planes of the picture. `weights`: the array of field weights, which `pose` reads anew for each frame. All
    arrays that the kernels read or write are kept, so that no frame makes new ones.
    """

    def __init__(self, plan: RenderPlan, out: Planes, weights: Array) -> None:
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
        middle = plan.seam[len(plan.seam) // 2]
        self._seam_middle = (float(middle[0]), float(middle[1]))
        self._turns: list[list[float]] = plan.seam_turns.tolist()
        self._keep(plan, out, weights)
        self._lips = native.Lips(middle=self._middle_heights, steepness=self._edge, pixels=self._pixels)
        self._parts = self._layers(plan.interior)
        self._patches = (native.Patch * len(self._parts))()
        for patch, part in zip(self._patches, self._parts, strict=True):
            patch.yuva, (patch.height, patch.width) = native.address(part.yuva), part.yuva.shape[:2]
            patch.light = 1.0
        self._opening = native.Opening(
            pixels=self._pixels,
            lit_rows_below=max(2, round(_LIT_BELOW * e)),
            shadow_depth=_SHADOW_DEPTH,
            shadow_decay=exp(-1 / (_SHADOW_DECAY * e)),
            edge_steepness=self._edge,
            inner_steepness=self._soft_edge,
            patches=self._patches,
            **self._columns,
        )
        self._opening.lip_upper[:] = (*plan.interior.lip_upper, _INNER_UPPER_OPACITY)
        self._opening.lip_lower[:] = (*plan.interior.lip_lower, _INNER_LOWER_OPACITY)
        self._shading = native.Shading(
            steepest=_STEEPEST,
            line_kept=_LINE_KEPT * e,
            recoloured_share=_RECOLOURED_SHARE,
            recoloured_most=_RECOLOURED_MOST * e,
            inner_share=_INNER_SHARE,
            inner_most=_INNER_MOST * e,
            corner_dark=_CORNER_DARK,
            corner_flatness=_CORNER_FLATNESS,
            corner_light_least=_CORNER_LIGHT_LEAST,
            shadow_length=_SHADOW_DECAY * e,
        )

    def _keep(self, plan: RenderPlan, out: Planes, weights: Array) -> None:
        """Make the arrays of the kernels, and note their addresses: to ask an array for its address takes longer than
        to call a kernel.
        """
        width, height = max(0, self._limits[2] - self._limits[0]), max(0, self._limits[3] - self._limits[1])
        mouth = plan.mouth_grid
        lines, columns = np.empty((3, SEAM_POINTS, 2), np.float32), np.empty((9, width), np.float32)
        self._extent = np.empty(8, np.float32)
        pixels, scratch = np.empty((height, width, 4), np.uint8), native.row_scratch(mouth.nx * mouth.cell, mouth.cell)
        nodes = np.ascontiguousarray(np.stack(mouth.nodes(), axis=-1))
        seam = np.ascontiguousarray(plan.seam, np.float32)
        self._kept = seam, lines, columns, pixels, scratch, nodes, out
        self._upper_line = lines[0]
        self._lines = native.address(lines[0]), native.address(lines[1]), native.address(lines[2])
        self._weights = native.address(weights)
        self._pixels, self._scratch = native.address(pixels), native.address(scratch)
        self._middle_heights = native.address(columns[8])
        self._columns = {name: native.address(columns[k]) for k, name in enumerate(_COLUMNS)}
        self._nodes, self._extent_at = (native.address(nodes), mouth.nx, mouth.ny), native.address(self._extent)
        self._seam = native.address(seam)
        self._seam_fields = native.address(plan.seam_upper), native.address(plan.seam_jump)
        self._values = weights
        self._planes = [(native.address(plane), plane.strides[0]) for plane in out]

    def pose(self) -> MouthPose | None:
        """Return the lips for the field weights of now, or None if the mouth lies outside the picture."""
        gap = native.pose_lips(
            self._seam, self._seam_fields, len(FIELD_NAMES), SEAM_POINTS, self._weights, self._lines, self._extent_at
        )
        left, top, right, bottom, *edges = self._extent.tolist()
        m, limits = self._margin, self._limits
        box = (
            max(limits[0], floor(left) - m) // 2 * 2,
            max(limits[1], floor(top) - m) // 2 * 2,
            min(limits[2], ceil(right) + m + 1) // 2 * 2,
            min(limits[3], ceil(bottom) + m + 1) // 2 * 2,
        )
        if box[2] - box[0] < _BOX_LEAST_PX or box[3] - box[1] < _BOX_LEAST_PX:
            return None
        weights: list[float] = self._values.tolist()
        head = weights[_YAW:]
        pucker, funnel = weights[_PUCKER], weights[_FUNNEL]
        return MouthPose(
            gap=gap,
            corners=(float(self._upper_line[0, 0]), float(self._upper_line[-1, 0])),
            extent=(edges[0], edges[1], edges[2], edges[3]),
            box=box,
            roll_deg=head[2],
            shift=(
                sum(angle * turn[0] for angle, turn in zip(head, self._turns, strict=True)),
                sum(angle * turn[1] for angle, turn in zip(head, self._turns, strict=True)),
            ),
            jaw=weights[_JAW],
            tongue=weights[_TONGUE_UP],
            out=weights[_TONGUE_OUT],
            rounded=min(1.0, pucker + funnel),
            protruded=min(1.0, _PUCKER_PROTRUDES * pucker + _FUNNEL_PROTRUDES * funnel),
        )

    def join_layers(self, lower: int, both: int) -> None:
        """Let the lower layer show below the line between the lips that were posed last.

        `lower`: the address of its places on the mouth's grid; `both`: that of the mouth's first node in the places of
        the whole grid, which are changed.
        """
        native.join_layers(*self._nodes, self._lines[2], SEAM_POINTS, lower, both, self._plan.grid.nx)

    def draw(self, texture: native.Texture, upper: native.Grid, lower: native.Grid, pose: MouthPose) -> None:
        """Draw the mouth that was posed last into the picture.

        `upper`, `lower`: the places in the texture from which the nodes of the two layers come, texture px, on the
        mouth's grid.
        """
        left, top, right, bottom = pose.box
        self._draw_lips(texture, upper, lower, pose)
        if pose.gap > _GAP_LEAST_PX:
            self._draw_opening(pose)
        # The box may reach beyond a narrow jaw. There the picture keeps what is drawn already.
        native.write_planes(
            self._pixels,
            right - left,
            bottom - top,
            _SKIN_LEAST,
            [
                plane + top // step * stride + left // step
                for (plane, stride), step in zip(self._planes, (1, 2, 2), strict=True)
            ],
            [stride for _, stride in self._planes],
        )

    def _draw_lips(self, texture: native.Texture, upper: native.Grid, lower: native.Grid, pose: MouthPose) -> None:
        """Draw both lips into the pixels of the box: the upper layer above the line between them, the lower layer below
        it.
        """
        left, top, right, bottom = pose.box
        grid = self._plan.mouth_grid
        native.line_heights(self._lines[2], SEAM_POINTS, left, top, right - left, self._middle_heights)
        lips = self._lips
        lips.left, lips.top, lips.width, lips.height = left - grid.x0, top - grid.y0, right - left, bottom - top
        native.draw_lips(lips, upper, lower, texture, self._scratch)

    def _draw_opening(self, pose: MouthPose) -> None:
        """Draw the inside of the mouth between the lips into the pixels of the box."""
        left, top, right, bottom = self._opening_box(pose)
        for line, name in zip(self._lines[:2], _COLUMNS[:2], strict=True):
            native.line_heights(line, SEAM_POINTS, left, top, right - left, self._columns[name])
        opening, shading, box = self._opening, self._shading, pose.box
        opening.pixels_width, opening.pixels_height = box[2] - box[0], box[3] - box[1]
        opening.left, opening.top = left - box[0], top - box[1]
        opening.width, opening.height = right - left, bottom - top
        roll = radians(pose.roll_deg)
        opening.roll_cosine, opening.roll_sine = cos(roll), sin(roll)
        opening.patch_count = self._lay_patches(pose, left, top)
        shading.left = left
        shading.centre = (pose.corners[0] + pose.corners[1]) / 2
        shading.half_width = max((pose.corners[1] - pose.corners[0]) / 2, 1.0)
        # Lips that are pushed forward shade the teeth behind them.
        shading.light = (1.0 - _ROUNDED_DARK * pose.rounded) * (1.0 - _PROTRUDED_DARK * pose.protruded)
        native.shade_columns(opening, shading)
        native.draw_opening(opening)

    def _opening_box(self, pose: MouthPose) -> tuple[int, int, int, int]:
        """Return the box around the opening, with a rim for its soft edges."""
        rim = 4
        left, top, right, bottom = pose.extent
        return (
            max(pose.box[0], int(left - rim)),
            max(pose.box[1], int(top - rim)),
            min(pose.box[2], int(right + rim) + 1),
            min(pose.box[3], int(bottom + rim + 0.025 * self._unit) + 1),
        )

    def _lay_patches(self, pose: MouthPose, left: int, top: int) -> int:
        """Lay the parts of the mouth, from the back to the front, in a box that begins at (left, top). Return how many
        show.
        """
        e = self._unit
        jaw = pose.jaw * _TEETH_DROP * e
        # The tongue lies on the floor of the mouth; its tip rises behind the upper teeth, comes nearer and gets
        # lighter.
        at_rest = jaw * _TONGUE_SHARE + _TONGUE_REST * e
        raised = _TONGUE_RAISED * e
        tongue_y = at_rest + (min(at_rest, raised) - at_rest) * pose.tongue
        # The tip comes out over the lower teeth, up to the edges of the upper teeth.
        tip_y = (1.0 - pose.out) * (jaw + _TIP_HIDDEN * e)
        c, s = self._opening.roll_cosine, self._opening.roll_sine
        x, y = self._seam_middle[0] + pose.shift[0] - left, self._seam_middle[1] + pose.shift[1] - top
        for patch, part, down in zip(self._patches, self._parts, (0.0, tongue_y, jaw, 0.0, tip_y), strict=True):
            ax, ay = part.anchor
            patch.x, patch.y = x - s * down - c * ax + s * ay, y + c * down - s * ax - c * ay
        self._patches[_TONGUE].light = 1.0 + _TONGUE_LIGHT * pose.tongue
        return len(self._parts) if pose.out > _TIP_LEAST else _TIP

    @staticmethod
    def _layers(interior: Interior) -> tuple[Patch, ...]:
        """Return the parts of the mouth from the back to the front."""
        return interior.cavity, interior.tongue, interior.lower, interior.upper, interior.tip
