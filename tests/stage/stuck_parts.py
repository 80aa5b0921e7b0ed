"""The parts of flashing_parts.py, but a magic sample makes the speech-to-motion loop for ever."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.stage.flashing_parts import LoudnessToMotion, _FlashingParts
from visavis.engine.motion.frame import SpeechMotion

MAGIC = 12_345


class StuckToMotion(LoudnessToMotion):
    def push(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        while MAGIC in pcm:
            pass
        return super().push(pcm)


class _StuckParts(_FlashingParts):
    def open_speech(self) -> StuckToMotion:
        return StuckToMotion()


def parts() -> _StuckParts:
    return _StuckParts()
