"""The port to renderers: an avatar and a motion frame in, a picture out. Implemented by the CPU warp; a neural renderer may follow."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import MotionFrame


class Renderer(Protocol):
    """One avatar at one output size. Stateless between frames: the same motion frame gives the same pixels. One thread."""

    width_px: int
    height_px: int

    @property
    def picture_height_px(self) -> int:
        """How high its pictures are: height_px, or twice that where a matte stands below the colours (a transparent backdrop)."""
        ...

    def render(self, motion: MotionFrame) -> NDArray[np.uint8]:
        """Return the picture as I420: uint8 (picture_height_px * 3 // 2, width_px), BT.601 limited range, planes Y, U, V.

        The array belongs to the renderer and holds until the next call.
        """
        ...
