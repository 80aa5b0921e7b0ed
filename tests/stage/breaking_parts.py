"""The parts of flashing_parts.py, but a magic sample crashes the process in native code, and so does the loading of a
pack that says so.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.stage.flashing_parts import LoudnessToMotion, _FlashingAvatar, _FlashingParts
from visavis.engine.motion.frame import SpeechMotion

MAGIC = 12_345
BREAKING_PACK = b"breaks whoever loads it"


def crash() -> None:
    """Read at address 0: SIGSEGV."""
    ctypes.string_at(0)


class BreakingToMotion(LoudnessToMotion):
    def push(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        if MAGIC in pcm:
            crash()
        return super().push(pcm)


class _BreakingParts(_FlashingParts):
    def load_avatar(self, path: Path) -> _FlashingAvatar:
        if (path / "pack.npz").read_bytes() == BREAKING_PACK:
            crash()
        return super().load_avatar(path)

    def open_speech(self) -> BreakingToMotion:
        return BreakingToMotion()


def parts() -> _BreakingParts:
    return _BreakingParts()
