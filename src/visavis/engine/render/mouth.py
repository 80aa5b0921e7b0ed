"""The mouth of a frame: the lips' two layers cut along their seam, and between them what is inside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX
from visavis.engine.render.fields import COLUMN, total
from visavis.engine.render.interior import Patch
from visavis.engine.render.plan import RenderPlan
from visavis.engine.render.warp import spread

Array = NDArray[np.float32]
Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

_JAW_DROP = 0.395  # of the lower teeth at jawOpen 1, in eye distances
_TIP_HIDDEN = 0.03  # below where the lower teeth stand: a tip that is not out, in eye distances
_STEEP = 3.0  # rows a column by which an edge falls; a steeper one is softened no further
_CLEAR = 12  # of the texture's transparency (255: nobody): less is skin


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
    out: float
    rounded: float
    protruded: float


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
            out=float(weights[INDEX["tongueOut"]]),
            rounded=min(1.0, float(weights[INDEX["mouthPucker"]] + weights[INDEX["mouthFunnel"]])),
            protruded=min(1.0, float(1.1 * weights[INDEX["mouthPucker"]] + 0.35 * weights[INDEX["mouthFunnel"]])),
        )

    def below(self, nodes: Array, pose: MouthPose) -> NDArray[np.bool_]:
        """Which nodes (ny, nx, 2) lie below the line between the lips."""
        x = np.maximum.accumulate(pose.middle[:, 0])
        return nodes[..., 1] > np.interp(nodes[0, :, 0], x, pose.middle[:, 1])[None, :]

    def draw(self, out: Planes, texture: NDArray[np.uint8], upper: Array, lower: Array, pose: MouthPose) -> None:
        """Draw the mouth into the planes Y, U, V of a picture; `upper`, `lower`: sources of the two layers on the mouth's grid, texture px."""
        left, top, right, bottom = pose.box
        face = self._skin(texture, upper, lower, pose)
        if pose.gap > 0.15:
            inner = self._inner_box(pose)
            part = face[inner.box[1] - top : inner.box[3] - top, inner.box[0] - left : inner.box[2] - left]
            lines = _Lines(inner)
            self._freshen(face, part, lines, inner, pose)
            hole = lines.between(lines.upper, lines.lower, self._soft, lines.across)
            part[...] = cv2.blendLinear(self._inside(inner, lines), np.ascontiguousarray(part), hole, 1.0 - hole)
        half = cv2.resize(face, ((right - left) // 2, (bottom - top) // 2), interpolation=cv2.INTER_AREA)
        beside = cv2.extractChannel(face, 3)  # the box of a narrow jaw reaches beyond the person: there the picture stays as it was drawn
        whole = cv2.countNonZero(cv2.compare(beside, _CLEAR, cv2.CMP_GT)) == 0
        for channel, (plane, picture, step) in enumerate(zip(out, (face, half, half), (1, 2, 2), strict=True)):
            place = plane[top // step : bottom // step, left // step : right // step]
            if whole:
                cv2.extractChannel(picture, channel, place)
            else:
                np.copyto(place, picture[..., channel], where=picture[..., 3] <= _CLEAR)

    def _skin(self, texture: NDArray[np.uint8], upper: Array, lower: Array, pose: MouthPose) -> NDArray[np.uint8]:
        """Return both lips about the line between them, uint8 (h, w, 4): each layer is only looked up on its side of the line."""
        left, top, right, bottom = pose.box
        grid, lines = self._plan.mouth_grid, _Lines(pose)
        reach = int(self._soft + 3)
        first, last = max(top, int(lines.middle.min()) - reach), min(bottom, int(lines.middle.max()) + reach + 1)
        face = np.empty((bottom - top, right - left, 4), np.uint8)
        over, under = max(last - top, 0), min(max(first - top, 0), bottom - top)
        above = _look_up(texture, spread(upper, grid, left, top, right, top + over))
        below = _look_up(texture, spread(lower, grid, left, top + under, right, bottom))
        face[:under], face[over:] = above[:under], below[over - under :]
        is_lower = lines.under(lines.middle, self._soft)[under:over]
        face[under:over] = cv2.blendLinear(below[: over - under], above[under:], is_lower, 1.0 - is_lower)
        return face

    def _freshen(self, face: NDArray[np.uint8], part: NDArray[np.uint8], lines: _Lines, inner: MouthPose, pose: MouthPose) -> None:
        """Take the shade of the line in which lips meet off the edge of the lower lip, by what lies a little below: an open lip is lit there."""
        left, top, right, bottom = inner.box
        below = max(2, round(0.032 * self._unit))
        rows = slice(top - pose.box[1] + below, bottom - pose.box[1] + below)
        if rows.stop > len(face):
            return
        shown = np.ascontiguousarray(face[rows, left - pose.box[0] : right - pose.box[0]])
        thick = np.clip((lines.lower - lines.upper - 0.03 * self._unit) * 0.3, 0, 0.02 * self._unit)  # parted lips keep their line
        edge = lines.between(lines.lower - 0.5 * thick, lines.lower + thick, 1.3 * self._soft, (lines.across[1],) * 2)
        part[...] = cv2.blendLinear(shown, np.ascontiguousarray(part), edge, 1.0 - edge)

    def _inner_box(self, pose: MouthPose) -> MouthPose:
        """Return the pose with its box drawn close around the opening."""
        rim = 4
        left, right = pose.upper[:, 0].min() - rim, pose.upper[:, 0].max() + rim
        top, bottom = pose.upper[:, 1].min() - rim, pose.lower[:, 1].max() + rim + 0.025 * self._unit
        box = (max(pose.box[0], int(left)), max(pose.box[1], int(top)), min(pose.box[2], int(right) + 1), min(pose.box[3], int(bottom) + 1))
        return replace(pose, box=box)

    def _inside(self, pose: MouthPose, lines: _Lines) -> NDArray[np.uint8]:
        """Return Y, U, V and a spare channel, uint8 (h, w, 4), of what lies between the lips. Plane by plane: numpy is slow along short axes."""
        inner = self._plan.interior
        e, jaw = self._unit, pose.jaw * _JAW_DROP * self._unit
        y, u, v, spare = cv2.split(self._lay(inner.cavity, pose, 0.0, 0.0, cv2.BORDER_REPLICATE))
        ground = (y, u, v)
        # The tongue lies on the floor of the mouth, and its tip rises behind the upper teeth.
        at_rest = jaw * 0.2 + 0.015 * e
        raised = -0.06 * e
        tongue_y = at_rest + (min(at_rest, raised) - at_rest) * pose.tongue
        layers = [(inner.tongue, tongue_y), (inner.lower, jaw), (inner.upper, 0.0)]
        if pose.out > 0.02:  # the tip comes forward over the lower teeth, up to the edge of the upper ones
            layers.append((inner.tip, (1.0 - pose.out) * (jaw + _TIP_HIDDEN * e)))
        for patch, down in layers:
            *colours, opacity = cv2.split(self._lay(patch, pose, 0.0, down))
            if patch is inner.tongue and pose.tongue:
                colours[0] *= np.float32(1.0 + 0.35 * pose.tongue)  # a raised tip is near and catches the light
            np.subtract(1.0, opacity, out=opacity)
            for plane, colour in zip(ground, colours, strict=True):
                plane *= opacity
                plane += colour
        light = self._light(pose, lines)
        dark = 1.0 - light
        # What light there is in a shaded mouth has been through red skin: black is (16, 121, 140) here, not (16, 128, 128).
        for plane, black in zip(ground, (16.0, 121.0, 140.0), strict=True):
            plane *= light
            plane += np.float32(black) * dark
        thick = np.clip((lines.lower - lines.upper) * 0.2, 0, 0.024 * e)
        soft, (across_upper, across_lower) = 1.3 * self._soft, lines.across
        for rolled, colour, amount in (
            (lines.between(lines.lower - thick, lines.lower + 2, soft, (across_lower, across_lower)), inner.lip_lower, 0.8),
            (lines.between(lines.upper - 2, lines.upper + 0.5 * thick, soft, (across_upper, across_upper)), inner.lip_upper, 0.5),
        ):
            rolled *= np.float32(amount)
            keep = 1.0 - rolled
            for plane, value in zip(ground, colour, strict=True):
                plane *= keep
                plane += np.float32(value) * rolled
        return cv2.convertScaleAbs(cv2.merge([y, u, v, spare]))

    def _light(self, pose: MouthPose, lines: _Lines) -> Array:
        """The shadow of the upper lip, deeper where the mouth is only parted, and the dark towards the corners: float32 (h, w), 0 to 1."""
        below = np.maximum((lines.y - lines.upper) * np.float32(-1 / (0.085 * self._unit)), -30.0)
        light = np.exp(np.minimum(below, 0.0, out=below), out=below)
        light *= -0.14
        light += 1.0
        centre, half = (pose.upper[0, 0] + pose.upper[-1, 0]) / 2, max((pose.upper[-1, 0] - pose.upper[0, 0]) / 2, 1.0)
        across = np.clip(1.0 - 0.7 * np.abs((lines.x - centre) / half) ** 2.6, 0.2, 1.0)
        # Lips that stand out shade what is behind: the more they are pushed forward, the deeper the teeth lie in the dark.
        light *= (across * (1.0 - 0.22 * pose.rounded) * (1.0 - 0.55 * pose.protruded)).astype(np.float32)
        return light

    def _lay(self, patch: Patch, pose: MouthPose, dx: float, dy: float, border: int = cv2.BORDER_CONSTANT) -> Array:
        """Place a patch in the box: its anchor at the middle of the seam, moved by (dx, dy) and by the head."""
        c, s = np.cos(np.deg2rad(pose.head[2])), np.sin(np.deg2rad(pose.head[2]))
        x = self._home[0] + pose.shift[0] + c * dx - s * dy - pose.box[0]
        y = self._home[1] + pose.shift[1] + s * dx + c * dy - pose.box[1]
        ax, ay = patch.anchor
        matrix = np.array([[c, -s, x - c * ax + s * ay], [s, c, y - s * ax - c * ay]], np.float64)
        size = (pose.box[2] - pose.box[0], pose.box[3] - pose.box[1])
        return cv2.warpAffine(patch.yuva, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)


def _look_up(texture: NDArray[np.uint8], sources: Array) -> NDArray[np.uint8]:
    """Return what lies at `sources` (h, w, 2): in fixed point, which costs a third less than in floats, the conversion included."""
    places, fractions = cv2.convertMaps(sources, None, cv2.CV_16SC2)
    return np.asarray(cv2.remap(texture, places, fractions, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.uint8)


class _Lines:
    """The edges of the lips as heights at every column of a pose's box, and soft masks between such lines."""

    def __init__(self, pose: MouthPose) -> None:
        left, top, right, bottom = pose.box
        self.x = np.arange(left, right, dtype=np.float32)
        self.y = np.arange(top, bottom, dtype=np.float32)[:, None]
        self.upper, self.lower, self.middle = (
            np.interp(self.x, np.maximum.accumulate(line[:, 0]), line[:, 1]).astype(np.float32) for line in (pose.upper, pose.lower, pose.middle)
        )

    @cached_property
    def across(self) -> tuple[Array, Array]:
        """How long a px across the upper and across the lower edge is for one down them, float32 (w,) each: a steep edge shall not show steps."""
        fall = np.zeros((2, len(self.x)), np.float32)
        for row, line in zip(fall, (self.upper, self.lower), strict=True):
            np.subtract(line[2:], line[:-2], out=row[1:-1])  # over two columns
        fall *= fall
        upper, lower = 1.0 / np.sqrt(1.0 + np.minimum(0.25 * fall, _STEEP * _STEEP))
        return upper, lower

    def under(self, line: Array, soft: float, across: Array | float = 1.0) -> Array:
        """Return, float32 (h, w), 0 above `line` (w,) and 1 under it; `soft`: px of standard deviation of the step, counted by `across`."""
        step = (self.y - line) * (np.float32(1 / (2.6 * soft + 0.8)) * across)
        step += 0.5
        return np.minimum(np.maximum(step, 0.0, out=step), 1.0, out=step)

    def between(self, upper: Array, lower: Array, soft: float, across: tuple[Array, Array]) -> Array:
        """Return, float32 (h, w), 1 between two lines with soft edges, 0 where they meet; `across`: that of the upper and of the lower line."""
        return np.maximum(self.under(upper, soft, across[0]) - self.under(lower, soft, across[1]), 0.0)
