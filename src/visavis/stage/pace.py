"""The pace of a stage: how many frames a second its sessions show while their machine has more to do than it can. Pure.

A pace is an index of PACES: 0 is the full frame rate, each further one is slower. All sessions of a machine have the
same pace. Sound knows no pace.

A stage slows down when its loop had no rest for a second and a half, at once to the pace that fits, and comes back one
pace at a time when the faster pace would leave room. If a return did not last, it waits twice as long for the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from visavis.stage.timeline import PLAYOUT_RATE_HZ

PACES = (Fraction(1), Fraction(4, 5), Fraction(3, 5), Fraction(1, 2), Fraction(2, 5))
"""Shares of the full frame rate: 25, 20, 15, 12.5 and 10 of 25 frames a second."""
SLOWEST = len(PACES) - 1

WINDOW_NS = 500_000_000  # how long the loop is watched for one decision
OVERLOADED_LOAD = 0.95  # the loop has no rest
# A new session or a joining viewer keeps the loop busy for less than this, and is no reason to slow down.
OVERLOADED_WINDOWS = 3
FITTING_LOAD = 0.85  # what a slower pace must leave room for
CALM_LOAD = 0.75  # what a faster pace must leave room for
CALM_WINDOWS, MOST_CALM_WINDOWS = 4, 40  # for so long, before the stage takes the faster pace
LASTED_WINDOWS = 60  # a return that lasts so long has succeeded; longer than the longest wait


class FrameClock:
    """The positions of one session's frames: frame n since the last change of the pace is at n / rate seconds after it,
    in whole samples. A change moves no frame that was taken. The first frame is at `start`.
    """

    def __init__(self, fps: int, *, start: int = 0) -> None:
        self._fps = fps
        self._pace = 0
        self._per_frame = self._interval()
        self._start, self._number = start, 0  # the next frame is number `_number` after `_start`

    @property
    def next_at(self) -> int:
        """The position of the next frame."""
        return self._at(self._number)

    def _interval(self) -> tuple[int, int]:
        """Return the samples from one frame to the next, as numerator and denominator."""
        interval = PLAYOUT_RATE_HZ / (self._fps * PACES[self._pace])
        return interval.numerator, interval.denominator

    def _at(self, number: int) -> int:
        samples, frames = self._per_frame
        return self._start + number * samples // frames

    def take(self) -> int:
        """Return the position of the next frame, and go on to the one after it."""
        position = self.next_at
        self._number += 1
        return position

    def leave_out_until(self, position: int) -> int:
        """Leave out frames, so that the next one is the last that is not after `position`. Return how many."""
        left_out = 0
        while self._at(self._number + 1) <= position:
            self._number += 1
            left_out += 1
        return left_out

    def set_pace(self, pace: int) -> None:
        """Take the frames after the last one at another pace."""
        if pace == self._pace:
            return
        if self._number:
            self._start, self._number = self._at(self._number - 1), 1
        self._pace = pace
        self._per_frame = self._interval()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopLoad:
    """What the loop of a stage did in one window.

    `working_ns`: the time in which it did not rest, also if another program had the processor. `pictures`: how many
    were drawn and encoded, in `pictures_ns`. `full_rate_fps`: how many all watched sessions together show at the full
    rate.
    """

    duration_ns: int
    working_ns: int
    pictures: int
    pictures_ns: int
    full_rate_fps: float

    @property
    def share(self) -> float:
        """The share of the window in which the loop did not rest."""
        return self.working_ns / self.duration_ns

    def expected(self, pace: int) -> float:
        """The share that this work would take at a pace."""
        each_s = self.pictures_ns / self.pictures / 1e9 if self.pictures else 0.0
        other = max(0, self.working_ns - self.pictures_ns) / self.duration_ns
        return other + each_s * self.full_rate_fps * float(PACES[pace])


class PaceDecision:
    """Decides one stage's own pace from its load, window by window."""

    def __init__(self) -> None:
        self.pace = 0
        self._overloaded = self._calm = 0  # windows in a row
        self._since_return: int | None = None  # windows since the last step to a faster pace
        self._calm_needed = CALM_WINDOWS

    def decide(self, load: LoopLoad, *, shown: int) -> int:
        """Return the stage's own pace after this window. `shown`: the pace that its sessions had, which is slower than
        its own if another stage of the machine needs that.
        """
        self._count_since_return()
        overloaded = load.share >= OVERLOADED_LOAD and load.full_rate_fps > 0  # without pictures a pace changes nothing
        self._overloaded = self._overloaded + 1 if overloaded else 0
        if self._overloaded >= OVERLOADED_WINDOWS:
            self._slow_down(load, shown)
            return self.pace
        calm = self.pace > 0 and load.expected(self.pace - 1) <= CALM_LOAD and not self._overloaded
        self._calm = self._calm + 1 if calm else 0
        if self._calm >= self._calm_needed:
            self.pace -= 1
            self._calm, self._since_return = 0, 0
        return self.pace

    def _slow_down(self, load: LoopLoad, shown: int) -> None:
        slower = range(min(max(self.pace, shown) + 1, SLOWEST), SLOWEST)
        self.pace = next((pace for pace in slower if load.expected(pace) <= FITTING_LOAD), SLOWEST)
        if self._since_return is not None:
            self._calm_needed = min(2 * self._calm_needed, MOST_CALM_WINDOWS)
            self._since_return = None
        self._overloaded = self._calm = 0

    def _count_since_return(self) -> None:
        if self._since_return is None:
            return
        self._since_return += 1
        if self._since_return >= LASTED_WINDOWS:
            self._since_return, self._calm_needed = None, CALM_WINDOWS
