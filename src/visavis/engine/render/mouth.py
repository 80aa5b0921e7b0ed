"""The mouth of a frame: the lips' two layers cut along their seam, and between them what is inside."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine import native
from visavis.engine.motion.frame import INDEX
from visavis.engine.render.fields import COLUMN, total
from visavis.engine.render.plan import RenderPlan

Array = NDArray[np.float32]
Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

_JAW_DROP = 0.395  # of the lower teeth at jawOpen 1, in eye distances
_TIP_HIDDEN = 0.03  # below where the lower teeth stand: a tip that is not out, in eye distances
_STEEP = 3.0  # rows a column by which an edge falls; a steeper one is softened no further
_SHADOW_FALL = 0.085  # of the upper lip's shadow to a third, in eye distances
_CLEAR = 12  # of the texture's transparency (255: nobody): less is skin


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthPose:
    """The edges of the lips in output px, float32 (SEAM_POINTS, 2), from the left corner to the right one, and the box
    they need, even numbers.
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
        soft = max(0.55, 0.0075 * plan.face.unit)  # px; the softness of a lip's edge
        self._edge, self._soft_edge = (1 / (2.6 * px + 0.8) for px in (soft, 1.3 * soft))  # how steep edges are: 1 / px
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
        self._scratch = native.scratch_for(mouth.nx * mouth.cell, mouth.cell)
        floats = ctypes.c_float * 4
        # and how much of them is seen
        self._lip_colours = floats(*plan.interior.lip_upper, 0.5), floats(*plan.interior.lip_lower, 0.8)
        middle = plan.seam[len(plan.seam) // 2]
        self._home = (float(middle[0]), float(middle[1]))

    def pose(self, weights: Array) -> MouthPose | None:
        """Return where the lips are for `weights`, or None when the mouth lies outside the picture."""
        plan = self._plan
        upper = plan.seam + total(weights, plan.seam_upper).reshape(-1, 2)
        lower = upper + total(weights, plan.seam_jump).reshape(-1, 2)
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
        if box[2] - box[0] < 8 or box[3] - box[1] < 8:
            return None
        head = weights[COLUMN["yaw"] :]
        shift = total(head, plan.skull)
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
            rounded=min(1.0, float(weights[INDEX["mouthPucker"]] + weights[INDEX["mouthFunnel"]])),
            protruded=min(1.0, float(1.1 * weights[INDEX["mouthPucker"]] + 0.35 * weights[INDEX["mouthFunnel"]])),
        )

    def below(self, nodes: Array, pose: MouthPose) -> NDArray[np.bool_]:
        """Which nodes (ny, nx, 2) lie below the line between the lips."""
        x = np.maximum.accumulate(pose.middle[:, 0])
        return nodes[..., 1] > np.interp(nodes[0, :, 0], x, pose.middle[:, 1])[None, :]

    def draw(
        self, out: Planes, texture: native.Texture, upper: native.Grid, lower: native.Grid, pose: MouthPose
    ) -> None:
        """Draw the mouth into the planes Y, U, V of a picture; `upper`, `lower`: sources of the two layers on the
        mouth's grid, texture px.
        """
        left, top, right, bottom = pose.box
        face = self._skin(texture, upper, lower, pose)
        if pose.gap > 0.15:
            self._open(face, pose)
        # The box of a narrow jaw reaches beyond the person: there the picture stays as it was drawn.
        places = tuple(
            plane[top // step : bottom // step, left // step : right // step]
            for plane, step in zip(out, (1, 2, 2), strict=True)
        )
        native.settle(face, _CLEAR, places)

    def _skin(
        self, texture: native.Texture, upper: native.Grid, lower: native.Grid, pose: MouthPose
    ) -> NDArray[np.uint8]:
        """Return both lips about the line between them, uint8 (h, w, 4): each layer is only looked up on its side of
        the line.
        """
        left, top, right, bottom = pose.box
        grid = self._plan.mouth_grid
        x = np.arange(left, right, dtype=np.float32)
        middle = np.interp(x, np.maximum.accumulate(pose.middle[:, 0]), pose.middle[:, 1] - top).astype(np.float32)
        face = np.empty((bottom - top, right - left, 4), np.uint8)
        lips = native.Lips(
            left=left - grid.x0,
            top=top - grid.y0,
            width=right - left,
            height=bottom - top,
            middle=native.address(middle),
            steepness=self._edge,
            face=native.address(face),
        )
        native.skin(lips, upper, lower, texture, self._scratch)
        return face

    def _open(self, face: NDArray[np.uint8], pose: MouthPose) -> None:
        """Draw what lies between the lips into `face`, the px of the pose's box."""
        left, top, right, bottom = self._about_opening(pose)
        width, e = right - left, self._unit
        x = np.arange(left, right, dtype=np.float32)
        upper, lower = (
            np.interp(x, np.maximum.accumulate(line[:, 0]), line[:, 1] - top) for line in (pose.upper, pose.lower)
        )
        columns = np.empty((8, width), np.float32)
        columns[0], columns[1] = upper, lower
        columns[2:4] = _across(columns[:2])
        gap = columns[1] - columns[0]
        np.clip((gap - 0.03 * e) * 0.3, 0, 0.02 * e, out=columns[4])  # parted lips keep their line
        np.clip(gap * 0.2, 0, 0.024 * e, out=columns[5])
        columns[6] = self._light(x, pose)
        columns[7] = np.exp(-(np.maximum(np.floor(columns[0]) + 1, 0) - columns[0]) / (_SHADOW_FALL * e))
        patches = self._patches(pose, left, top)
        roll = np.deg2rad(pose.head[2])
        opening = native.Opening(
            face=native.address(face),
            face_width=face.shape[1],
            face_height=face.shape[0],
            left=left - pose.box[0],
            top=top - pose.box[1],
            width=width,
            height=bottom - top,
            fresh_rows=max(2, round(0.032 * e)),
            shadow_depth=0.14,
            shadow_fall=float(np.exp(-1 / (_SHADOW_FALL * e))),
            edge=self._edge,
            soft_edge=self._soft_edge,
            lip_upper=self._lip_colours[0],
            lip_lower=self._lip_colours[1],
            cosine=float(np.cos(roll)),
            sine=float(np.sin(roll)),
            patches=patches,
            patch_count=len(patches),
        )
        for k, name in enumerate(
            ("upper", "lower", "across_upper", "across_lower", "fresh", "rolled", "light", "shadow")
        ):
            setattr(opening, name, native.address(columns[k]))
        native.open_mouth(opening)

    def _about_opening(self, pose: MouthPose) -> tuple[int, int, int, int]:
        """Return the box close around the opening."""
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
        """Return what lies in the mouth from the back to the front, placed in a box that begins at (left, top)."""
        inner, e = self._plan.interior, self._unit
        jaw = pose.jaw * _JAW_DROP * e
        # The tongue lies on the floor of the mouth, and its tip rises behind the upper teeth.
        at_rest = jaw * 0.2 + 0.015 * e
        raised = -0.06 * e
        tongue_y = at_rest + (min(at_rest, raised) - at_rest) * pose.tongue
        near = 1.0 + 0.35 * pose.tongue  # a raised tip is near and catches the light
        layers = [
            (inner.cavity, 0.0, 1.0),
            (inner.tongue, tongue_y, near),
            (inner.lower, jaw, 1.0),
            (inner.upper, 0.0, 1.0),
        ]
        if pose.out > 0.02:  # the tip comes forward over the lower teeth, up to the edge of the upper ones
            layers.append((inner.tip, (1.0 - pose.out) * (jaw + _TIP_HIDDEN * e), 1.0))
        patches = (native.Patch * len(layers))()
        c, s = np.cos(np.deg2rad(pose.head[2])), np.sin(np.deg2rad(pose.head[2]))
        x, y = self._home[0] + pose.shift[0] - left, self._home[1] + pose.shift[1] - top
        for placed, (patch, down, light) in zip(patches, layers, strict=True):
            ax, ay = patch.anchor
            placed.yuva, (placed.height, placed.width) = native.address(patch.yuva), patch.yuva.shape[:2]
            placed.x, placed.y, placed.light = x - s * down - c * ax + s * ay, y + c * down - s * ax - c * ay, light
        return patches

    def _light(self, x: Array, pose: MouthPose) -> Array:
        """The dark towards the corners, 0 to 1, in every column `x`."""
        centre, half = (pose.upper[0, 0] + pose.upper[-1, 0]) / 2, max((pose.upper[-1, 0] - pose.upper[0, 0]) / 2, 1.0)
        across = np.clip(1.0 - 0.7 * np.abs((x - centre) / half) ** 2.6, 0.2, 1.0)
        # Lips that stand out shade what is behind: the more they are pushed forward, the deeper the teeth lie in the
        # dark.
        lit: NDArray[np.float32] = across * ((1.0 - 0.22 * pose.rounded) * (1.0 - 0.55 * pose.protruded))
        return lit


def _across(edges: Array) -> Array:
    """How long a px across an edge is for one down it, float32 like `edges` (n, w), their heights: a steep edge shall
    not show steps.
    """
    fall = np.zeros_like(edges)
    np.subtract(edges[:, 2:], edges[:, :-2], out=fall[:, 1:-1])  # over two columns
    across: NDArray[np.float32] = 1.0 / np.sqrt(1.0 + np.minimum(0.25 * fall * fall, _STEEP * _STEEP))
    return across
