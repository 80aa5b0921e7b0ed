"""The CPU renderer: displacement fields summed, inverted and applied with one cv2.remap; the mouth's layers on top; straight to I420."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX, MOUTH_COUNT, MotionFrame
from visavis.engine.render.colour import planes
from visavis.engine.render.fields import weigh
from visavis.engine.render.landmarks import FaceGeometry
from visavis.engine.render.mouth import Mouth
from visavis.engine.render.pack import AvatarPack
from visavis.engine.render.plan import RenderPlan, plan_for
from visavis.engine.render.warp import Inverse, spread

Array = NDArray[np.float32]

_EYES = slice(INDEX["eyeBlinkLeft"], INDEX["eyeLookY"] + 1)


class CpuRenderer:
    """One avatar at one output size (even numbers). Implements the Renderer port; what it can share with others of the same size it shares."""

    def __init__(self, pack: AvatarPack, width_px: int, height_px: int) -> None:
        assert width_px % 2 == 0 and height_px % 2 == 0, (width_px, height_px)
        self.width_px, self.height_px = width_px, height_px
        plan = plan_for(pack, width_px, height_px)
        self.plan: RenderPlan = plan
        self._texture = plan.texture.copy()
        self._painted = (0.0, 0.0, 0.0, 0.0)
        self._inverse = Inverse(plan.grid)
        self._mouth_inverse = Inverse(plan.mouth_grid)
        x, y = plan.grid.nodes()
        self._nodes = np.ascontiguousarray(np.stack([x, y], axis=-1))
        self._mouth_nodes = np.ascontiguousarray(self._nodes[plan.mouth_rows, plan.mouth_columns])
        self._mouth = Mouth(plan)
        self._out = plan.still.copy()
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
        wanted = (left_lid, right_lid, look_x, look_y)
        if wanted == self._painted:
            return
        follow = max(0.0, look_y) * 0.22  # lids follow a lowered gaze
        for eye, lid in zip(self.plan.eyes, (left_lid, right_lid), strict=True):
            eye.paint(self._texture, max(lid, follow), look_x, look_y)
        self._painted = wanted

    def _sources(self, weights: Array) -> tuple[Array, Array | None]:
        """Return where each node's px comes from, in texture px: for the upper layer on the grid, for the lower one on the mouth's part of it."""
        plan = self.plan
        field = (weights @ plan.upper).reshape(plan.grid.ny, plan.grid.nx, 2)
        u = self._inverse.solve(field, 2)
        speaking = bool(weights[:MOUTH_COUNT].any())
        lower = None
        if speaking:
            rows, columns = plan.mouth_rows, plan.mouth_columns
            part = np.ascontiguousarray(field[rows, columns])
            u[rows, columns] = self._mouth_inverse.solve(part, 3, start=np.ascontiguousarray(u[rows, columns]))
            low = part + (weights @ plan.jump).reshape(part.shape)
            lower = self._to_texture(self._mouth_nodes - self._mouth_inverse.solve(low, 6))
        return self._to_texture(self._nodes - u), lower

    def _to_texture(self, at: Array) -> Array:
        plan = self.plan
        at *= np.float32(plan.zoom)
        at += np.float32(plan.margin + 0.5 * plan.zoom - 0.5)
        return at

    def _draw(self, sources: Array, region: tuple[int, int, int, int]) -> None:
        """Warp the person over the still background in `region` of the output."""
        plan = self.plan
        left, top, right, bottom = region
        fixed, fraction = cv2.convertMaps(spread(sources, plan.grid, *region), None, cv2.CV_16SC2)
        seen = cv2.remap(self._texture, fixed, fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        half = cv2.resize(seen, ((right - left) // 2, (bottom - top) // 2), interpolation=cv2.INTER_AREA)
        outs = planes(self._out, self.width_px, self.height_px)
        stills = planes(plan.still, self.width_px, self.height_px)
        rows, columns = slice(top, bottom), slice(left, right)
        clear = cv2.extractChannel(seen, 3)
        ground = cv2.multiply(stills[0][rows, columns], clear, scale=1 / 255)
        outs[0][rows, columns] = cv2.add(cv2.extractChannel(seen, 0), ground)
        rows, columns = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
        clear = cv2.extractChannel(half, 3)
        for channel in (1, 2):
            ground = cv2.multiply(stills[channel][rows, columns], clear, scale=1 / 255)
            outs[channel][rows, columns] = cv2.add(cv2.extractChannel(half, channel), ground)
