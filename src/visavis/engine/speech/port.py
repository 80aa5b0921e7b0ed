"""The port to speech-to-motion: audio in, motion out, a little later. stream.py implements it with the network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import SpeechMotion

SPEECH_RATE_HZ = 16_000
STEP_SAMPLES = 160  # 10 ms at SPEECH_RATE_HZ: one row of motion
# 60 ms. Measured: from 0 to 60 ms the share of correct frames grows by 5 to 7 points; 100 ms adds nothing.
LOOK_AHEAD_STEPS = 6


class SpeechToMotion(Protocol):
    """The speech of one utterance as a stream. Row k of all returned rows describes the samples [k*160, (k+1)*160)
    since the start or the last `reset`.

    Calls are synchronous and CPU-bound; a stream must not be shared between threads. The same samples give
    bit-identical rows, however they are cut into pushes.
    """

    def push(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        """Take any number of mono samples at 16 kHz, int16 (n,). Return the rows that are now certain: all but the last
        LOOK_AHEAD_STEPS.
        """
        ...

    def finish(self) -> SpeechMotion:
        """End the speech. Return all remaining rows (ceil(samples / 160) in total), as if silence followed."""
        ...

    def reset(self) -> None:
        """Forget everything. The next sample begins a new utterance."""
        ...
