"""The CPU renderer: displacement fields summed, inverted and applied by compiled kernels; the mouth's layers on top;
straight to I420.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visavis.engine import native
from visavis.engine.motion.frame import INDEX, MotionFrame
from visavis.engine.render.backdrop import AS_EVER, PHOTO, Backdrop, Framing
from visavis.engine.render.colour import planes
from visavis.engine.render.fields import COLUMN, MOUTH_COLUMNS, SKIN_COLUMNS, weigh
from visavis.engine.render.landmarks import FaceGeometry
from visavis.engine.render.mouth import Mouth
from visavis.engine.render.pack import AvatarPack
from visavis.engine.render.plan import REACH, Box, RenderPlan, plan_for, to_texture

Array = NDArray[np.float32]
Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

NOBODY = (0, 0, 0, 255)  # of the texture: fully clear
GAZE_STEPS = 50  # from the middle to the end of its reach; a step is a fifteenth of a px at 512x512
LID_STEPS = 40  # of a squint and of eyes wide open
# they stretch skin more than a head's turn does
_MOOD = [COLUMN[name] for name in ("moodSmile", "mouthFrown", "mouthShrugLower")]
# Output px: a strip in which nothing has moved by more since it was drawn is left as it is; the same of a frame that is
# late already.
STILL_PX, STILL_IN_HURRY_PX = 0.08, 0.5
_EYES = slice(INDEX["eyeBlinkLeft"], INDEX["eyeWide"] + 1)


class CpuRenderer:
    """One avatar at one output size (even numbers). Implements the Renderer port; what it can share with others of the
    same size it shares.
    """

    def __init__(
        self,
        pack: AvatarPack,
        width_px: int,
        height_px: int,
        backdrop: Backdrop = PHOTO,
        framing: Framing = AS_EVER,
        image: Path | None = None,
    ) -> None:
        """`image`: the file of the backdrop's picture, where it has one. Raises BackgroundRefused when it cannot be
        read.
        """
        assert width_px % 2 == 0 and height_px % 2 == 0, (width_px, height_px)
        self.width_px, self.height_px = width_px, height_px
        self.backdrop, self.framing = backdrop, framing
        plan = plan_for(pack, width_px, height_px, backdrop, framing, image)
        self.plan: RenderPlan = plan
        self._texture = native.framed(plan.texture, NOBODY)
        self._lids = pack.lids
        # what each eye of the texture shows: lid, look_x, look_y, squint, wide
        self._painted = [(0.0,) * 5, (0.0,) * 5]
        self._creased = plan.creases.depths(np.zeros(len(COLUMN), np.float32))  # the folds that the texture shows
        x, y = plan.grid.nodes()
        self._nodes = np.ascontiguousarray(np.stack([x, y], axis=-1))
        self._mouth_nodes = np.ascontiguousarray(self._nodes[plan.mouth_rows, plan.mouth_columns])
        self._at_rest = to_texture(self._nodes.copy(), plan.zoom, plan.origin)
        self._mouth_at_rest = np.ascontiguousarray(self._at_rest[plan.mouth_rows, plan.mouth_columns])
        self._field, self._u, self._upper, self._both = (np.empty_like(self._nodes) for _ in range(4))
        self._mouth_field, self._mouth_u, self._lower = (np.empty_like(self._mouth_nodes) for _ in range(3))
        self._work = native.work_for(plan.grid.nx, plan.grid.ny)
        self._scratch = native.scratch_for(plan.region[2] - plan.region[0], plan.grid.cell)
        self._mouth = Mouth(plan)
        self._out = plan.still.copy()
        self._planes = planes(self._out, width_px, self.picture_height_px)
        self._grid = native.Grid(nodes=native.address(self._both), across=plan.grid.nx, cell=plan.grid.cell)
        upper_lip = native.address(self._upper[plan.mouth_rows, plan.mouth_columns])
        self._upper_lip = native.Grid(nodes=upper_lip, across=plan.grid.nx, cell=plan.grid.cell)
        self._lower_lip = native.Grid(nodes=native.address(self._lower), across=plan.mouth_grid.nx, cell=plan.grid.cell)
        self._looked_up = native.Texture.of(self._texture)
        self._strips = _Strips(plan, self._planes, height_px if backdrop.transparent else None)
        # of the picture, that show what was painted into the texture for this frame
        self._painted_rows: list[tuple[int, int]] = []
        self._mouth_rows = (0, 0)  # of the picture, that the mouth was last drawn over
        self._shown: tuple[bytes, float, float, float] | None = None

    @property
    def picture_height_px(self) -> int:
        """How high the pictures of `render` are: twice the height where the matte stands below the colours."""
        return self.height_px * (2 if self.backdrop.transparent else 1)

    @property
    def face(self) -> FaceGeometry:
        """Where the resting face is in the output."""
        return self.plan.face

    def render(self, motion: MotionFrame, *, hurried: bool = False) -> NDArray[np.uint8]:
        """Return the picture as I420, uint8 (picture_height_px * 3 // 2, width_px); see the port."""
        key = (motion.coefficients.tobytes(), motion.yaw_deg, motion.pitch_deg, motion.roll_deg)
        if key == self._shown:
            return self._out
        weights = weigh(motion)
        self._painted_rows = []
        self._paint_eyes(motion)
        self._paint_creases(weights)
        speaks = self._find_sources(weights)
        plan = self.plan
        mouth = self._mouth.pose(weights) if speaks else None
        np.copyto(self._both, self._upper)
        if mouth is not None:
            part = self._both[plan.mouth_rows, plan.mouth_columns]
            np.copyto(part, self._lower, where=self._mouth.below(self._mouth_nodes, mouth)[..., None])
        self._draw((STILL_IN_HURRY_PX if hurried else STILL_PX) * plan.zoom)
        self._mouth_rows = (mouth.box[1], mouth.box[3]) if mouth is not None else (0, 0)
        if mouth is not None:
            self._mouth.draw(self._planes, self._looked_up, self._upper_lip, self._lower_lip, mouth)
        self._shown = None if hurried else key
        return self._out

    def _paint_eyes(self, motion: MotionFrame) -> None:
        # ARKit's left is on the viewer's right
        right_lid, left_lid, look_x, look_y, squint, wide = (float(v) for v in motion.coefficients[_EYES])
        look_x, look_y = round(look_x * GAZE_STEPS) / GAZE_STEPS, round(look_y * GAZE_STEPS) / GAZE_STEPS
        squint, wide = round(squint * LID_STEPS) / LID_STEPS, round(wide * LID_STEPS) / LID_STEPS
        follow = max(0.0, look_y) * 0.22  # lids follow a lowered gaze
        for i, (lid, free) in enumerate(zip((left_lid, right_lid), self._lids, strict=True)):
            wanted = (max(lid, follow) * free, look_x * free, look_y * free, squint * free, wide * free)
            if wanted != self._painted[i]:
                self.plan.eyes[i].paint(self._texture, *wanted)
                self._painted[i] = wanted
                self._note_painted(self.plan.eyes[i].box)

    def _paint_creases(self, weights: Array) -> None:
        wanted = self.plan.creases.depths(weights)
        if wanted != self._creased:
            for box in self.plan.creases.paint(self._texture, wanted, self._creased):
                self._note_painted(box)
            self._creased = wanted

    def _note_painted(self, box: Box) -> None:
        """Remember which rows of the picture may show a part of the texture that has changed: texture px, left, top,
        right, bottom.
        """
        plan = self.plan
        reach = REACH * plan.face.unit
        self._painted_rows.append(
            (int(plan.origin[1] + box[1] / plan.zoom - reach), int(plan.origin[1] + box[3] / plan.zoom + reach) + 1)
        )

    def _find_sources(self, weights: Array) -> bool:
        """Find where each node's px comes from, in texture px: for the upper layer on the grid, and, if the mouth
        speaks, for the lower one on the mouth's part of it. Return whether it does.
        """
        plan, cell = self.plan, self.plan.grid.cell
        native.total(weights[SKIN_COLUMNS], plan.skin, self._field.reshape(-1))
        said = weights[MOUTH_COLUMNS]
        rounds = 4 if weights[_MOOD].any() else 2
        if not said.any():
            native.invert(self._field, cell, rounds, self._at_rest, plan.zoom, self._work, self._upper)
            return False
        at = plan.mouth_rows, plan.mouth_columns
        native.invert(self._field, cell, rounds, None, 1.0, self._work, self._u)
        np.copyto(self._mouth_field, self._field[at])
        native.total(said, plan.mouth, self._mouth_field.reshape(-1), add=True)
        native.invert(self._mouth_field, cell, 5, None, 1.0, self._work, self._mouth_u)
        self._u[at] = self._mouth_u
        native.total(said, plan.jump, self._mouth_field.reshape(-1), add=True)
        native.invert(self._mouth_field, cell, 6, self._mouth_at_rest, plan.zoom, self._work, self._lower)
        np.multiply(self._u, np.float32(-plan.zoom), out=self._upper)
        np.add(self._upper, self._at_rest, out=self._upper)
        return True

    def _draw(self, still_by: float) -> None:
        """Warp the person over the still background: the strips in which a node has moved by more than `still_by`
        texture px, and those that show what has been painted since, or the mouth of the frame before.
        """
        changed = np.array([*self._painted_rows, self._mouth_rows], np.int32) - self.plan.grid.y0
        native.draw(self._strips.all, self._grid, self._looked_up, still_by, changed, self._scratch)


class _Strips:
    """The parts of the picture as the kernel takes them, and the arrays that these point at."""

    def __init__(self, plan: RenderPlan, out: Planes, matte_top: int | None) -> None:
        """`matte_top`: the row at which the matte begins, if there is one."""
        self._kept: list[NDArray[np.generic]] = [plan.still, *out]
        height = len(out[0])
        still = planes(plan.still, plan.width_px, height)
        self.all = (native.Strip * len(plan.strips))()
        for strip, box in zip(self.all, plan.strips, strict=True):
            left, top, right, bottom = box
            rows, columns, _ = plan.grid.under(*box)
            first = (top - plan.region[1]) // 2
            spans = np.ascontiguousarray(
                np.maximum(plan.spans[first : first + (bottom - top) // 2] - left, 0), np.int32
            )
            drawn = np.empty((rows.stop - rows.start, columns.stop - columns.start, 2), np.float32)
            self._kept += [spans, drawn]
            strip.left, strip.top, strip.width, strip.height = (
                left - plan.grid.x0,
                top - plan.grid.y0,
                right - left,
                bottom - top,
            )
            strip.spans, strip.drawn = native.address(spans), native.address(drawn)
            strip.first_row, strip.last_row, strip.first_column, strip.last_column = (
                rows.start,
                rows.stop - 1,
                columns.start,
                columns.stop - 1,
            )
            for channel, step in enumerate((1, 2, 2)):
                at = slice(top // step, bottom // step), slice(left // step, right // step)
                strip.still[channel], strip.out[channel] = (
                    native.address(still[channel][at]),
                    native.address(out[channel][at]),
                )
                strip.stride[channel] = out[channel].strides[0]
            if matte_top is not None:
                strip.matte, strip.matte_stride = (
                    native.address(out[0][matte_top + top : matte_top + bottom, left:right]),
                    out[0].strides[0],
                )
