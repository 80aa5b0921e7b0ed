"""The built-in speech-to-motion: samples to mel, mel to phones, phones to the mouth, 60 ms behind the sound.

Every stage takes one step of 10 ms at a time, so how the speech was cut into pushes leaves no trace. Nothing here knows a clock or a file.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import FRAME_LEAD_STEPS, MelStream, RunningNorm, log_mel_db
from visavis.engine.audio.prosody import Prosody, ProsodyStep
from visavis.engine.motion.frame import MOUTH_COUNT, SpeechMotion
from visavis.engine.speech.acoustic import CepstraStream
from visavis.engine.speech.curves import LOOK_AHEAD, MouthShaper
from visavis.engine.speech.network import DELAY_STEPS, Network
from visavis.engine.speech.port import LOOK_AHEAD_STEPS, STEP_SAMPLES

assert FRAME_LEAD_STEPS + DELAY_STEPS + LOOK_AHEAD == LOOK_AHEAD_STEPS


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
        self._rows = 0  # returned since the reset
        self._waiting: deque[ProsodyStep] = deque()  # of the frames whose rows are not out yet; at most LOOK_AHEAD_STEPS

    def push(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        """Take samples; return the rows that are now certain: all but the last LOOK_AHEAD_STEPS whole steps."""
        assert pcm.dtype == np.int16 and pcm.ndim == 1, (pcm.dtype, pcm.shape)
        self._samples += len(pcm)
        return self._take(np.concatenate([self._loose, pcm]))

    def finish(self) -> SpeechMotion:
        """Return the rows still due, as if silence followed. A push after this needs a `reset` first."""
        due = -(-self._samples // STEP_SAMPLES)
        missing = (due + LOOK_AHEAD_STEPS) * STEP_SAMPLES - (self._samples - len(self._loose))
        return self._take(np.concatenate([self._loose, np.zeros(missing - len(self._loose), np.int16)]))[: max(0, due - self._rows_before)]

    def _take(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        self._rows_before = self._rows
        steps = len(pcm) // STEP_SAMPLES
        self._loose = pcm[steps * STEP_SAMPLES :].copy()
        rows: list[tuple[NDArray[np.float32], float, ProsodyStep]] = []
        for k in range(steps):
            row = self._step(pcm[k * STEP_SAMPLES : (k + 1) * STEP_SAMPLES])
            if row is not None:
                rows.append(row)
        self._rows += len(rows)
        return SpeechMotion(
            mouth=np.array([mouth for mouth, _, _ in rows], np.float32).reshape(len(rows), MOUTH_COUNT),
            rest=np.array([rest for _, rest, _ in rows], np.float32),
            loudness=np.array([step.loudness for _, _, step in rows], np.float32),
            pitch_hz=np.array([step.pitch_hz for _, _, step in rows], np.float32),
            stress=np.array([step.stress for _, _, step in rows], np.float32),
        )

    def _step(self, pcm: NDArray[np.int16]) -> tuple[NDArray[np.float32], float, ProsodyStep] | None:
        """Take one step of samples; return the row that it makes certain."""
        power = self._mel.take(pcm.astype(np.float32) * np.float32(1 / 32768))
        if power is None:
            return None
        mel = self._norm.take(log_mel_db(power))
        level_db, peak_db = self._norm.level_db, self._norm.peak_db
        self._waiting.append(self._prosody.take(power, level_db, peak_db))
        heard = self._network.take(mel, self._cepstra.take(power, level_db, peak_db))
        self._frames += 1
        if self._frames <= DELAY_STEPS:
            return None
        if self._frames == DELAY_STEPS + LOOK_AHEAD:
            self._shaper.start(heard)
            return None
        prosody = self._waiting.popleft()
        mouth, rest = self._shaper.take(heard, prosody.loudness)
        return mouth, rest, prosody
