"""What sessions cost on this machine: measured once (calibration.py), and kept true by what the stage really takes.
Pure: no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from visavis.stage.port.report import LIVE_FACTOR, UNMEASURED_COSTS, FrameCosts

# Measured for docs/performance.md: a frame of a silent session costs so much of one that speaks.
SILENT_SHARE = 0.4
# What a stage takes says something about the costs of frames only if it does enough, and if most of it is speech ...
MIN_EXPECTED_SHARE, MIN_SPEAKING_SHARE = 0.08, 0.6
# ... and about those of viewers if they take a good part of it, get all pictures, and the sessions speak: silent
# pictures are small.
MIN_VIEWERS_SHARE, WHOLE_RATE = 0.3, 0.9
LEARNED_OF_EACH = 0.2  # of the newest second: a change is followed within ten seconds
LEAST_FACTOR, MOST_FACTOR = 0.25, 8.0
STEADY_FACTOR = 1.5  # beside other work, the yardstick itself varies by so much (0.31 to 0.48 ms in a virtual machine)
YARDSTICKS = 5  # the least of so many counts: what else the stage and its neighbours do only makes one longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured on a machine, and what the yardstick (calibration.py) took then."""

    costs: FrameCosts
    yardstick_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one session did in a stretch of time."""

    width_px: int
    height_px: int
    fps: int
    speaking_frames: int
    silent_frames: int
    viewers: int


class CostModel:
    """The costs now: as measured, times two factors. One follows the speed of the processor, by the yardstick; the
    other follows what the stage takes for what it does. What a viewer costs is learned apart from what a frame costs.
    """

    def __init__(self) -> None:
        self.measured: Measurement | None = None
        self._yardsticks_ms: deque[float] = deque(maxlen=YARDSTICKS)
        self._taken = 1.0  # what the stage took for its work, of what was expected
        self._viewing = 1.0  # what viewers after the first took, of what was expected of them

    @property
    def _slowness(self) -> float:
        if self.measured is None or not self._yardsticks_ms:
            return 1.0
        slowness = min(self._yardsticks_ms) / self.measured.yardstick_ms
        return 1.0 if 1 / STEADY_FACTOR < slowness < STEADY_FACTOR else _bounded(slowness)

    @property
    def costs(self) -> FrameCosts:
        measured = UNMEASURED_COSTS if self.measured is None else self.measured.costs
        costs = measured.times(_bounded(self._slowness * self._taken))
        return msgspec.structs.replace(costs, viewer_frames_per_s=measured.viewer_frames_per_s * self._viewing)

    def learn_yardstick(self, yardstick_ms: float) -> None:
        """Take what the yardstick takes now."""
        self._yardsticks_ms.append(yardstick_ms)

    def learn(self, works: Iterable[Work], *, used_s: float, passed_s: float) -> None:
        """Take what the stage used in `passed_s` seconds, and what it did with it. Nobody may have joined a room
        meanwhile: a handshake costs as much as many seconds of watching.
        """
        measured = UNMEASURED_COSTS if self.measured is None else self.measured.costs
        costs = measured.times(self._slowness)
        speaking_s = silent_s = first_s = further_s = 0.0
        is_slowed = False
        for work in works:
            frame_s = costs.frame_ms(work.width_px, work.height_px) * LIVE_FACTOR / 1000
            speaking_s += work.speaking_frames * frame_s
            silent_s += work.silent_frames * frame_s * SILENT_SHARE
            first_s += costs.viewer_cores(min(work.viewers, 1)) * passed_s
            further_s += costs.further_viewer_cores(work.viewers - 1) * passed_s
            drawn = work.speaking_frames + work.silent_frames
            is_slowed |= work.viewers > 0 and drawn < WHOLE_RATE * work.fps * passed_s  # unwatched, none are drawn
        performing_s, viewers_s = speaking_s + silent_s + first_s, further_s * self._viewing
        expected_s = performing_s + viewers_s
        if expected_s < MIN_EXPECTED_SHARE * passed_s or speaking_s < MIN_SPEAKING_SHARE * performing_s:
            return
        if viewers_s < MIN_VIEWERS_SHARE * expected_s:
            self._taken += LEARNED_OF_EACH * (_bounded(used_s / expected_s) - self._taken)
        elif not is_slowed:  # viewers get all pictures
            viewing = _bounded((used_s / self._taken - performing_s) / further_s)
            self._viewing += LEARNED_OF_EACH * (viewing - self._viewing)


def _bounded(factor: float) -> float:
    return max(LEAST_FACTOR, min(MOST_FACTOR, factor))
