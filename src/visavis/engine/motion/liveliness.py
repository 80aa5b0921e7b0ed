"""Everything that a face does besides speaking: moods, blinks, gaze, breath, brows and head. No loops, no jumps.

`Liveliness` joins them with the mouth of speech into one `MotionFrame`. The same seed, cues, states, moods and steps
give the same frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.breath import Breath
from visavis.engine.motion.expressions import add_speech, expressions, head_angles
from visavis.engine.motion.eyes import Blinks, Gaze
from visavis.engine.motion.frame import COEFFICIENTS, INDEX, SPOKEN_COUNT, MotionFrame
from visavis.engine.motion.head import Head
from visavis.engine.motion.mood import NEUTRAL, Mood
from visavis.engine.motion.springs import Spring
from visavis.engine.motion.states import AvatarState

STEP_S = 0.01
REST_MOUTH: NDArray[np.float32] = np.zeros(SPOKEN_COUNT, np.float32)
REST_MOUTH.flags.writeable = False

_EXPRESSIONS, _HEAD_ANGLES = expressions(), head_angles()
_MOOD_SETTLE_S = (0.9, 1.4, 0.5, 1.1)  # in the order of Mood.weights(): surprise is quick, sadness is slow
# Springs of the brows, and how far stress raises them.
_STRESS_SETTLE_S, _RAISE_SETTLE_S, _DRAW_SETTLE_S = 0.28, 0.8, 0.7
_BROWS_BY_STRESS, _OUTER_BROW_SHARE = 0.55, 0.7
_SQUINT_BY_FROWN = 0.5  # eyeSquint that goes with drawn brows
_CHEEKS_BY_SMILE = 0.5  # cheekSquint that goes with the smile of speech
_GAZE_DEG = 30.0  # of a full look: the eyes turn against the head by this
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
# The brows in each state: how far raised, how far drawn together.
_BROWS: dict[str, tuple[float, float]] = {
    "idle": (0.0, 0.0),
    "listening": (0.18, 0.0),
    "thinking": (0.0, 0.30),
    "speaking": (0.0, 0.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """The rest, loudness and stress of the speech of one instant (see `SpeechMotion`). The default is silence."""

    rest: float = 1.0
    loudness: float = 0.0
    stress: float = 0.0


SILENCE = Cue()


class Liveliness:
    """The liveliness of one performance, in steps of 10 ms from step 0."""

    def __init__(self, seed: int) -> None:
        random = Random(seed)
        self._blinks = Blinks(Random(random.random()))
        self._gaze = Gaze(Random(random.random()))
        self._head = Head(Random(random.random()))
        self._breath = Breath(Random(random.random()))
        self._stress = Spring(_STRESS_SETTLE_S)
        self._brows = Spring(_RAISE_SETTLE_S), Spring(_DRAW_SETTLE_S)
        self._moods = tuple(Spring(settle_s) for settle_s in _MOOD_SETTLE_S)
        # These change with every step while a mood is eased in.
        self._expression = np.zeros(len(COEFFICIENTS), np.float32)
        self._expressive = False  # the expression is not 0
        self._mood_angles = (0.0, 0.0, 0.0)  # of the head, degrees
        self._mood_before = NEUTRAL
        self._settled = True  # the mood has been reached
        # These change with every step.
        self._step = -1
        self._rest_before = 1.0
        self._face = [0.0] * len(COEFFICIENTS)  # without the mood and without speech
        self._angles = (0.0, 0.0, 0.0)

    def frame(
        self,
        step: int,
        mouth: NDArray[np.float32] = REST_MOUTH,
        cue: Cue = SILENCE,
        state: AvatarState = "idle",
        mood: Mood = NEUTRAL,
    ) -> MotionFrame:
        """Return the face at `step` (10 ms each; never before the last one) with the mouth of speech, float32
        (SPOKEN_COUNT,).

        Steps that are left out are computed with the same cue, so the face behaves alike at any frame rate. A new
        `state` or `mood` is eased in. In silence the mouth is that of the mood, and does not change by a bit once the
        mood is reached; without a mood it is exactly zero.
        """
        assert step >= self._step, (step, self._step)
        while self._step < step:
            self._advance(cue, state, mood)
            self._step += 1
        coefficients = np.array(self._face, np.float32)
        if self._expressive:
            coefficients += self._expression
        np.minimum(coefficients, 1.0, out=coefficients)
        np.maximum(coefficients, _LOWEST, out=coefficients)
        if self._expressive:
            add_speech(coefficients, self._expression, mouth)
        else:
            coefficients[: len(mouth)] = mouth
        coefficients[_CHEEKS] = min(1.0, float(coefficients[_CHEEKS]) + _CHEEKS_BY_SMILE * float(mouth[_SMILE]))
        yaw, pitch, roll = self._angles
        return MotionFrame(coefficients=coefficients, yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)

    def _advance(self, cue: Cue, state: AvatarState, mood: Mood) -> None:
        phrase_ended = cue.rest > 0.5 >= self._rest_before
        self._rest_before = cue.rest
        self._advance_mood(mood)
        self._angles = self._head.step(state, cue.stress, self._mood_angles)
        look_x, look_y, shifted = self._gaze.step(state)
        lid = self._blinks.step(state, phrase_ended=phrase_ended, gaze_shifted=shifted)
        stress = self._stress.step(_BROWS_BY_STRESS * cue.stress if cue.rest < 0.5 else 0.0, STEP_S)
        raised, drawn = (spring.step(target, STEP_S) for spring, target in zip(self._brows, _BROWS[state], strict=True))
        face = self._face
        face[_LID_LEFT] = face[_LID_RIGHT] = lid
        # The eyes stay on the viewer while the head turns (vestibulo-ocular reflex).
        face[_LOOK_X] = look_x - self._angles[0] / _GAZE_DEG
        face[_LOOK_Y] = look_y - self._angles[1] / _GAZE_DEG
        face[_BROW_INNER] = stress + raised
        face[_BROW_OUTER] = _OUTER_BROW_SHARE * stress + raised
        face[_BROW_DOWN] = drawn
        face[_SQUINT] = _SQUINT_BY_FROWN * drawn
        face[_BREATH] = self._breath.step(state)

    def _advance_mood(self, mood: Mood) -> None:
        if self._settled and mood == self._mood_before:
            return
        self._mood_before = mood
        weights = np.array(
            [spring.step(target, STEP_S) for spring, target in zip(self._moods, mood.weights(), strict=True)],
            np.float32,
        )
        np.minimum(np.einsum("k,kn->n", weights, _EXPRESSIONS), 1.0, out=self._expression)
        self._expressive = bool(self._expression.any())
        yaw, pitch, roll = (float(angle) for angle in np.einsum("k,kn->n", weights, _HEAD_ANGLES))
        self._mood_angles = yaw, pitch, roll
        self._settled = all(
            spring.velocity == 0.0 and spring.value == target
            for spring, target in zip(self._moods, mood.weights(), strict=True)
        )
