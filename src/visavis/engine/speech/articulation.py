"""The co-articulation model: turns phones with known times into the motion of the mouth.

The network is trained towards these curves, and the figures in docs/lips.md are measured against them. Each articulator
is a low-pass filter over its targets (jaw about 100 ms, lips about 70 ms). Sounds that are made with the lips begin
early and end late; they are laid over the others and not averaged with them. timed.py contains a form of this model
that runs live.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX, MOTION_RATE_HZ, MOUTH_COUNT
from visavis.engine.speech.visemes import BILABIAL, CLASS_INDEX, CLASSES, LABIODENTAL, SILENCE, shape_table

JAW = INDEX["jawOpen"]
ROUNDING = (INDEX["mouthFunnel"], INDEX["mouthPucker"])
_ROUND_CLASSES = tuple(CLASS_INDEX[name] for name in ("CH", "OH", "UW", "WW"))
_JAW_SMOOTH_STEPS, _LIP_SMOOTH_STEPS = 11, 7  # lengths of the Hann windows
_ROUND_LEAD_STEPS, _ROUND_LAG_STEPS = 6, 3  # rounding begins before its sound and ends after it
_ROUND_SHARE = 0.8  # how much of its rounding a sound lends to its neighbours
_CLOSURE_LEAD_STEPS, _CLOSURE_LEAST_STEPS = 1, 6  # a closure begins before its sound, and lasts at least this long
_CONTACT_LEAST_STEPS = 6
_FIRST_HALF = 0.55  # share of a diphthong's time


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One viseme from `start_s` to `end_s`, seconds from the start of the audio."""

    start_s: float
    end_s: float
    viseme: int  # an index into CLASSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Articulation:
    """The motion of the mouth for every step of 10 ms. `viseme`: int64 (n,), indices into CLASSES; `mouth`: float32 (n,
    MOUTH_COUNT), without closures; `closure` and `contact`: float32 (n,), 0 to 1.
    """

    viseme: NDArray[np.int64]
    mouth: NDArray[np.float32]
    closure: NDArray[np.float32]
    contact: NDArray[np.float32]


def _hann(steps: int) -> NDArray[np.float32]:
    window = np.hanning(steps + 2)[1:-1]
    weights: NDArray[np.float32] = (window / window.sum()).astype(np.float32)
    return weights


def _spans(segments: list[Segment], viseme: int, steps: int, lead_steps: int, least_steps: int) -> NDArray[np.float32]:
    """Return 1 in the steps in which a segment of this viseme is shown: from `lead_steps` before it to its end, and at
    least for `least_steps` around its middle.
    """
    shown = np.zeros(steps, np.float32)
    for segment in segments:
        if segment.viseme != viseme:
            continue
        first = round(segment.start_s * MOTION_RATE_HZ) - lead_steps
        last = round(segment.end_s * MOTION_RATE_HZ)
        short = least_steps - (last - first)
        if short > 0:
            first, last = first - short // 2, last + (short - short // 2)
        shown[max(0, first) : max(0, last)] = 1.0
    return shown


def articulate(segments: list[Segment], steps: int) -> Articulation:
    """Return the motion of `steps` steps for segments in the order of their times; steps without a segment are
    silence.
    """
    viseme = np.full(steps, SILENCE, np.int64)
    for segment in segments:
        viseme[max(0, round(segment.start_s * MOTION_RATE_HZ)) : max(0, round(segment.end_s * MOTION_RATE_HZ))] = (
            segment.viseme
        )
    mouth = shape_table()[viseme]
    # Rounding spreads to the neighbours, consonants and vowels alike, but not far into silence.
    for channel in ROUNDING:
        for k in _ROUND_CLASSES:
            for segment in segments:
                if segment.viseme == k:
                    first = max(0, round(segment.start_s * MOTION_RATE_HZ) - _ROUND_LEAD_STEPS)
                    last = max(0, round(segment.end_s * MOTION_RATE_HZ) + _ROUND_LAG_STEPS)
                    value = _ROUND_SHARE * shape_table()[k, channel]
                    mouth[first:last, channel] = np.maximum(mouth[first:last, channel], value)
    smooth = np.empty_like(mouth)
    for channel in range(MOUTH_COUNT):
        window = _hann(_JAW_SMOOTH_STEPS if channel == JAW else _LIP_SMOOTH_STEPS)
        smooth[:, channel] = np.convolve(np.pad(mouth[:, channel], len(window) // 2, mode="edge"), window, "valid")[
            :steps
        ]
    return Articulation(
        viseme=viseme,
        mouth=smooth,
        closure=_spans(segments, BILABIAL, steps, _CLOSURE_LEAD_STEPS, _CLOSURE_LEAST_STEPS),
        contact=_spans(segments, LABIODENTAL, steps, _CLOSURE_LEAD_STEPS, _CONTACT_LEAST_STEPS),
    )


def from_arpabet(phones: list[tuple[float, float, str]]) -> list[Segment]:
    """Return the segments of (start_s, end_s, ARPAbet) phones, which may carry stress digits. A diphthong becomes two
    segments. Raises KeyError for an unknown phone.
    """
    from visavis.engine.speech.visemes import ARPABET

    segments: list[Segment] = []
    for start_s, end_s, phone in phones:
        halves = ARPABET[phone.upper().rstrip("012")]
        middle_s = start_s + _FIRST_HALF * (end_s - start_s)
        times_s = [start_s, end_s] if len(halves) == 1 else [start_s, middle_s, end_s]
        segments += [
            Segment(start_s=a, end_s=b, viseme=CLASS_INDEX[half])
            for a, b, half in zip(times_s[:-1], times_s[1:], halves, strict=True)
        ]
    return segments


assert len(CLASSES) == len(CLASS_INDEX)
