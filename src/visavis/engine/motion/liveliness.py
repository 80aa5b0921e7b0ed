"""What a face does besides speaking: it blinks, looks, breathes, raises its brows and moves its head. Never a loop, never a jump.

It joins the mouth that speech asks for with all the rest into one `MotionFrame`. The same seed, cues and steps give the same frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.eyes import Blinks, Gaze
from visavis.engine.motion.frame import COEFFICIENTS, INDEX, MOUTH_COUNT, MotionFrame
from visavis.engine.motion.head import Head
from visavis.engine.motion.mood import NEUTRAL, Mood
from visavis.engine.motion.springs import Spring

State = Literal["idle", "listening", "thinking", "speaking"]
STEP_S = 0.01
REST_MOUTH: NDArray[np.float32] = np.zeros(MOUTH_COUNT, np.float32)
REST_MOUTH.flags.writeable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """What the speech of one instant says to the rest of the face (see `SpeechMotion`); the default is silence."""

    rest: float = 1.0
    loudness: float = 0.0
    stress: float = 0.0


SILENCE = Cue()


class Liveliness:
    """One performance's life signs, in steps of 10 ms from step 0."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._blinks = Blinks(Random(self._random.random()))
        self._gaze = Gaze(Random(self._random.random()))
        self._head = Head(Random(self._random.random()))
        self._brows = Spring(0.28)
        self._attention = Spring(0.8)
        self._frown = Spring(0.7)
        self._mood = tuple(Spring(0.9) for _ in NEUTRAL.weights())
        self._breath_phase = self._random.random()
        self._breath_rate_hz = 0.22
        self._step = -1
        self._rest_before = 1.0
        self._face = np.zeros(len(COEFFICIENTS), np.float32)
        self._angles = (0.0, 0.0, 0.0)

    def frame(
        self, step: int, mouth: NDArray[np.float32] = REST_MOUTH, cue: Cue = SILENCE, state: State = "idle", mood: Mood = NEUTRAL
    ) -> MotionFrame:
        """Return the face at `step` (10 ms each, never before the last one asked for), with `mouth`, float32 (MOUTH_COUNT,), as speech asks.

        Steps that were left out are lived through with the same cue, so that any frame rate sees the same life. A new `state` or `mood` is eased
        into.
        """
        assert step >= self._step, (step, self._step)
        while self._step < step:
            self._live(cue, state, mood)
            self._step += 1
        coefficients = self._face.copy()
        coefficients[:MOUTH_COUNT] = mouth
        smile = float(mouth[INDEX["mouthSmile"]])
        coefficients[INDEX["cheekSquint"]] = min(1.0, self._face[INDEX["cheekSquint"]] + 0.5 * smile)
        yaw, pitch, roll = self._angles
        return MotionFrame(coefficients=coefficients, yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)

    def _live(self, cue: Cue, state: State, mood: Mood) -> None:
        face = self._face
        phrase_ended = cue.rest > 0.5 >= self._rest_before
        self._rest_before = cue.rest
        self._angles = self._head.step(state, cue.stress)
        lid = self._blinks.step(phrase_ended=phrase_ended)
        look_x, look_y = self._gaze.step(state)
        # The eyes hold the viewer while the head turns (vestibulo-ocular reflex); 30 degrees is a full look.
        held_x = look_x - self._angles[0] / 30.0
        held_y = look_y - self._angles[1] / 30.0
        brow = self._brows.step(0.55 * cue.stress if cue.rest < 0.5 else 0.0, STEP_S)
        attention = self._attention.step(0.16 if state == "listening" else 0.0, STEP_S)
        frown = self._frown.step(0.22 if state == "thinking" else 0.0, STEP_S)
        happy, sad, surprised, serious = (spring.step(weight, STEP_S) for spring, weight in zip(self._mood, mood.weights(), strict=True))
        face[INDEX["eyeBlinkLeft"]] = face[INDEX["eyeBlinkRight"]] = lid
        face[INDEX["eyeLookX"]] = min(1.0, max(-1.0, held_x))
        face[INDEX["eyeLookY"]] = min(1.0, max(-1.0, held_y))
        face[INDEX["browInnerUp"]] = min(1.0, max(0.0, brow + attention + 0.8 * sad + 0.9 * surprised))
        face[INDEX["browOuterUp"]] = min(1.0, max(0.0, 0.7 * brow + attention + 0.9 * surprised))
        face[INDEX["browDown"]] = min(1.0, max(0.0, frown + 0.3 * sad + 0.6 * serious))
        face[INDEX["cheekSquint"]] = min(1.0, max(0.0, 0.7 * happy))
        face[INDEX["breath"]] = self._breathe()

    def _breathe(self) -> float:
        phase = self._breath_phase + self._breath_rate_hz * STEP_S
        if phase >= 1.0:
            phase -= 1.0
            self._breath_rate_hz = self._random.uniform(0.18, 0.27)
        self._breath_phase = phase
        # In for two fifths of the cycle, out for three.
        return 0.5 - 0.5 * math.cos(math.pi * phase / 0.4) if phase < 0.4 else 0.5 + 0.5 * math.cos(math.pi * (phase - 0.4) / 0.6)
