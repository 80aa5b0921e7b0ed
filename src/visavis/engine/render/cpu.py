"""The CPU renderer: compiled kernels sum, invert and apply displacement fields; the mouth is drawn on top.

It draws directly into I420.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visavis.engine import native
from visavis.engine.colour import planes
from visavis.engine.landmarks import FaceGeometry
from visavis.engine.motion.frame import INDEX, SPOKEN_COUNT, MotionFrame
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.render.backdrop import DEFAULT_FRAMING, PHOTO, Backdrop, Framing
from visavis.engine.render.field_weights import FieldWeights
from visavis.engine.render.mouth import Mouth
from visavis.engine.render.plan import MOTION_REACH, Box, RenderPlan, plan_for, to_texture

Array = NDArray[np.float32]
Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

NOBODY = (0, 0, 0, 255)  # a texel that is fully transparent
GAZE_STEPS = 50  # from the middle to the end of the gaze's reach; one step is a fifteenth of a px at 512x512
LID_STEPS = 40  # from no squint to a full one, and from no widening of the eyes to a full one
LID_FOLLOWS_GAZE = 0.22  # how far the lids close when the gaze is fully lowered
# A strip is redrawn only if something in it has moved by more than this since it was last drawn, output px. The second
# value holds for hurried frames.
UNSEEN_MOTION_PX, UNSEEN_MOTION_HURRIED_PX = 0.08, 0.5
# Rounds of substitution that invert a field (native.invert): for the head, for the head with a mood, for the upper and
# for the lower layer of a mouth that speaks. More where skin is stretched more. They bring the error under 0.1 px.
HEAD_ROUNDS, MOOD_ROUNDS, UPPER_LAYER_ROUNDS, LOWER_LAYER_ROUNDS = 2, 4, 5, 6
_MOOD = slice(INDEX["moodSmile"], INDEX["mouthShrugLower"] + 1)
_EYES = slice(INDEX["eyeBlinkLeft"], INDEX["eyeWide"] + 1)


class CpuRenderer:
    """One avatar at one output size (even numbers). Implements the Renderer port.

    Renderers of the same avatar, size and background share one plan.
    """

    def __init__(
        self,
        pack: AvatarPack,
        width_px: int,
        height_px: int,
        backdrop: Backdrop = PHOTO,
        framing: Framing = DEFAULT_FRAMING,
        image: Path | None = None,
    ) -> None:
        """`image`: the file of the picture, for a background of the kind "image". Raises PictureUnreadable."""
        assert width_px % 2 == 0 and height_px % 2 == 0, (width_px, height_px)
        self.width_px, self.height_px = width_px, height_px
        self.backdrop, self.framing = backdrop, framing
        plan = plan_for(pack, width_px, height_px, backdrop, framing, image)
        self.plan: RenderPlan = plan
        self._texture = native.with_border(plan.texture, NOBODY)
        self._lids = pack.lids
        # What the texture shows now; changes when eyes or folds are painted. Of each eye: lid, look_x, look_y, squint,
        # wide.
        self._painted_eyes = [(0.0,) * 5, (0.0,) * 5]
        self._weights = FieldWeights()
        self._painted_folds = plan.folds.depths(self._weights.values)
        self._out = plan.still.copy()
        self._planes = planes(self._out, width_px, self.picture_height_px)
        self._mouth = Mouth(plan, self._planes, self._weights.values)
        self._keep_fields(plan)
        self._native_texture = native.Texture.of(self._texture)
        self._strips = _Strips(plan, self._planes, height_px if backdrop.transparent else None)
        # Rows of the picture, (first, end): those that show what this frame painted into the texture, and those over
        # which the mouth was drawn last.
        self._painted_rows: list[tuple[int, int]] = []
        self._mouth_rows = (0, 0)
        self._shown: tuple[bytes, float, float, float] | None = None  # the motion of the picture in `_out`

    def _keep_fields(self, plan: RenderPlan) -> None:
        """Make the arrays of the nodes, which every frame writes anew, and all that the kernels need to find them."""
        grid, part = plan.grid, plan.mouth_grid
        left, top = plan.mouth_columns.start, plan.mouth_rows.start
        nodes = np.ascontiguousarray(np.stack(grid.nodes(), axis=-1))
        at_rest = to_texture(nodes.copy(), plan.zoom, plan.origin)
        mouth_at_rest = np.ascontiguousarray(at_rest[plan.mouth_rows, plan.mouth_columns])
        field, self._upper, self._both = (np.empty_like(nodes) for _ in range(3))
        mouth_field, self._lower = (np.empty_like(mouth_at_rest) for _ in range(2))
        work = native.invert_scratch(grid.nx, grid.ny)
        scratch = native.row_scratch(plan.region[2] - plan.region[0], grid.cell)
        self._kept = at_rest, mouth_at_rest, field, mouth_field, work, scratch
        self._scratch = native.address(scratch)
        self._sources = native.Sources(
            across=grid.nx,
            down=grid.ny,
            cell=grid.cell,
            mouth_left=left,
            mouth_top=top,
            mouth_across=part.nx,
            mouth_down=part.ny,
            face_rows=len(plan.face_fields),
            mouth_rows=len(plan.mouth_fields),
            face_fields=native.address(plan.face_fields),
            mouth_fields=native.address(plan.mouth_fields),
            jump_fields=native.address(plan.jump_fields),
            at_rest=native.address(at_rest),
            mouth_at_rest=native.address(mouth_at_rest),
            zoom=plan.zoom,
            field=native.address(field),
            mouth_field=native.address(mouth_field),
            work=native.address(work),
            upper=native.address(self._upper),
            lower=native.address(self._lower),
            both=native.address(self._both),
        )
        weights = self._weights
        self._weights_at = native.address(weights.face), native.address(weights.mouth)
        self._lower_at, self._both_at = native.address(self._lower), native.address(self._both[top, left])
        self._grid = native.Grid(nodes=native.address(self._both), across=grid.nx, cell=grid.cell)
        self._upper_lip = native.Grid(nodes=native.address(self._upper[top, left]), across=grid.nx, cell=grid.cell)
        self._lower_lip = native.Grid(nodes=native.address(self._lower), across=part.nx, cell=grid.cell)

    @property
    def picture_height_px(self) -> int:
        """The height of the pictures of `render`: twice `height_px` with a transparent background, whose matte is
        below the colours.
        """
        return self.height_px * (2 if self.backdrop.transparent else 1)

    @property
    def face(self) -> FaceGeometry:
        """The geometry of the resting face in the output."""
        return self.plan.face

    def render(self, motion: MotionFrame, *, hurried: bool = False) -> NDArray[np.uint8]:
        """Return the picture as I420, uint8 (picture_height_px * 3 // 2, width_px); see the port."""
        key = (motion.coefficients.tobytes(), motion.yaw_deg, motion.pitch_deg, motion.roll_deg)
        if key == self._shown:
            return self._out
        coefficients: list[float] = motion.coefficients.tolist()
        self._weights.set(motion, coefficients)
        self._painted_rows = []
        self._paint_eyes(coefficients)
        self._paint_folds()
        speaks = self._find_sources(coefficients)
        mouth = self._mouth.pose() if speaks else None
        if mouth is not None:
            self._mouth.join_layers(self._lower_at, self._both_at)
        self._draw((UNSEEN_MOTION_HURRIED_PX if hurried else UNSEEN_MOTION_PX) * self.plan.zoom)
        self._mouth_rows = (mouth.box[1], mouth.box[3]) if mouth is not None else (0, 0)
        if mouth is not None:
            self._mouth.draw(self._native_texture, self._upper_lip, self._lower_lip, mouth)
        self._shown = None if hurried else key
        return self._out

    def _paint_eyes(self, coefficients: list[float]) -> None:
        # ARKit's left is the person's left, which is the viewer's right.
        right_lid, left_lid, look_x, look_y, squint, wide = coefficients[_EYES]
        look_x, look_y = round(look_x * GAZE_STEPS) / GAZE_STEPS, round(look_y * GAZE_STEPS) / GAZE_STEPS
        squint, wide = round(squint * LID_STEPS) / LID_STEPS, round(wide * LID_STEPS) / LID_STEPS
        follow = max(0.0, look_y) * LID_FOLLOWS_GAZE
        for i, (lid, free) in enumerate(zip((left_lid, right_lid), self._lids, strict=True)):
            wanted = (max(lid, follow) * free, look_x * free, look_y * free, squint * free, wide * free)
            if wanted != self._painted_eyes[i]:
                self.plan.eyes[i].paint(self._texture, *wanted)
                self._painted_eyes[i] = wanted
                self._note_painted(self.plan.eyes[i].box)

    def _paint_folds(self) -> None:
        wanted = self.plan.folds.depths(self._weights.values)
        if wanted != self._painted_folds:
            for box in self.plan.folds.paint(self._texture, wanted, self._painted_folds):
                self._note_painted(box)
            self._painted_folds = wanted

    def _note_painted(self, box: Box) -> None:
        """Remember which rows of the picture may show `box` of the texture, which has changed; texture px."""
        plan = self.plan
        reach = MOTION_REACH * plan.face.unit
        self._painted_rows.append(
            (int(plan.origin[1] + box[1] / plan.zoom - reach), int(plan.origin[1] + box[3] / plan.zoom + reach) + 1)
        )

    def _find_sources(self, coefficients: list[float]) -> bool:
        """Find the place in the texture from which each node's px comes, texture px.

        Write it into `_upper` for the upper layer, on the whole grid. If the mouth speaks, write it into `_lower` for
        the lower layer, on the mouth's part of the grid. `_both` becomes a copy of `_upper`. Return whether the mouth
        speaks.
        """
        speaks = any(coefficients[:SPOKEN_COUNT])
        head_rounds = MOOD_ROUNDS if any(coefficients[_MOOD]) else HEAD_ROUNDS
        native.find_sources(
            self._sources,
            *self._weights_at,
            speaks=speaks,
            rounds=(head_rounds, UPPER_LAYER_ROUNDS, LOWER_LAYER_ROUNDS),
        )
        return speaks

    def _draw(self, unseen_motion: float) -> None:
        """Warp the person over the still picture.

        Only these strips are drawn: those in which a node has moved by more than `unseen_motion` texture px, those that
        show what this frame painted, and those over which the last frame drew the mouth.
        """
        first = self.plan.grid.y0
        changed = [(begin - first, end - first) for begin, end in (*self._painted_rows, self._mouth_rows)]
        native.draw_strips(self._strips.all, self._grid, self._native_texture, unseen_motion, changed, self._scratch)


class _Strips:
    """The strips in the form that the kernel takes, and the arrays to which they point."""

    def __init__(self, plan: RenderPlan, out: Planes, matte_top: int | None) -> None:
        """`matte_top`: the row of the picture at which the matte begins, None without a matte."""
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
