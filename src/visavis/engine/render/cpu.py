"""The CPU renderer: displacement fields summed, inverted and applied with one cv2.remap; the mouth's layers on top; straight to I420."""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX, MotionFrame
from visavis.engine.render.backdrop import AS_EVER, PHOTO, Backdrop, Framing
from visavis.engine.render.colour import planes
from visavis.engine.render.fields import COLUMN, MOUTH_COLUMNS, SKIN_COLUMNS, total, weigh
from visavis.engine.render.landmarks import FaceGeometry
from visavis.engine.render.layers import MATTE_BLACK, MATTE_WHITE
from visavis.engine.render.mouth import Mouth
from visavis.engine.render.pack import AvatarPack
from visavis.engine.render.plan import REACH, Box, RenderPlan, plan_for, to_texture
from visavis.engine.render.warp import Inverse

Array = NDArray[np.float32]
Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

NOBODY = (0, 0, 0, 255)  # of the texture: fully clear; a constant border is a fifth faster than any other
GAZE_STEPS = 50  # from the middle to the end of its reach; a step is a fifteenth of a px at 512x512
MATTE_STEP = (MATTE_WHITE - MATTE_BLACK) / 255.0
LID_STEPS = 40  # of a squint and of eyes wide open
_MOOD = [COLUMN[name] for name in ("moodSmile", "mouthFrown", "mouthShrugLower")]  # they stretch skin more than a head's turn does
# Output px: a strip in which nothing has moved by more since it was drawn is left as it is; the same of a frame that is late already.
STILL_PX, STILL_IN_HURRY_PX = 0.08, 0.5
_EYES = slice(INDEX["eyeBlinkLeft"], INDEX["eyeWide"] + 1)


class CpuRenderer:
    """One avatar at one output size (even numbers). Implements the Renderer port; what it can share with others of the same size it shares."""

    def __init__(self, pack: AvatarPack, width_px: int, height_px: int, backdrop: Backdrop = PHOTO, framing: Framing = AS_EVER) -> None:
        assert width_px % 2 == 0 and height_px % 2 == 0, (width_px, height_px)
        self.width_px, self.height_px = width_px, height_px
        self.backdrop, self.framing = backdrop, framing
        plan = plan_for(pack, width_px, height_px, backdrop, framing)
        self.plan: RenderPlan = plan
        self._texture = plan.texture.copy()
        self._lids = pack.lids
        self._painted = [(0.0,) * 5, (0.0,) * 5]  # what each eye of the texture shows: lid, look_x, look_y, squint, wide
        self._creased = plan.creases.depths(np.zeros(len(COLUMN), np.float32))  # the folds that the texture shows
        self._inverse = Inverse(plan.grid)
        self._mouth_inverse = Inverse(plan.mouth_grid)
        x, y = plan.grid.nodes()
        self._nodes = np.ascontiguousarray(np.stack([x, y], axis=-1))
        self._mouth_nodes = np.ascontiguousarray(self._nodes[plan.mouth_rows, plan.mouth_columns])
        self._at_rest = to_texture(self._nodes.copy(), plan.zoom, plan.origin)
        self._mouth_at_rest = np.ascontiguousarray(self._at_rest[plan.mouth_rows, plan.mouth_columns])
        self._mouth = Mouth(plan)
        self._out = plan.still.copy()
        stills, self._planes = (planes(picture, width_px, self.picture_height_px) for picture in (plan.still, self._out))
        matte = self._planes[0][height_px:] if backdrop.transparent else None
        memory = _Memory()
        largest_first = sorted(plan.strips, key=lambda strip: (strip[2] - strip[0]) * (strip[3] - strip[1]), reverse=True)
        self._strips = [_Strip(plan, strip, stills, self._planes, matte, memory) for strip in largest_first]
        self._painted_rows: list[tuple[int, int]] = []  # of the picture, that show what was painted into the texture for this frame
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
        upper, lower = self._sources(weights)
        plan = self.plan
        both = upper
        mouth = self._mouth.pose(weights) if lower is not None else None
        if lower is not None and mouth is not None:
            both = upper.copy()
            part = both[plan.mouth_rows, plan.mouth_columns]
            np.copyto(part, lower, where=self._mouth.below(self._mouth_nodes, mouth)[..., None])
        self._draw(both, (STILL_IN_HURRY_PX if hurried else STILL_PX) * plan.zoom)
        self._mouth_rows = (mouth.box[1], mouth.box[3]) if mouth is not None else (0, 0)
        if mouth is not None and lower is not None:
            self._mouth.draw(self._planes, self._texture, upper[plan.mouth_rows, plan.mouth_columns], lower, mouth)
        self._shown = None if hurried else key
        return self._out

    def _paint_eyes(self, motion: MotionFrame) -> None:
        right_lid, left_lid, look_x, look_y, squint, wide = (float(v) for v in motion.coefficients[_EYES])  # ARKit's left is on the viewer's right
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
        """Remember which rows of the picture may show a part of the texture that has changed: texture px, left, top, right, bottom."""
        plan = self.plan
        reach = REACH * plan.face.unit
        self._painted_rows.append((int(plan.origin[1] + box[1] / plan.zoom - reach), int(plan.origin[1] + box[3] / plan.zoom + reach) + 1))

    def _sources(self, weights: Array) -> tuple[Array, Array | None]:
        """Return where each node's px comes from, in texture px: for the upper layer on the grid, for the lower one on the mouth's part of it."""
        plan = self.plan
        field = total(weights[SKIN_COLUMNS], plan.skin).reshape(plan.grid.ny, plan.grid.nx, 2)
        said = weights[MOUTH_COLUMNS]
        rounds = 4 if weights[_MOOD].any() else 2
        if not said.any():
            return cv2.scaleAdd(self._inverse.solve(field, rounds), -plan.zoom, self._at_rest), None
        rows, columns = plan.mouth_rows, plan.mouth_columns
        part = np.ascontiguousarray(field[rows, columns])
        u = self._inverse.solve(field, rounds)
        part += total(said, plan.mouth).reshape(part.shape)
        u[rows, columns] = self._mouth_inverse.solve(part, 5)
        part += total(said, plan.jump).reshape(part.shape)
        lower = cv2.scaleAdd(self._mouth_inverse.solve(part, 6), -plan.zoom, self._mouth_at_rest)
        return cv2.scaleAdd(u, -plan.zoom, self._at_rest), lower

    def _draw(self, sources: Array, still_by: float) -> None:
        """Warp the person over the still background, strip by strip: what one step writes the next finds in cache. `still_by`: see _Strip.draw."""
        changed = (*self._painted_rows, self._mouth_rows)  # the mouth of the frame before lies over them
        for strip in self._strips:
            strip.draw(sources, self._texture, still_by=-1.0 if strip.touches(changed) else still_by)


class _Strip:
    """A part of the picture, and views of everything that drawing it needs: nothing is allocated for a frame."""

    def __init__(self, plan: RenderPlan, box: Box, stills: Planes, out: Planes, matte: NDArray[np.uint8] | None, memory: _Memory) -> None:
        left, top, right, bottom = box
        height, width = bottom - top, right - left
        rows, columns, grid = plan.grid.under(*box)
        self._top, self._bottom = top, bottom
        self._nodes = rows, columns
        self._drawn: Array | None = None  # the sources that it was last drawn from
        self._map = memory.view("map", (grid.ny * grid.cell, grid.nx * grid.cell, 2), np.float32)
        self._size = grid.nx * grid.cell, grid.ny * grid.cell
        self._part = self._map[top - grid.y0 : bottom - grid.y0, left - grid.x0 : right - grid.x0]
        self._fixed = memory.view("fixed", (height, width, 2), np.int16)
        self._fraction = memory.view("fraction", (height, width), np.uint16)
        self._seen = memory.view("seen", (height, width, 4), np.uint8)
        self._half = memory.view("half", (height // 2, width // 2, 4), np.uint8)
        self._matte = matte[top:bottom, left:right] if matte is not None else None
        self._layers = []
        for channel, (picture, step) in enumerate(((self._seen, 1), (self._half, 2), (self._half, 2))):
            at = slice(top // step, bottom // step), slice(left // step, right // step)
            shape = picture.shape[:2]
            ground, person = memory.view("ground", shape, np.uint8), memory.view("person", shape, np.uint8)
            self._layers.append((channel, picture, stills[channel][at], out[channel][at], ground, person))

    def touches(self, rows: Iterable[tuple[int, int]]) -> bool:
        """Whether any of these rows, each from and up to, lies here."""
        return any(first < self._bottom and last > self._top for first, last in rows)

    def draw(self, sources: Array, texture: NDArray[np.uint8], *, still_by: float) -> None:
        """Draw what the nodes' `sources`, texture px, bring here, unless none moved by more than `still_by` since they last did; below 0: always."""
        nodes = np.ascontiguousarray(sources[self._nodes])
        if self._drawn is not None and cv2.norm(nodes, self._drawn, cv2.NORM_INF) <= still_by:
            return
        self._drawn = nodes
        cv2.resize(nodes, self._size, dst=self._map, interpolation=cv2.INTER_LINEAR)
        cv2.convertMaps(self._part, None, cv2.CV_16SC2, self._fixed, self._fraction)
        cv2.remap(texture, self._fixed, self._fraction, cv2.INTER_LINEAR, self._seen, cv2.BORDER_CONSTANT, NOBODY)
        cv2.resize(self._seen, self._half.shape[1::-1], dst=self._half, interpolation=cv2.INTER_AREA)
        for channel, picture, still, out, ground, person in self._layers:
            cv2.extractChannel(picture, 3, ground)
            if channel == 0 and self._matte is not None:
                cv2.convertScaleAbs(ground, self._matte, -MATTE_STEP, MATTE_WHITE)
            cv2.multiply(still, ground, ground, 1 / 255)
            cv2.extractChannel(picture, channel, person)
            cv2.add(person, ground, out)


class _Memory:
    """Buffers that strips share, since one is drawn after the other: what the last one read is still in cache. Ask for the largest first."""

    def __init__(self) -> None:
        self._buffers: dict[str, NDArray[np.uint8]] = {}

    def view(self, kind: str, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[np.generic]:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if len(self._buffers.get(kind, ())) < size:
            self._buffers[kind] = np.empty(size, np.uint8)
        return self._buffers[kind][:size].view(dtype).reshape(shape)
