"""The mouth of a frame: the lips' two layers cut along their seam, and between them what is inside."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX
from visavis.engine.render.colour import planes
from visavis.engine.render.fields import COLUMN, total
from visavis.engine.render.interior import Patch
from visavis.engine.render.plan import RenderPlan
from visavis.engine.render.warp import spread

Array = NDArray[np.float32]

_SUBPIXEL_BITS = 4
_JAW_DROP = 0.395  # of the lower teeth at jawOpen 1, in eye distances


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthPose:
    """The edges of the lips in output px, float32 (SEAM_POINTS, 2), from the left corner to the right one, and the box they need, even numbers."""

    upper: Array
    lower: Array
    middle: Array
    gap: float
    box: tuple[int, int, int, int]
    head: tuple[float, float, float]
    shift: tuple[float, float]
    jaw: float
    tongue: float
    rounded: float


class Mouth:
    """Draws the mouth of one avatar at one size."""

    def __init__(self, plan: RenderPlan) -> None:
        self._plan = plan
        self._soft = max(0.55, 0.0075 * plan.face.unit)  # px; the softness of a lip's edge
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
            rounded=min(1.0, float(weights[INDEX["mouthPucker"]] + weights[INDEX["mouthFunnel"]])),
        )

    def below(self, nodes: Array, pose: MouthPose) -> NDArray[np.bool_]:
        """Which nodes (ny, nx, 2) lie below the line between the lips."""
        x = np.maximum.accumulate(pose.middle[:, 0])
        return nodes[..., 1] > np.interp(nodes[0, :, 0], x, pose.middle[:, 1])[None, :]

    def draw(self, out: NDArray[np.uint8], texture: NDArray[np.uint8], upper: Array, lower: Array, pose: MouthPose) -> None:
        """Draw the mouth into the I420 picture `out`; `upper`, `lower`: sources of the two layers on the mouth's grid, texture px."""
        plan = self._plan
        skin = [
            cv2.remap(texture, spread(source, plan.mouth_grid, *pose.box), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for source in (upper, lower)
        ]
        left, top, right, bottom = pose.box
        yl, yr = pose.middle[0, 1], pose.middle[-1, 1]
        above = [[right + 9, yr], [right + 9, top - 9], [left - 9, top - 9], [left - 9, yl]]
        is_upper = self._mask(np.vstack([pose.middle, above]), pose)
        face = cv2.blendLinear(skin[0], skin[1], is_upper, 1.0 - is_upper)[..., :3]
        if pose.gap > 0.15:
            inner = self._inner_box(pose)
            part = face[inner.box[1] - top : inner.box[3] - top, inner.box[0] - left : inner.box[2] - left]
            hole = self._mask(np.vstack([pose.upper, pose.lower[::-1]]), inner)[..., None]
            self._freshen(part, skin[1], inner, pose)
            part[...] = np.rint(np.clip(part + (self._inside(inner) - part) * hole, 0, 255))
        half = cv2.resize(face, ((right - left) // 2, (bottom - top) // 2), interpolation=cv2.INTER_AREA)
        y, u, v = planes(out, plan.width_px, plan.height_px)
        y[top:bottom, left:right] = face[..., 0]
        u[top // 2 : bottom // 2, left // 2 : right // 2] = half[..., 1]
        v[top // 2 : bottom // 2, left // 2 : right // 2] = half[..., 2]

    def _freshen(self, part: NDArray[np.uint8], lower_skin: NDArray[np.uint8], inner: MouthPose, pose: MouthPose) -> None:
        """Take the shade of the line in which lips meet off the edge of the lower lip, by what lies a little below: an open lip is lit there."""
        left, top, right, bottom = inner.box
        below = max(2, round(0.032 * self._unit))
        rows = slice(top - pose.box[1] + below, bottom - pose.box[1] + below)
        if rows.stop > len(lower_skin):
            return
        shown = lower_skin[rows, left - pose.box[0] : right - pose.box[0], :3]
        thick = np.clip((pose.lower[:, 1] - pose.upper[:, 1]) * 0.25, 0, 0.02 * self._unit)[:, None] * np.array([0.0, 1.0], np.float32)
        edge = self._mask(np.vstack([pose.lower - 0.5 * thick, (pose.lower + thick)[::-1]]), inner, 1.3)
        part[...] = cv2.blendLinear(np.ascontiguousarray(shown), np.ascontiguousarray(part), edge, 1.0 - edge)

    def _inner_box(self, pose: MouthPose) -> MouthPose:
        """Return the pose with its box drawn close around the opening."""
        rim = 4
        left, right = pose.upper[:, 0].min() - rim, pose.upper[:, 0].max() + rim
        top, bottom = pose.upper[:, 1].min() - rim, pose.lower[:, 1].max() + rim + 0.025 * self._unit
        box = (max(pose.box[0], int(left)), max(pose.box[1], int(top)), min(pose.box[2], int(right) + 1), min(pose.box[3], int(bottom) + 1))
        return replace(pose, box=box)

    def _mask(self, polygon: Array, pose: MouthPose, soft: float = 1.0) -> Array:
        """Return, float32 (h, w), 1 inside `polygon` (n, 2) with a soft edge."""
        left, top, right, bottom = pose.box
        mask = np.zeros((bottom - top, right - left), np.uint8)
        points = np.rint((polygon - (left, top)) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillPoly(mask, [points], 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        return cv2.GaussianBlur(mask, (0, 0), self._soft * soft).astype(np.float32) * np.float32(1 / 255)

    def _inside(self, pose: MouthPose) -> Array:
        """Return Y, U, V, float32 (h, w, 3), of what lies between the lips."""
        inner = self._plan.interior
        e, jaw = self._unit, pose.jaw * _JAW_DROP * self._unit
        ground = self._lay(inner.cavity, pose, 0.0, 0.0, cv2.BORDER_REPLICATE)[..., :3]
        # The tongue lies on the floor of the mouth, and its tip rises behind the upper teeth.
        at_rest = jaw * 0.42 + 0.02 * e
        raised = 0.035 * e
        tongue_y = at_rest + (min(at_rest, raised) - at_rest) * pose.tongue
        self._over(ground, self._lay(inner.tongue, pose, 0.0, tongue_y))
        self._over(ground, self._lay(inner.lower, pose, 0.0, jaw))
        self._over(ground, self._lay(inner.upper, pose, 0.0, 0.0))
        self._shade(ground, pose)
        thick = np.clip((pose.lower[:, 1] - pose.upper[:, 1]) * 0.2, 0, 0.024 * e)[:, None]
        down = np.array([0.0, 1.0], np.float32)
        rolled = self._mask(np.vstack([pose.lower - thick * down, (pose.lower + 2 * down)[::-1]]), pose, 1.3)[..., None]
        ground += (inner.lip_lower - ground) * (0.8 * rolled)
        rolled = self._mask(np.vstack([pose.upper - 2 * down, (pose.upper + 0.5 * thick * down)[::-1]]), pose, 1.3)[..., None]
        ground += (inner.lip_upper - ground) * (0.5 * rolled)
        return ground

    def _shade(self, ground: Array, pose: MouthPose) -> None:
        """The shadow of the upper lip, deeper where the mouth is only parted, and the dark towards the corners."""
        e = self._unit
        left, top, right, bottom = pose.box
        x = np.arange(left, right, dtype=np.float32)
        y = np.arange(top, bottom, dtype=np.float32)
        lip = np.interp(x, np.maximum.accumulate(pose.upper[:, 0]), pose.upper[:, 1]).astype(np.float32)
        below = (y[:, None] - lip[None, :]) / (0.085 * e)
        light = 1.0 - 0.14 * np.exp(-np.clip(below, 0, None))
        centre, half = (pose.upper[0, 0] + pose.upper[-1, 0]) / 2, max((pose.upper[-1, 0] - pose.upper[0, 0]) / 2, 1.0)
        across = np.clip(1.0 - 0.45 * np.abs((x - centre) / half) ** 3.0, 0.2, 1.0)
        light = (light * across[None, :] * (1.0 - 0.32 * pose.rounded)).astype(np.float32)  # rounded lips stand out and shade what is behind
        ground[..., 0] = 16.0 + (ground[..., 0] - 16.0) * light
        ground[..., 1:] = 128.0 + (ground[..., 1:] - 128.0) * light[..., None]
        # What light there is in a shaded mouth has been through red skin.
        ground[..., 1] -= 7.0 * (1.0 - light)
        ground[..., 2] += 12.0 * (1.0 - light)

    def _lay(self, patch: Patch, pose: MouthPose, dx: float, dy: float, border: int = cv2.BORDER_CONSTANT) -> Array:
        """Place a patch in the box: its anchor at the middle of the seam, moved by (dx, dy) and by the head."""
        c, s = np.cos(np.deg2rad(pose.head[2])), np.sin(np.deg2rad(pose.head[2]))
        x = self._home[0] + pose.shift[0] + c * dx - s * dy - pose.box[0]
        y = self._home[1] + pose.shift[1] + s * dx + c * dy - pose.box[1]
        ax, ay = patch.anchor
        matrix = np.array([[c, -s, x - c * ax + s * ay], [s, c, y - s * ax - c * ay]], np.float64)
        size = (pose.box[2] - pose.box[0], pose.box[3] - pose.box[1])
        return cv2.warpAffine(patch.yuva, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)

    @staticmethod
    def _over(ground: Array, patch: Array) -> None:
        ground *= 1.0 - patch[..., 3:]
        ground += patch[..., :3]
