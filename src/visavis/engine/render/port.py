"""The port to renderers: motion frames in, pictures out. CpuRenderer implements it; a neural renderer may follow."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import MotionFrame


class Renderer(Protocol):
    """A renderer of one avatar at one output size. It must be used by one thread.

    The same motion frame gives the same picture, whatever came before it, with one invisible exception: parts that
    would move by less than a tenth of a px may keep the place in which they were drawn last.
    """

    width_px: int
    height_px: int

    @property
    def picture_height_px(self) -> int:
        """The height of its pictures: `height_px`, or twice that with a transparent background, whose matte is
        below the colours.
        """
        ...

    def render(self, motion: MotionFrame, *, hurried: bool = False) -> NDArray[np.uint8]:
        """Return the picture as I420: uint8 (picture_height_px * 3 // 2, width_px), BT.601 limited range, planes Y, U,
        V. The array belongs to the renderer and is valid until the next call.

        `hurried`: draw lips and eyes as usual, but leave other parts in place if they would move by less than half a
        px.
        """
        ...
