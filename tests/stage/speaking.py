"""Speaks to a performance like a stage: each piece of speech with its number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.mood import Mood
from visavis.stage.performance import Performance
from visavis.stage.port.events import PlaybackFinished
from visavis.stage.port.values import Speech
from visavis.stage.timeline import PLAYOUT_RATE_HZ
from visavis.stage.utterance_media import Timings


class Speaker:
    """Numbers the speech. `number`: that of the last piece of speech, or of the interrupt after it."""

    def __init__(self, performance: Performance) -> None:
        self.performance = performance
        self.number = 0

    def speak(
        self,
        pcm: NDArray[np.int16],
        rate_hz: int,
        *,
        number: int | None = None,
        utterance_id: str | None = None,
        final: bool = False,
        visemes: Timings | None = None,
        mood: Mood | None = None,
    ) -> str:
        """Speak int16 (n,), with the next number unless one is given."""
        if number is None:
            self.number += 1
        speech = Speech(
            pcm=pcm.astype("<i2").tobytes(),
            sample_rate_hz=rate_hz,
            number=self.number if number is None else number,
            utterance_id=utterance_id,
            final=final,
            visemes=visemes,
            mood=mood,
        )
        return self.performance.speak(speech).utterance_id

    def interrupt(self, *, through: int | None = None) -> None:
        """Interrupt all speech so far, or all speech up to a number."""
        self.performance.interrupt(through=self.number if through is None else through)


def played_samples(end: PlaybackFinished) -> int:
    """Return how much of an utterance was played, in samples at 48 kHz."""
    return round(end.position_s * PLAYOUT_RATE_HZ)
