"""Turns the outputs of the network into the motion of the mouth, with complete closures, contacts and exact rest.

The curves that the network gives are smooth already and look ahead, so no filter here adds delay. They are averages and
therefore slightly too small, so the shapes of the likely visemes are mixed with them. The jaw opens so far that jaw and
lips together show the opening that the network estimates.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import matmul_by_row
from visavis.engine.motion.frame import INDEX, MOUTH_COUNT, SPOKEN_COUNT
from visavis.engine.speech.network import CLOSURE, CONTACT, MOUTH, OPENING_LAGS, OUTPUTS, VISEMES, load_weights
from visavis.engine.speech.visemes import BILABIAL, SILENCE, TONGUE_OUT, shape_table

_AT_REST = [0.0] * SPOKEN_COUNT

_VISEME_SHARE = 0.6  # of the visemes' shapes in the mouth; the rest are the curves
# How far jawOpen and the coefficients of the lips open the lips at 1, eye distances, as the renderer shows them.
_JAW_GAP, _LOWER_GAP, _UPPER_GAP, _ROLL_GAP = 0.45, 0.10, 0.06, -0.12
_JAW, _CLOSE, _PRESS = INDEX["jawOpen"], INDEX["mouthClose"], INDEX["mouthPress"]
_ROLL, _LOWER, _UPPER = INDEX["mouthRollLower"], INDEX["mouthLowerDown"], INDEX["mouthUpperUp"]
_ROUND = (INDEX["mouthFunnel"], INDEX["mouthPucker"])

# The thresholds were chosen on voices that training never heard, but never on LJ Speech (docs/speech-model.md).
# The output between which the lips go from open to closed. In training closures weighed twice, so 0.5 stands for a
# probability of one third: an open /b/ is worse than a closed /d/.
_CLOSURE_LOW, _CLOSURE_HIGH = 0.2, 0.6
# The closure is the mean of the closure output and of the viseme output; the latter counts fully from 0.5 on.
_VISEME_SHARE_OF_CLOSURE = np.float32(0.5)
# Lips that are probably closed come close to each other; they touch when the closure is certain. On natural voices,
# 0.02 more closures are seen than without the approach.
_CLOSURE_PARTLY, _CLOSURE_STAYS = 0.85, 0.5
_CONTACT_LOW, _CONTACT_HIGH = 0.3, 0.5
_CLOSE_PER_STEP, _OPEN_PER_STEP = 0.5, 0.5
_HOLD_STEPS = 4  # a closure stays at least 40 ms, the distance of two frames of 25 fps: one frame always shows it
# The mouth opens at once when speech begins, and is at rest 150 ms after the last word.
_SPEECH_ON, _SPEECH_OFF = 0.5, 0.35
_WAKE_PER_STEP, _REST_PER_STEP = 0.34, 0.12
_REST_AFTER_STEPS = 6  # the silence within a stop consonant is shorter than this
_JAW_QUIET, _JAW_LOUD = 0.9, 1.05  # factors of the jaw at loudness 0 and 1
_JAW_CONTACT, _ROLL_CONTACT = 0.27, 0.65  # the jaw and the lower lip in a contact
_PRESS_CLOSED = 0.35  # mouthPress in a closure
_JAW_CLOSES, _ROUND_CLOSES, _PARTING_TOUCHES = 0.4, 0.5, 0.8  # what closures and contacts take of other coefficients
# The tongue comes out between these probabilities of /th/. A tongue without cause is worse than a missing one.
_TONGUE_LOW, _TONGUE_HIGH, _TONGUE_STAYS, _TONGUE_PARTLY = 0.35, 0.6, 0.45, 0.7
_JAW_LEAST = 0.03  # of speech: only a closure closes the lips


class _Gesture:
    """A gesture (closure, contact or tongue) that follows a probability with limited speed and is held once complete.

    Between the probabilities `low` and `high` it approaches `partly`. From `high` on it becomes complete, and it stays
    complete down to `stays`.
    """

    def __init__(self, low: float, high: float, *, partly: float, stays: float) -> None:
        self._low, self._high, self._partly, self._stays = low, high, partly, stays
        self.reset()

    def reset(self) -> None:
        self.value = 0.0  # 0 (none) to 1 (complete); changes with every step, as do the others
        self._sure = False
        self._hold = 0  # for how many steps it stays complete

    def take(self, probability: float) -> float:
        """Take the probability of one step; return the gesture, 0 to 1."""
        self._sure = probability >= (self._stays if self._sure else self._high)
        goal = (
            1.0
            if self._sure
            else max(0.0, self._partly * min(1.0, (probability - self._low) / (self._high - self._low)))
        )
        if self._hold:
            goal, self._hold = 1.0, self._hold - 1
        rising = goal > self.value
        self.value = min(goal, self.value + _CLOSE_PER_STEP) if rising else max(goal, self.value - _OPEN_PER_STEP)
        if rising and self.value >= 1.0:
            self._hold = _HOLD_STEPS - 1
        return self.value


@cache
def _mixing() -> NDArray[np.float32]:
    """Return the matrix that turns outputs into mouths, float32 (OUTPUTS, MOUTH_COUNT): a mix of the curves and of the
    shapes of the visemes, weighted by their probabilities.
    """
    mixing = np.zeros((OUTPUTS, MOUTH_COUNT), np.float32)
    mixing[VISEMES] = _VISEME_SHARE * shape_table()
    mixing[MOUTH] = (1.0 - _VISEME_SHARE) * np.eye(MOUTH_COUNT)
    parted = _LOWER_GAP * mixing[:, _LOWER] + _UPPER_GAP * mixing[:, _UPPER] + _ROLL_GAP * mixing[:, _ROLL]
    mixing[:, _JAW] = load_weights().opening[0] - parted / _JAW_GAP
    return mixing


@cache
def _later_opening() -> NDArray[np.float32]:
    """Return how much each output adds to the opening of later steps, float32 (OUTPUTS, len(OPENING_LAGS) - 1)."""
    return np.ascontiguousarray(load_weights().opening[1:].T)


class MouthShaper:
    """Shapes the mouth of one stream."""

    def __init__(self) -> None:
        self._closure = _Gesture(_CLOSURE_LOW, _CLOSURE_HIGH, partly=_CLOSURE_PARTLY, stays=_CLOSURE_STAYS)
        self._contact = _Gesture(_CONTACT_LOW, _CONTACT_HIGH, partly=1.0, stays=_CONTACT_HIGH)
        self._tongue = _Gesture(_TONGUE_LOW, _TONGUE_HIGH, partly=_TONGUE_PARTLY, stays=_TONGUE_STAYS)
        self._mixing, self._later_opening = _mixing(), _later_opening()
        self.reset()

    def reset(self) -> None:
        self._closure.reset()
        self._contact.reset()
        self._tongue.reset()
        # All change with every step. Of the last steps: what they add to the opening of later ones.
        self._carried = np.repeat(self._later_opening[None, SILENCE], OPENING_LAGS[-1], axis=0)
        self._wake = 0.0  # 0 (at rest) to 1 (speaking)
        self._speaking = False
        self._quiet = 0  # steps since the last speech

    def take(self, outputs: NDArray[np.float32], loudness: list[float]) -> tuple[list[list[float]], list[float]]:
        """Take the outputs of n steps, (n, OUTPUTS), and their loudness. Return (their mouths, SPOKEN_COUNT
        coefficients each; their rest, 0 to 1).
        """
        shown = matmul_by_row(outputs, self._mixing)
        carried = np.concatenate([self._carried, matmul_by_row(outputs, self._later_opening)])
        for k, lag in enumerate(OPENING_LAGS[1:]):
            first = OPENING_LAGS[-1] - lag
            shown[:, _JAW] += carried[first : first + len(outputs), k]
        self._carried = carried[len(carried) - OPENING_LAGS[-1] :]
        mouths: list[list[float]] = shown.tolist()
        silence, contact, tongue = (
            outputs[:, SILENCE].tolist(),
            outputs[:, CONTACT].tolist(),
            outputs[:, TONGUE_OUT].tolist(),
        )
        bilabial = np.minimum(np.float32(1), outputs[:, BILABIAL] * np.float32(2))
        closure = (outputs[:, CLOSURE] + _VISEME_SHARE_OF_CLOSURE * (bilabial - outputs[:, CLOSURE])).tolist()
        rows, rests = [], []
        for k, (mouth, loud) in enumerate(zip(mouths, loudness, strict=True)):
            rests.append(self._follow_speech(1.0 - silence[k], loud))
            closed = self._closure.take(closure[k])
            touching = self._contact.take(contact[k]) * (1.0 - closed)
            out = self._tongue.take(tongue[k]) * (1.0 - closed) * (1.0 - touching) * self._wake
            rows.append([*self._shape(mouth, closed, touching, loud), out] if self._wake else _AT_REST)
        return rows, rests

    def _follow_speech(self, speech: float, loudness: float) -> float:
        """Take the probability of speech and the loudness of one step; return its rest, 0 to 1."""
        self._speaking = speech > (_SPEECH_OFF if self._speaking else _SPEECH_ON) and loudness > 0.0
        self._quiet = 0 if self._speaking else self._quiet + 1
        if self._speaking:
            self._wake = min(1.0, self._wake + _WAKE_PER_STEP)
        elif self._quiet > _REST_AFTER_STEPS:
            self._wake = max(0.0, self._wake - _REST_PER_STEP)
        return 1.0 - self._wake

    def _shape(self, mouth: list[float], closed: float, touching: float, loudness: float) -> list[float]:
        """Return one mouth, MOUTH_COUNT coefficients, with a closure and a contact laid over it, 0 to 1 each."""
        wake = self._wake
        mouth = [(0.0 if value < 0.0 else 1.0 if value > 1.0 else value) * wake for value in mouth]
        touching *= wake
        jaw = min(1.0, max(_JAW_LEAST * wake, mouth[_JAW]) * (_JAW_QUIET + (_JAW_LOUD - _JAW_QUIET) * loudness))
        jaw = jaw * (1.0 - touching) + min(jaw, _JAW_CONTACT) * touching
        jaw *= 1.0 - _JAW_CLOSES * closed
        mouth[_JAW], mouth[_CLOSE], mouth[_PRESS] = jaw, jaw * closed, _PRESS_CLOSED * closed * wake
        for channel in (_LOWER, _UPPER):
            mouth[channel] *= (1.0 - closed) * (1.0 - _PARTING_TOUCHES * touching)
        mouth[_ROLL] = max(mouth[_ROLL], _ROLL_CONTACT * touching) * (1.0 - closed)
        for channel in _ROUND:
            mouth[channel] *= 1.0 - _ROUND_CLOSES * closed
        return mouth
