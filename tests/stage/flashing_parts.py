"""A renderer and a speech-to-motion for tests: the picture is white while the mouth is open, and a bar moves with every
frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX, MOUTH_COUNT, MotionFrame, SpeechMotion
from visavis.engine.render.backdrop import Backdrop, Framing
from visavis.engine.speech.port import LOOK_AHEAD_STEPS, STEP_SAMPLES
from visavis.errors import PackUnreadable

LOUD = 1000  # the mouth opens in a step whose int16 peak is above this


class FlashingRenderer:
    """Draws white below the top quarter while the jaw is more than half open, otherwise black. A bar at the top moves
    with every frame.
    """

    def __init__(self, width_px: int, height_px: int, *, transparent: bool = False) -> None:
        self.width_px, self.height_px = width_px, height_px
        self.picture_height_px = height_px * (2 if transparent else 1)
        self._frame = 0
        self._picture = np.full((self.picture_height_px * 3 // 2, width_px), 128, np.uint8)

    def render(self, motion: MotionFrame, *, hurried: bool = False) -> NDArray[np.uint8]:
        self._picture[self.height_px : self.picture_height_px] = 235
        luma = self._picture[: self.height_px]
        luma[:] = 16
        luma[self.height_px // 4 :, :] = 235 if motion.coefficients[INDEX["jawOpen"]] > 0.5 else 16
        self._frame += 1
        at = self._frame * 8 % (self.width_px - 16)
        luma[: self.height_px // 8, at : at + 16] = 200
        return self._picture


class LoudnessToMotion:
    """Opens the jaw fully in every loud step. Like the real one, it looks ahead by LOOK_AHEAD_STEPS."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._pcm = np.zeros(0, np.int16)
        self._given = 0

    def push(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        self._pcm = np.concatenate([self._pcm, pcm])
        return self._rows(len(self._pcm) // STEP_SAMPLES - LOOK_AHEAD_STEPS)

    def finish(self) -> SpeechMotion:
        return self._rows(-(-len(self._pcm) // STEP_SAMPLES))

    def _rows(self, until: int) -> SpeechMotion:
        count = max(0, until - self._given)
        steps = [
            self._pcm[k * STEP_SAMPLES : (k + 1) * STEP_SAMPLES].astype(np.int32)
            for k in range(self._given, self._given + count)
        ]
        peaks = np.array([np.abs(step).max() for step in steps])
        self._given += count
        loud = (peaks > LOUD).astype(np.float32) if count else np.zeros(0, np.float32)
        mouth = np.zeros((count, MOUTH_COUNT), np.float32)
        mouth[:, INDEX["jawOpen"]] = loud
        return SpeechMotion(
            mouth=mouth,
            rest=1 - loud,
            loudness=loud,
            pitch_hz=np.zeros(count, np.float32),
            stress=np.zeros(count, np.float32),
        )


class _FlashingAvatar:
    def renderer(
        self, *, width_px: int, height_px: int, backdrop: Backdrop, framing: Framing, image: Path | None
    ) -> FlashingRenderer:
        return FlashingRenderer(width_px, height_px, transparent=backdrop.transparent)


class _FlashingParts:
    def load_avatar(self, path: Path) -> _FlashingAvatar:
        if not path.is_dir():
            raise PackUnreadable(f"{path.name} is not an avatar pack")
        return _FlashingAvatar()

    def open_speech(self) -> LoudnessToMotion:
        return LoudnessToMotion()


def parts() -> _FlashingParts:
    return _FlashingParts()
