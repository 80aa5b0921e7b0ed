"""The built-in speech-to-motion: samples to mel, mel to phones, phones to the mouth, 60 ms behind the sound.

Every stage takes the steps of 10 ms that are there and treats each alike, so how the speech was cut into pushes leaves
no trace. Nothing here knows a clock or a file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import FRAME_LEAD_STEPS, MelStream, RunningNorm
from visavis.engine.audio.prosody import Prosody, ProsodyStep
from visavis.engine.motion.frame import SPOKEN_COUNT, SpeechMotion
from visavis.engine.speech.acoustic import CepstraStream, bands_of
from visavis.engine.speech.curves import MouthShaper
from visavis.engine.speech.network import BLOCK, DELAY_STEPS, HEARD, Network
from visavis.engine.speech.port import LOOK_AHEAD_STEPS, STEP_SAMPLES

BLOCK_STEPS = 16  # steps computed together at most: what they take of memory stays small

_HELD_BACK = LOOK_AHEAD_STEPS - FRAME_LEAD_STEPS  # steps that are seen and not shown yet

assert DELAY_STEPS + BLOCK - 1 == _HELD_BACK


class SpeechStream:
    """Implements SpeechToMotion (port.py)."""

    def __init__(self) -> None:
        self._mel, self._norm, self._prosody = MelStream(), RunningNorm(), Prosody()
        self._cepstra, self._network, self._shaper = CepstraStream(), Network(), MouthShaper()
        self.reset()

    def reset(self) -> None:
        for part in (self._mel, self._norm, self._prosody, self._cepstra, self._network, self._shaper):
            part.reset()
        self._loose = np.zeros(0, np.int16)  # samples that do not fill a step yet
        self._samples = 0  # taken since the reset
        self._frames = 0  # mel frames seen since the reset
        self._early = DELAY_STEPS  # what will be heard first speaks of steps before the first
        self._heard = np.zeros((0, HEARD), np.float32)  # not shaped yet: at most BLOCK - 1 steps after a push
        self._rows = 0  # returned since the reset
        self._shaped = 0  # rows shaped since the reset
        # of the frames whose rows are not out yet; at most LOOK_AHEAD_STEPS after a push
        self._waiting: list[ProsodyStep] = []

    def push(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        """Take samples; return the rows that are now certain: all but the last LOOK_AHEAD_STEPS whole steps."""
        assert pcm.dtype == np.int16 and pcm.ndim == 1, (pcm.dtype, pcm.shape)
        self._samples += len(pcm)
        motion = self._take(np.concatenate([self._loose, pcm]))
        self._rows += len(motion)
        return motion

    def finish(self) -> SpeechMotion:
        """Return the rows still due, as if silence followed. A push after this needs a `reset` first."""
        due = -(-self._samples // STEP_SAMPLES)
        missing = (due + LOOK_AHEAD_STEPS) * STEP_SAMPLES - (self._samples - len(self._loose))
        return self._take(np.concatenate([self._loose, np.zeros(missing - len(self._loose), np.int16)]))[
            : max(0, due - self._rows)
        ]

    def _take(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        whole = len(pcm) // STEP_SAMPLES * STEP_SAMPLES
        self._loose = pcm[whole:].copy()
        mouths: list[list[float]] = []
        rests: list[float] = []
        shown: list[ProsodyStep] = []
        for first in range(0, whole, BLOCK_STEPS * STEP_SAMPLES):
            more_mouths, more_rests, more_shown = self._steps(
                pcm[first : min(whole, first + BLOCK_STEPS * STEP_SAMPLES)]
            )
            mouths += more_mouths
            rests += more_rests
            shown += more_shown
        return SpeechMotion(
            mouth=np.array(mouths, np.float32).reshape(len(mouths), SPOKEN_COUNT),
            rest=np.array(rests, np.float32),
            loudness=np.array([step.loudness for step in shown], np.float32),
            pitch_hz=np.array([step.pitch_hz for step in shown], np.float32),
            stress=np.array([step.stress for step in shown], np.float32),
        )

    def _steps(self, pcm: NDArray[np.int16]) -> tuple[list[list[float]], list[float], list[ProsodyStep]]:
        """Take whole steps of samples; return (mouths, rests, prosody) of the rows that they make certain."""
        power = self._mel.take(pcm * np.float32(1 / 32768))
        if not len(power):
            return [], [], []
        mel_db, nats = bands_of(power)
        mel, levels_db, peaks_db = self._norm.take(mel_db)
        self._waiting += self._prosody.take(power, levels_db, peaks_db)
        heard = self._network.take(mel, self._cepstra.take(nats, levels_db, peaks_db))
        early, self._early = self._early, max(0, self._early - len(heard))
        self._frames += len(power)
        certain = max(0, self._frames - _HELD_BACK - self._shaped)
        heard = np.concatenate([self._heard, heard[early:]])
        heard, self._heard = heard[:certain], heard[certain:]
        shown, self._waiting = self._waiting[:certain], self._waiting[certain:]
        self._shaped += certain
        if not certain:
            return [], [], []
        mouths, rests = self._shaper.take(heard, [step.loudness for step in shown])
        return mouths, rests, shown
