"""The CPU renderer: displacement fields summed, inverted and applied with one cv2.remap; the mouth's layers on top; straight to I420."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX, MotionFrame
from visavis.engine.render.colour import planes
from visavis.engine.render.fields import MOUTH_COLUMNS, SKIN_COLUMNS, total, weigh
from visavis.engine.render.landmarks import FaceGeometry
from visavis.engine.render.mouth import Mouth
from visavis.engine.render.pack import AvatarPack
from visavis.engine.render.plan import RenderPlan, plan_for, to_texture
from visavis.engine.render.warp import Inverse, spread

Array = NDArray[np.float32]

STRIP_PX = 192  # even; fewer make more calls, more leave the cache: 192 was best of 32 to 512
NOBODY = (0, 0, 0, 255)  # of the texture: fully clear; a constant border is a fifth faster than any other
GAZE_STEPS = 50  # from the middle to the end of its reach; a step is a fifteenth of a px at 512x512
_EYES = slice(INDEX["eyeBlinkLeft"], INDEX["eyeLookY"] + 1)


class CpuRenderer:
    """One avatar at one output size (even numbers). Implements the Renderer port; what it can share with others of the same size it shares."""

    def __init__(self, pack: AvatarPack, width_px: int, height_px: int) -> None:
        assert width_px % 2 == 0 and height_px % 2 == 0, (width_px, height_px)
        self.width_px, self.height_px = width_px, height_px
        plan = plan_for(pack, width_px, height_px)
        self.plan: RenderPlan = plan
        self._texture = plan.texture.copy()
        self._painted = [(0.0, 0.0, 0.0), (0.0, 0.0, 0.0)]  # what each eye of the texture shows: lid, look_x, look_y
        self._inverse = Inverse(plan.grid)
        self._mouth_inverse = Inverse(plan.mouth_grid)
        x, y = plan.grid.nodes()
        self._nodes = np.ascontiguousarray(np.stack([x, y], axis=-1))
        self._mouth_nodes = np.ascontiguousarray(self._nodes[plan.mouth_rows, plan.mouth_columns])
        self._mouth = Mouth(plan)
        self._out = plan.still.copy()
        self._planes = planes(self._out, width_px, height_px)
        self._stills = planes(plan.still, width_px, height_px)
        self._shown: tuple[bytes, float, float, float] | None = None

    @property
    def face(self) -> FaceGeometry:
        """Where the resting face is in the output."""
        return self.plan.face

    def render(self, motion: MotionFrame) -> NDArray[np.uint8]:
        """Return the picture as I420, uint8 (height_px * 3 // 2, width_px); see the port."""
        key = (motion.coefficients.tobytes(), motion.yaw_deg, motion.pitch_deg, motion.roll_deg)
        if key == self._shown:
            return self._out
        weights = weigh(motion)
        self._paint_eyes(motion)
        upper, lower = self._sources(weights)
        plan = self.plan
        both = upper
        mouth = self._mouth.pose(weights) if lower is not None else None
        if lower is not None and mouth is not None:
            both = upper.copy()
            part = both[plan.mouth_rows, plan.mouth_columns]
            np.copyto(part, lower, where=self._mouth.below(self._mouth_nodes, mouth)[..., None])
        self._draw(both, plan.region)
        if mouth is not None and lower is not None:
            self._mouth.draw(self._out, self._texture, upper[plan.mouth_rows, plan.mouth_columns], lower, mouth)
        self._shown = key
        return self._out

    def _paint_eyes(self, motion: MotionFrame) -> None:
        right_lid, left_lid, look_x, look_y = (float(v) for v in motion.coefficients[_EYES])  # ARKit's left eye is on the viewer's right
        look_x, look_y = round(look_x * GAZE_STEPS) / GAZE_STEPS, round(look_y * GAZE_STEPS) / GAZE_STEPS
        follow = max(0.0, look_y) * 0.22  # lids follow a lowered gaze
        for i, lid in enumerate((left_lid, right_lid)):
            wanted = (max(lid, follow), look_x, look_y)
            if wanted != self._painted[i]:
                self.plan.eyes[i].paint(self._texture, *wanted)
                self._painted[i] = wanted

    def _sources(self, weights: Array) -> tuple[Array, Array | None]:
        """Return where each node's px comes from, in texture px: for the upper layer on the grid, for the lower one on the mouth's part of it."""
        plan = self.plan
        field = total(weights[SKIN_COLUMNS], plan.skin).reshape(plan.grid.ny, plan.grid.nx, 2)
        said = weights[MOUTH_COLUMNS]
        if not said.any():
            return to_texture(self._nodes - self._inverse.solve(field, 2), plan.zoom, plan.origin), None
        rows, columns = plan.mouth_rows, plan.mouth_columns
        part = np.ascontiguousarray(field[rows, columns])
        u = self._inverse.solve(field, 2)
        part += total(said, plan.mouth).reshape(part.shape)
        u[rows, columns] = self._mouth_inverse.solve(part, 5)
        part += total(said, plan.jump).reshape(part.shape)
        lower = to_texture(self._mouth_nodes - self._mouth_inverse.solve(part, 6), plan.zoom, plan.origin)
        return to_texture(self._nodes - u, plan.zoom, plan.origin), lower

    def _draw(self, sources: Array, region: tuple[int, int, int, int]) -> None:
        """Warp the person over the still background in `region` of the output, strip by strip: what one step writes the next finds in cache."""
        left, top, right, bottom = region
        for begin in range(top, bottom, STRIP_PX):
            self._draw_strip(sources, (left, begin, right, min(begin + STRIP_PX, bottom)))

    def _draw_strip(self, sources: Array, strip: tuple[int, int, int, int]) -> None:
        plan = self.plan
        left, top, right, bottom = strip
        rows, columns, grid = plan.grid.part(*strip)
        fixed, fraction = cv2.convertMaps(spread(sources[rows, columns], grid, *strip), None, cv2.CV_16SC2)
        seen = cv2.remap(self._texture, fixed, fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=NOBODY)
        half = cv2.resize(seen, ((right - left) // 2, (bottom - top) // 2), interpolation=cv2.INTER_AREA)
        for channel, (picture, step) in enumerate(((seen, 1), (half, 2), (half, 2))):
            rows, columns = slice(top // step, bottom // step), slice(left // step, right // step)
            clear = cv2.extractChannel(picture, 3)
            ground = cv2.multiply(self._stills[channel][rows, columns], clear, scale=1 / 255)
            cv2.add(cv2.extractChannel(picture, channel), ground, dst=self._planes[channel][rows, columns])
