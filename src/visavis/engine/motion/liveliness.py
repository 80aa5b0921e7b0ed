"""What a face does besides speaking: it feels, blinks, looks, breathes, raises its brows and moves its head. Never a
loop, never a jump.

It joins the mouth that speech asks for with all the rest into one `MotionFrame`. The same seed, cues, states, moods and
steps give the same frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.breath import Breath
from visavis.engine.motion.expressions import bearings, expressions, voice
from visavis.engine.motion.eyes import Blinks, Gaze
from visavis.engine.motion.frame import COEFFICIENTS, INDEX, SPOKEN_COUNT, MotionFrame
from visavis.engine.motion.head import Head
from visavis.engine.motion.mood import NEUTRAL, Mood
from visavis.engine.motion.springs import Spring
from visavis.engine.motion.states import State

STEP_S = 0.01
REST_MOUTH: NDArray[np.float32] = np.zeros(SPOKEN_COUNT, np.float32)
REST_MOUTH.flags.writeable = False

_EXPRESSIONS, _BEARINGS = expressions(), bearings()
_MOOD_SETTLE_S = (0.9, 1.4, 0.5, 1.1)  # in the order of Mood.weights(): surprise is quick, sadness slow
_LID_LEFT, _LID_RIGHT, _LOOK_X, _LOOK_Y, _SQUINT, _BROW_INNER, _BROW_OUTER, _BROW_DOWN, _BREATH = (
    INDEX[name]
    for name in (
        "eyeBlinkLeft",
        "eyeBlinkRight",
        "eyeLookX",
        "eyeLookY",
        "eyeSquint",
        "browInnerUp",
        "browOuterUp",
        "browDown",
        "breath",
    )
)
_CHEEKS, _SMILE = INDEX["cheekSquint"], INDEX["mouthSmile"]
_LOWEST = np.zeros(len(COEFFICIENTS), np.float32)
_LOWEST[[_LOOK_X, _LOOK_Y]] = -1.0
# What the brows do of themselves in a state: how far up, how far drawn together.
_BROWS: dict[str, tuple[float, float]] = {
    "idle": (0.0, 0.0),
    "listening": (0.18, 0.0),
    "thinking": (0.0, 0.30),
    "speaking": (0.0, 0.0),
}


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
        random = Random(seed)
        self._blinks = Blinks(Random(random.random()))
        self._gaze = Gaze(Random(random.random()))
        self._head = Head(Random(random.random()))
        self._breath = Breath(Random(random.random()))
        self._stress = Spring(0.28)
        self._brows = Spring(0.8), Spring(0.7)
        self._moods = tuple(Spring(settle_s) for settle_s in _MOOD_SETTLE_S)
        self._feeling = np.zeros(len(COEFFICIENTS), np.float32)  # the expression of this step
        self._bearing = (0.0, 0.0, 0.0)
        self._mood_before = NEUTRAL
        self._eased = True  # no mood is on its way
        self._step = -1
        self._rest_before = 1.0
        self._face = [0.0] * len(COEFFICIENTS)  # what the face does of itself; changes every step
        self._angles = (0.0, 0.0, 0.0)

    def frame(
        self,
        step: int,
        mouth: NDArray[np.float32] = REST_MOUTH,
        cue: Cue = SILENCE,
        state: State = "idle",
        mood: Mood = NEUTRAL,
    ) -> MotionFrame:
        """Return the face at `step` (10 ms each, never before the last one asked for), with `mouth`, float32
        (SPOKEN_COUNT,), as speech asks.

        Steps that were left out are lived through with the same cue, so that any frame rate sees the same life. A new
        `state` or `mood` is eased into. In silence the mouth is what the mood holds, still to the bit once eased; with
        no mood exactly zero.
        """
        assert step >= self._step, (step, self._step)
        while self._step < step:
            self._live(cue, state, mood)
            self._step += 1
        coefficients = np.array(self._face, np.float32) + self._feeling
        np.minimum(coefficients, 1.0, out=coefficients)
        np.maximum(coefficients, _LOWEST, out=coefficients)
        voice(coefficients, self._feeling, mouth)
        coefficients[_CHEEKS] = min(1.0, float(coefficients[_CHEEKS]) + 0.5 * float(mouth[_SMILE]))
        yaw, pitch, roll = self._angles
        return MotionFrame(coefficients=coefficients, yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)

    def _live(self, cue: Cue, state: State, mood: Mood) -> None:
        phrase_ended = cue.rest > 0.5 >= self._rest_before
        self._rest_before = cue.rest
        self._feel(mood)
        self._angles = self._head.step(state, cue.stress, self._bearing)
        look_x, look_y, shifted = self._gaze.step(state)
        lid = self._blinks.step(state, phrase_ended=phrase_ended, gaze_shifted=shifted)
        stress = self._stress.step(0.55 * cue.stress if cue.rest < 0.5 else 0.0, STEP_S)
        raised, drawn = (spring.step(target, STEP_S) for spring, target in zip(self._brows, _BROWS[state], strict=True))
        face = self._face
        face[_LID_LEFT] = face[_LID_RIGHT] = lid
        # The eyes hold the viewer while the head turns (vestibulo-ocular reflex); 30 degrees is a full look.
        face[_LOOK_X] = look_x - self._angles[0] / 30.0
        face[_LOOK_Y] = look_y - self._angles[1] / 30.0
        face[_BROW_INNER] = stress + raised
        face[_BROW_OUTER] = 0.7 * stress + raised
        face[_BROW_DOWN] = drawn
        face[_SQUINT] = 0.5 * drawn
        face[_BREATH] = self._breath.step(state)

    def _feel(self, mood: Mood) -> None:
        if self._eased and mood == self._mood_before:
            return
        self._mood_before = mood
        weights = np.array(
            [spring.step(target, STEP_S) for spring, target in zip(self._moods, mood.weights(), strict=True)],
            np.float32,
        )
        np.minimum(np.einsum("k,kn->n", weights, _EXPRESSIONS), 1.0, out=self._feeling)
        yaw, pitch, roll = (float(angle) for angle in np.einsum("k,kn->n", weights, _BEARINGS))
        self._bearing = yaw, pitch, roll
        self._eased = all(
            spring.velocity == 0.0 and spring.value == target
            for spring, target in zip(self._moods, mood.weights(), strict=True)
        )
