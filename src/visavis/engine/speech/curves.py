"""From what the network heard to the motion of the mouth: closures that close, contacts that touch, and exact rest
where nobody speaks.

No filter here lags: the curves were learned smooth, and the network has looked ahead. They are what it expects on
average, and so a little timid; the shapes of the visemes it believes in are mixed with them. The jaw makes up for what
the lips leave of the opening that was heard.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import rows_times
from visavis.engine.motion.frame import INDEX, MOUTH_COUNT, SPOKEN_COUNT
from visavis.engine.speech.network import CLOSURE, CONTACT, HEARD, MOUTH, OPENING_LAGS, VISEMES, load_weights
from visavis.engine.speech.visemes import BILABIAL, SILENCE, TONGUE_OUT, shape_table

_AT_REST = [0.0] * SPOKEN_COUNT

_BELIEVED = 0.6  # share of the viseme's shapes
# What jawOpen 1 and the lips' own muscles part the lips by, in eye distances, as the renderer shows them.
_JAW_GAP, _LOWER_GAP, _UPPER_GAP, _ROLL_GAP = 0.45, 0.10, 0.06, -0.12
_JAW, _CLOSE, _PRESS = INDEX["jawOpen"], INDEX["mouthClose"], INDEX["mouthPress"]
_ROLL, _LOWER, _UPPER = INDEX["mouthRollLower"], INDEX["mouthLowerDown"], INDEX["mouthUpperUp"]
_ROUND = (INDEX["mouthFunnel"], INDEX["mouthPucker"])

# Outputs between which lips go from apart to closed. The network was trained with closures weighing twice their number,
# so that 0.5 stands for a probability of one third: an open /b/ is worse than a closed /d/.
_CLOSURE_LOW, _CLOSURE_HIGH = 0.2, 0.6
_AGREED = np.float32(0.5)  # share of the visemes' own word in a closure: bilabials count in full from half belief on
# Lips that are likely closed come near each other and touch when it is sure: on natural voices 0.02 more closures are
# seen than by touching alone.
_CLOSURE_PARTLY, _CLOSURE_STAYS = 0.85, 0.5
_CONTACT_LOW, _CONTACT_HIGH = 0.3, 0.5
_CLOSE_PER_STEP, _OPEN_PER_STEP = 0.5, 0.5
_HOLD_STEPS = 4  # a closure stays for 40 ms at least: one frame of a 25 fps video falls into it, whatever its phase
# The mouth wakes at once and is at rest 150 ms after the last word.
_SPEECH_ON, _SPEECH_OFF = 0.5, 0.35
_WAKE_PER_STEP, _REST_PER_STEP = 0.34, 0.12
_REST_AFTER_STEPS = 6  # a stop's silence is not the end
_JAW_QUIET, _JAW_LOUD = 0.9, 1.05
_JAW_CONTACT, _ROLL_CONTACT = 0.27, 0.65
# Probabilities of /th/ between which the tongue comes out: one that is seen without cause is worse than one that is
# missing.
_TONGUE_LOW, _TONGUE_HIGH, _TONGUE_STAYS = 0.35, 0.6, 0.45
_JAW_LEAST = 0.03  # while somebody speaks: only a closure closes the lips


class _Gesture:
    """A gesture, closing most of them: follows a probability with limited speed, and holds once it is complete.

    It nears `partly` between `low` and `high`, is complete from `high` on, and stays so down to `stays`.
    """

    def __init__(self, low: float, high: float, *, partly: float, stays: float) -> None:
        self._low, self._high, self._partly, self._stays = low, high, partly, stays
        self.reset()

    def reset(self) -> None:
        self.value = 0.0  # 0 apart to 1 together; moves every step
        self._sure = False
        self._hold = 0  # steps left for which it stays together

    def take(self, probability: float) -> float:
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
    """Return what makes a mouth of what was heard, float32 (HEARD, MOUTH_COUNT): the expected curves mixed with the
    shapes believed in.
    """
    mixing = np.zeros((HEARD, MOUTH_COUNT), np.float32)
    mixing[VISEMES] = _BELIEVED * shape_table()
    mixing[MOUTH] = (1.0 - _BELIEVED) * np.eye(MOUTH_COUNT)
    parted = _LOWER_GAP * mixing[:, _LOWER] + _UPPER_GAP * mixing[:, _UPPER] + _ROLL_GAP * mixing[:, _ROLL]
    mixing[:, _JAW] = load_weights().opening[0] - parted / _JAW_GAP
    return mixing


@cache
def _remembering() -> NDArray[np.float32]:
    """Return what each output says of the opening later on, float32 (HEARD, len(OPENING_LAGS) - 1)."""
    return np.ascontiguousarray(load_weights().opening[1:].T)


class MouthShaper:
    """One stream of mouth rows."""

    def __init__(self) -> None:
        self._closure = _Gesture(_CLOSURE_LOW, _CLOSURE_HIGH, partly=_CLOSURE_PARTLY, stays=_CLOSURE_STAYS)
        self._contact = _Gesture(_CONTACT_LOW, _CONTACT_HIGH, partly=1.0, stays=_CONTACT_HIGH)
        self._tongue = _Gesture(_TONGUE_LOW, _TONGUE_HIGH, partly=0.7, stays=_TONGUE_STAYS)
        self._mixing, self._remembering = _mixing(), _remembering()
        self.reset()

    def reset(self) -> None:
        self._closure.reset()
        self._contact.reset()
        self._tongue.reset()
        # of the last steps: what they say of the opening later on
        self._said = np.repeat(self._remembering[None, SILENCE], OPENING_LAGS[-1], axis=0)
        self._wake = 0.0  # 0 at rest to 1 speaking
        self._speaking = False
        self._quiet = 0  # steps since somebody spoke

    def take(self, heard: NDArray[np.float32], loudness: list[float]) -> tuple[list[list[float]], list[float]]:
        """Take steps, (n, HEARD), and their loudness; return their mouths, SPOKEN_COUNT coefficients each, and their
        rest, 0 to 1.
        """
        shown = rows_times(heard, self._mixing)
        said = np.concatenate([self._said, rows_times(heard, self._remembering)])
        for k, lag in enumerate(OPENING_LAGS[1:]):
            first = OPENING_LAGS[-1] - lag
            shown[:, _JAW] += said[first : first + len(heard), k]
        self._said = said[len(said) - OPENING_LAGS[-1] :]
        mouths: list[list[float]] = shown.tolist()
        silence, contact, between = (
            heard[:, SILENCE].tolist(),
            heard[:, CONTACT].tolist(),
            heard[:, TONGUE_OUT].tolist(),
        )
        agreed = np.minimum(np.float32(1), heard[:, BILABIAL] * np.float32(2))
        closure = (heard[:, CLOSURE] + _AGREED * (agreed - heard[:, CLOSURE])).tolist()
        rows, rests = [], []
        for k, (mouth, loud) in enumerate(zip(mouths, loudness, strict=True)):
            rests.append(self._wake_up(1.0 - silence[k], loud))
            closed = self._closure.take(closure[k])
            touching = self._contact.take(contact[k]) * (1.0 - closed)
            out = self._tongue.take(between[k]) * (1.0 - closed) * (1.0 - touching) * self._wake
            rows.append([*self._shape(mouth, closed, touching, loud), out] if self._wake else _AT_REST)
        return rows, rests

    def _wake_up(self, speech: float, loudness: float) -> float:
        self._speaking = speech > (_SPEECH_OFF if self._speaking else _SPEECH_ON) and loudness > 0.0
        self._quiet = 0 if self._speaking else self._quiet + 1
        if self._speaking:
            self._wake = min(1.0, self._wake + _WAKE_PER_STEP)
        elif self._quiet > _REST_AFTER_STEPS:
            self._wake = max(0.0, self._wake - _REST_PER_STEP)
        return 1.0 - self._wake

    def _shape(self, mouth: list[float], closed: float, touching: float, loudness: float) -> list[float]:
        wake = self._wake
        mouth = [(0.0 if value < 0.0 else 1.0 if value > 1.0 else value) * wake for value in mouth]
        touching *= wake
        jaw = min(1.0, max(_JAW_LEAST * wake, mouth[_JAW]) * (_JAW_QUIET + (_JAW_LOUD - _JAW_QUIET) * loudness))
        jaw = jaw * (1.0 - touching) + min(jaw, _JAW_CONTACT) * touching
        jaw *= 1.0 - 0.4 * closed
        mouth[_JAW], mouth[_CLOSE], mouth[_PRESS] = jaw, jaw * closed, 0.35 * closed * wake
        for channel in (_LOWER, _UPPER):
            mouth[channel] *= (1.0 - closed) * (1.0 - 0.8 * touching)
        mouth[_ROLL] = max(mouth[_ROLL], _ROLL_CONTACT * touching) * (1.0 - closed)
        for channel in _ROUND:
            mouth[channel] *= 1.0 - 0.5 * closed
        return mouth
