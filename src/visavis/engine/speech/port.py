"""The port to speech-to-motion: audio in, motion out, a little later. Implemented by the built-in network
(stream.py).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import SpeechMotion

SPEECH_RATE_HZ = 16_000
STEP_SAMPLES = 160  # 10 ms at SPEECH_RATE_HZ: one row of motion
# 60 ms; 0 -> 60 ms gains 5-7 points of frame accuracy, 100 ms adds nothing (shared measurement, design.md section 2)
LOOK_AHEAD_STEPS = 6


class SpeechToMotion(Protocol):
    """One utterance's stream. Row k of all that was returned describes samples [k*160, (k+1)*160) since the start or
    the last `reset`.

    Synchronous and CPU-bound; not safe to share between threads. The same samples give bit-identical rows however they
    are cut into pushes.
    """

    def push(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        """Take any number of mono samples at 16 kHz (int16, (n,)); return the rows that are now certain (those
        LOOK_AHEAD_STEPS behind).
        """
        ...

    def finish(self) -> SpeechMotion:
        """Say that the speech ends here: return all rows still due (ceil(samples / 160) in total), as if silence
        followed.
        """
        ...

    def reset(self) -> None:
        """Forget everything: the next sample starts a new utterance."""
        ...
