"""The built-in speech-to-motion: samples to mel, mel to phones, phones to the mouth, 60 ms behind the sound.

Every part processes whole steps of 10 ms and treats each step alike, so the result does not depend on how the speech
was cut into pushes. Nothing here uses a clock or a file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import FRAME_LEAD_STEPS, MelStream, RunningNorm
from visavis.engine.audio.prosody import Prosody, ProsodyStep
from visavis.engine.motion.frame import SPOKEN_COUNT, SpeechMotion
from visavis.engine.speech.acoustic import CepstraStream, bands_of
from visavis.engine.speech.mouth_shaper import MouthShaper
from visavis.engine.speech.network import BLOCK, DELAY_STEPS, OUTPUTS, Network
from visavis.engine.speech.port import LOOK_AHEAD_STEPS, STEP_SAMPLES

MOST_STEPS = 16  # steps that are computed together, so that memory stays small

_BEHIND_FRAMES = LOOK_AHEAD_STEPS - FRAME_LEAD_STEPS  # rows that lack look-ahead although their frame is complete

assert DELAY_STEPS + BLOCK - 1 == _BEHIND_FRAMES


class SpeechStream:
    """Implements SpeechToMotion (port.py)."""

    def __init__(self) -> None:
        self._mel, self._norm, self._prosody = MelStream(), RunningNorm(), Prosody()
        self._cepstra, self._network, self._shaper = CepstraStream(), Network(), MouthShaper()
        self.reset()

    def reset(self) -> None:
        for part in (self._mel, self._norm, self._prosody, self._cepstra, self._network, self._shaper):
            part.reset()
        # All change with every push. Counts are since the reset.
        self._partial_step = np.zeros(0, np.int16)  # samples that do not fill a step yet
        self._samples = 0
        self._frames = 0  # complete mel frames
        self._outputs_to_skip = DELAY_STEPS  # the first outputs belong to steps before the first step
        self._outputs = np.zeros((0, OUTPUTS), np.float32)  # not shaped yet: at most BLOCK - 1 steps after a push
        self._rows = 0  # returned
        self._shaped = 0  # rows that are shaped
        # Of the frames that have no row yet: at most LOOK_AHEAD_STEPS after a push.
        self._prosody_ahead: list[ProsodyStep] = []

    def push(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        """Take samples. Return the rows that are now certain: all but the last LOOK_AHEAD_STEPS whole steps."""
        assert pcm.dtype == np.int16 and pcm.ndim == 1, (pcm.dtype, pcm.shape)
        self._samples += len(pcm)
        motion = self._take(np.concatenate([self._partial_step, pcm]))
        self._rows += len(motion)
        return motion

    def finish(self) -> SpeechMotion:
        """Return the remaining rows, as if silence followed. A push after this needs a `reset` first."""
        due = -(-self._samples // STEP_SAMPLES)
        missing = (due + LOOK_AHEAD_STEPS) * STEP_SAMPLES - (self._samples - len(self._partial_step))
        silence = np.zeros(missing - len(self._partial_step), np.int16)
        return self._take(np.concatenate([self._partial_step, silence]))[: max(0, due - self._rows)]

    def _take(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        whole = len(pcm) // STEP_SAMPLES * STEP_SAMPLES
        self._partial_step = pcm[whole:].copy()
        mouths: list[list[float]] = []
        rests: list[float] = []
        prosody: list[ProsodyStep] = []
        for first in range(0, whole, MOST_STEPS * STEP_SAMPLES):
            more_mouths, more_rests, more_prosody = self._steps(
                pcm[first : min(whole, first + MOST_STEPS * STEP_SAMPLES)]
            )
            mouths += more_mouths
            rests += more_rests
            prosody += more_prosody
        return SpeechMotion(
            mouth=np.array(mouths, np.float32).reshape(len(mouths), SPOKEN_COUNT),
            rest=np.array(rests, np.float32),
            loudness=np.array([step.loudness for step in prosody], np.float32),
            pitch_hz=np.array([step.pitch_hz for step in prosody], np.float32),
            stress=np.array([step.stress for step in prosody], np.float32),
        )

    def _steps(self, pcm: NDArray[np.int16]) -> tuple[list[list[float]], list[float], list[ProsodyStep]]:
        """Take whole steps of samples. Return (mouths, rests, prosody) of the rows that are now certain."""
        power = self._mel.take(pcm * np.float32(1 / 32768))
        if not len(power):
            return [], [], []
        mel_db, nats = bands_of(power)
        mel, levels_db, peaks_db = self._norm.take(mel_db)
        self._prosody_ahead += self._prosody.take(power, levels_db, peaks_db)
        outputs = self._network.take(mel, self._cepstra.take(nats, levels_db, peaks_db))
        skipped, self._outputs_to_skip = self._outputs_to_skip, max(0, self._outputs_to_skip - len(outputs))
        self._frames += len(power)
        certain = max(0, self._frames - _BEHIND_FRAMES - self._shaped)
        outputs = np.concatenate([self._outputs, outputs[skipped:]])
        outputs, self._outputs = outputs[:certain], outputs[certain:]
        prosody, self._prosody_ahead = self._prosody_ahead[:certain], self._prosody_ahead[certain:]
        self._shaped += certain
        if not certain:
            return [], [], []
        mouths, rests = self._shaper.take(outputs, [step.loudness for step in prosody])
        return mouths, rests, prosody
