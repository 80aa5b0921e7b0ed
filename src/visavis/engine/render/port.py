"""The port to renderers: an avatar and a motion frame in, a picture out. Implemented by the CPU warp; a neural renderer
may follow.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import MotionFrame


class Renderer(Protocol):
    """One avatar at one output size. One thread. The same motion frame gives the same picture whatever came before it,
    but for what is too little to be seen: parts that would have moved by less than a tenth of a px may stand where they
    were drawn last.
    """

    width_px: int
    height_px: int

    @property
    def picture_height_px(self) -> int:
        """How high its pictures are: height_px, or twice that where a matte stands below the colours (a transparent
        backdrop).
        """
        ...

    def render(self, motion: MotionFrame, *, hurried: bool = False) -> NDArray[np.uint8]:
        """Return the picture as I420: uint8 (picture_height_px * 3 // 2, width_px), BT.601 limited range, planes Y, U,
        V.

        `hurried`: what moves the lips and the eyes is drawn as ever, the rest may stand still where it would move by
        less than half a px. The array belongs to the renderer and holds until the next call.
        """
        ...
