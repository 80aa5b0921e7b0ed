"""Speech with timings: where phones are given, their motion replaces the network's.

The shapes, and how they blend, are those of the co-articulation model (articulation.py), in a form that looks ahead by
LOOK_AHEAD_STEPS at most. So the result does not depend on how many messages bring the speech and its phones. Closures
and contacts are laid over the shapes as in mouth_shaper.py. Loudness, pitch and stress come from the sound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX, SPOKEN_COUNT, SpeechMotion
from visavis.engine.speech.phones import (
    BILABIAL,
    CLASS_INDEX,
    LABIODENTAL,
    SILENCE,
    PhonesRefused,
    TimedPhone,
    TimedViseme,
    time_visemes,
)
from visavis.engine.speech.port import LOOK_AHEAD_STEPS, SPEECH_RATE_HZ, STEP_SAMPLES, SpeechToMotion
from visavis.engine.speech.visemes import spoken_table

__all__ = ["PhonesRefused", "TimedPhone", "TimedSpeech", "TimedViseme", "time_visemes"]

_JAW, _CLOSE, _PRESS, _ROLL = INDEX["jawOpen"], INDEX["mouthClose"], INDEX["mouthPress"], INDEX["mouthRollLower"]
_TONGUE = INDEX["tongueOut"]
_PARTING = (INDEX["mouthLowerDown"], INDEX["mouthUpperUp"])
_ROUND = (INDEX["mouthFunnel"], INDEX["mouthPucker"])
_ROUND_CLASSES = tuple(CLASS_INDEX[name] for name in ("CH", "OH", "UW", "WW"))
# Rounding begins 60 ms before its sound: these 30 ms and the 30 ms of the lips' window.
_ROUND_LEAD_STEPS, _ROUND_LAG_STEPS, _ROUND_SHARE = 3, 3, 0.8
_JAW_SIDE_STEPS, _LIP_SIDE_STEPS = 5, 3  # half lengths of the Hann windows
# A closure begins before its sound and is complete for at least 60 ms, so a frame of 25 fps always shows it.
_SHUT_LEAD_STEPS, _SHUT_LEAST_STEPS = 1, 6
_BACK_STEPS = 16  # a row depends on phones up to this many steps before it
_HELD_STEPS = 8  # a timed piece is continued for this long where no timings follow
_JAW_QUIET, _JAW_LOUD = 0.85, 1.05  # factors of the jaw at loudness 0 and 1
_JAW_CONTACT, _ROLL_CONTACT, _PRESS_CLOSED = 0.1, 0.75, 0.35
_JAW_CLOSES, _ROUND_CLOSES, _PARTING_TOUCHES = 0.4, 0.5, 0.8  # what closures and contacts take of other coefficients
_MOUTH_LEAST = 1e-3  # a silent mouth with no larger coefficient is exactly at rest

_SHAPES = spoken_table()
_ROUND_LIFT = np.zeros_like(_SHAPES)  # the rounding that rounded sounds lend to their neighbours
for _k in _ROUND_CLASSES:
    _ROUND_LIFT[_k, list(_ROUND)] = _ROUND_SHARE * _SHAPES[_k, list(_ROUND)]

Array = NDArray[np.float32]
Phone = tuple[int, int, int]  # viseme, first step, last step + 1

assert (
    max(_JAW_SIDE_STEPS, _ROUND_LEAD_STEPS + _LIP_SIDE_STEPS, _SHUT_LEAD_STEPS + _SHUT_LEAST_STEPS // 2 + 1)
    <= LOOK_AHEAD_STEPS
)


def _hann(side_steps: int) -> Array:
    window = np.hanning(2 * side_steps + 3)[1:-1]
    weights: Array = (window / window.sum()).astype(np.float32)
    return weights


_LIP_WINDOW = _hann(_LIP_SIDE_STEPS)
# The window of each coefficient.
_WINDOWS = np.tile(np.pad(_LIP_WINDOW, _JAW_SIDE_STEPS - _LIP_SIDE_STEPS)[:, None], (1, SPOKEN_COUNT))
_WINDOWS[:, _JAW] = _hann(_JAW_SIDE_STEPS)
_WINDOW_STEPS = np.arange(len(_WINDOWS))


class TimedSpeech:
    """Implements `SpeechToMotion` on top of another one, `base`. Where no phones were given, it returns the rows of
    `base`; it blends where phones begin and end.
    """

    def __init__(self, base: SpeechToMotion) -> None:
        self._base = base
        self._forget()

    def _forget(self) -> None:
        self._rows = 0  # returned since the reset
        # Both in order. Entries on which no future row depends are dropped.
        self._phones: deque[Phone] = deque()
        self._timed: deque[tuple[int, int]] = deque()  # (first step, last step + 1) of the pieces with phones

    def reset(self) -> None:
        self._base.reset()
        self._forget()

    def expect(self, visemes: Sequence[TimedViseme], *, start_sample: float, samples: float) -> None:
        """Announce the visemes of the `samples` (at 16 kHz) from `start_sample` on, counted from the reset. Parts
        without a viseme are silence.

        Call this before the steps up to LOOK_AHEAD_STEPS before `start_sample` are pushed; announce pieces in order.
        """
        end_step = round((start_sample + samples) / STEP_SAMPLES)
        first_step = round(start_sample / STEP_SAMPLES)
        if end_step <= first_step:
            return
        if self._timed and self._timed[-1][1] >= first_step:
            self._timed[-1] = (self._timed[-1][0], end_step)
        else:
            self._timed.append((first_step, end_step))
        steps_per_ms, start_steps = SPEECH_RATE_HZ / 1000 / STEP_SAMPLES, start_sample / STEP_SAMPLES
        for viseme in visemes:
            first = round(start_steps + viseme.start_ms * steps_per_ms)
            last = min(round(start_steps + viseme.end_ms * steps_per_ms), end_step)
            # One sound that two pieces share.
            if self._phones and self._phones[-1][0] == viseme.viseme and self._phones[-1][2] >= first:
                self._phones[-1] = (viseme.viseme, self._phones[-1][1], max(last, self._phones[-1][2]))
            else:
                self._phones.append((viseme.viseme, first, last))

    def push(self, pcm: NDArray[np.int16]) -> SpeechMotion:
        return self._shown(self._base.push(pcm))

    def finish(self) -> SpeechMotion:
        motion = self._base.finish()
        end = self._rows + len(motion)
        if self._timed and self._timed[-1][1] >= end:
            self._timed[-1] = (self._timed[-1][0], end + LOOK_AHEAD_STEPS)  # silence follows
        return self._shown(motion)

    def _shown(self, motion: SpeechMotion) -> SpeechMotion:
        first = self._rows
        self._rows += len(motion)
        if not self._timed or not len(motion):
            return motion
        motion = self._replaced(motion, first)
        oldest = self._rows - _BACK_STEPS - _SHUT_LEAST_STEPS
        while self._phones and self._phones[0][2] < oldest:
            self._phones.popleft()
        while self._timed and self._timed[0][1] < oldest:
            self._timed.popleft()
        return motion

    def _replaced(self, motion: SpeechMotion, first: int) -> SpeechMotion:
        """Return the rows of `motion`, which begin with row `first`, with the motion of phones where they are given."""
        back = first - _BACK_STEPS
        steps = len(motion) + _BACK_STEPS + LOOK_AHEAD_STEPS
        timed = np.zeros(steps, bool)
        for a, b in self._timed:
            timed[max(0, a - back) : max(0, b - back)] = True
        if not timed.any():
            return motion
        if self._timed[0][0] <= 0 and back < 0:
            timed[:-back] = True  # silence before the first step
        shown = slice(_BACK_STEPS, _BACK_STEPS + len(motion))
        share = 1 - _smoothed((~timed).astype(np.float32), _LIP_WINDOW)[shown]  # exactly 1 where all is timed
        if not share.any():
            return motion
        near = list(takewhile(lambda phone: phone[1] < back + steps + _SHUT_LEAST_STEPS, self._phones))
        viseme = _visemes(near, timed, back)
        speaking = _smoothed((viseme != SILENCE).astype(np.float32), _LIP_WINDOW)[shown]
        mouth = _mouth(near, viseme, back, shown)
        closed = _spans(near, BILABIAL, steps, back)[shown]
        mouth = _with_closures(
            mouth, closed, _spans(near, LABIODENTAL, steps, back)[shown] * (1 - closed), speaking, motion.loudness
        )
        rest = 1 - speaking
        rest[~mouth.any(axis=1)] = 1.0
        return SpeechMotion(
            mouth=np.where(share[:, None] == 1, mouth, motion.mouth + share[:, None] * (mouth - motion.mouth)),
            rest=np.where(share == 1, rest, motion.rest + share * (rest - motion.rest)),
            loudness=motion.loudness,
            pitch_hz=motion.pitch_hz,
            stress=motion.stress,
        )


def _visemes(phones: list[Phone], timed: NDArray[np.bool_], back: int) -> NDArray[np.int64]:
    """Return the viseme of each step of the window that begins at step `back`. Beyond its edges, a timed piece keeps
    its last and first viseme for a while.
    """
    viseme = np.full(len(timed), SILENCE, np.int64)
    for k, a, b in phones:
        viseme[max(0, a - back) : max(0, b - back)] = k
    places = np.arange(len(timed))
    before = np.maximum.accumulate(np.where(timed, places, -1))
    after = np.minimum.accumulate(np.where(timed, places, len(timed))[::-1])[::-1]
    held = (before >= 0) & (places - before <= _HELD_STEPS)
    source = np.where(held, before, np.where(after < len(timed), after, places))
    filled: NDArray[np.int64] = viseme[source]
    return filled


def _mouth(phones: list[Phone], viseme: NDArray[np.int64], back: int, shown: slice) -> Array:
    """Return the smoothed shapes of the steps `shown`, float32 (n, SPOKEN_COUNT), without closures."""
    mouth = _SHAPES[viseme]
    for k, a, b in phones:
        if k in _ROUND_CLASSES:
            part = slice(max(0, a - _ROUND_LEAD_STEPS - back), max(0, b + _ROUND_LAG_STEPS - back))
            np.maximum(mouth[part], _ROUND_LIFT[k], out=mouth[part])
    around = mouth[shown.start - _JAW_SIDE_STEPS : shown.stop + _JAW_SIDE_STEPS]
    windows = around[np.arange(shown.stop - shown.start)[:, None] + _WINDOW_STEPS]
    smooth: Array = np.einsum("nkc,kc->nc", windows, _WINDOWS)
    return smooth


def _spans(phones: list[Phone], viseme: int, steps: int, back: int) -> Array:
    """Return 1 in the steps that show a sound of this viseme: from a little before it to its end, and for a least time;
    1/2 in the step on either side.
    """
    spans = np.zeros(steps, np.float32)
    for k, a, b in phones:
        if k != viseme:
            continue
        first = a - _SHUT_LEAD_STEPS
        short = max(0, _SHUT_LEAST_STEPS - (b - first))
        first, last = first - short // 2 - back, b + short - short // 2 - back
        part = spans[max(0, first - 1) : max(0, last + 1)]
        np.maximum(part, np.float32(0.5), out=part)
        spans[max(0, first) : max(0, last)] = 1.0
    return spans


def _smoothed(values: Array, window: Array) -> Array:
    return np.convolve(values, window, "same")


def _with_closures(mouth: Array, closed: Array, touching: Array, speaking: Array, loudness: Array) -> Array:
    """Return the shapes, (n, SPOKEN_COUNT), with closures and contacts laid over them. Silent steps are exactly at
    rest.
    """
    quiet = (speaking == 0) & (closed == 0)
    jaw = np.minimum(1, mouth[:, _JAW] * (_JAW_QUIET + (_JAW_LOUD - _JAW_QUIET) * loudness))
    jaw = jaw * (1 - touching) + np.minimum(jaw, _JAW_CONTACT) * touching
    jaw *= 1 - _JAW_CLOSES * closed
    mouth[:, _JAW], mouth[:, _CLOSE], mouth[:, _PRESS] = jaw, jaw * closed, _PRESS_CLOSED * closed
    for channel in _PARTING:
        mouth[:, channel] *= (1 - closed) * (1 - _PARTING_TOUCHES * touching)
    mouth[:, _ROLL] = np.maximum(mouth[:, _ROLL], _ROLL_CONTACT * touching) * (1 - closed)
    for channel in _ROUND:
        mouth[:, channel] *= 1 - _ROUND_CLOSES * closed
    mouth[:, _TONGUE] *= (1 - closed) * (1 - touching)
    np.clip(mouth, 0, 1, out=mouth)
    mouth[quiet & (mouth.max(axis=1) < _MOUTH_LEAST)] = 0
    return mouth
