"""Blinks and gaze: when the lids fall and where the eyes look.

Figures: spontaneous blinks come 15-20 a minute at rest and more often in conversation, with log-normal gaps and a preference for phrase ends
(Bentivoglio et al. 1997; Nakano & Kitazawa 2010); a lid closes in about 80 ms and opens in about 160 ms (VanderWerf et al. 2003); small
saccades take 30-50 ms (Bahill et al. 1975); a listener's gaze is held about three quarters of the time (Argyle & Cook 1976).
"""

from __future__ import annotations

import math
from random import Random

from visavis.engine.motion.springs import Spring

STEP_S = 0.01
CLOSE_STEPS, HOLD_STEPS, OPEN_STEPS = 7, 3, 16
BLINK_STEPS = CLOSE_STEPS + HOLD_STEPS + OPEN_STEPS
SHORTEST_GAP_STEPS = 70


def lid(age_steps: int) -> float:
    """Return how far the lids are closed, 0 to 1, `age_steps` after a blink began; 0 outside the blink."""
    if not 0 <= age_steps < BLINK_STEPS:
        return 0.0
    if age_steps < CLOSE_STEPS:
        return math.sin(0.5 * math.pi * (age_steps + 1) / CLOSE_STEPS) ** 2
    if age_steps < CLOSE_STEPS + HOLD_STEPS:
        return 1.0
    return math.cos(0.5 * math.pi * (age_steps + 1 - CLOSE_STEPS - HOLD_STEPS) / OPEN_STEPS) ** 2


class Blinks:
    """When the lids fall. Ask once a step."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._age_steps = BLINK_STEPS
        self._wait_steps = self._gap()

    def _gap(self) -> int:
        median_s, spread = 3.1, 0.5
        return max(SHORTEST_GAP_STEPS, round(self._random.lognormvariate(math.log(median_s), spread) / STEP_S))

    def step(self, *, phrase_ended: bool) -> float:
        """Return how far the lids are closed, 0 to 1, now."""
        self._age_steps += 1
        self._wait_steps -= 1
        rested = self._age_steps > BLINK_STEPS + SHORTEST_GAP_STEPS
        if self._wait_steps <= 0 or (phrase_ended and rested and self._random.random() < 0.45):
            self._age_steps = 0
            self._wait_steps = BLINK_STEPS + (14 if self._random.random() < 0.06 else self._gap())  # now and then two in a row
        return lid(self._age_steps)


class Gaze:
    """Where the eyes look: mostly at the viewer, small saccades around, away while thinking. Ask once a step."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._x = Spring(0.05)
        self._y = Spring(0.05)
        self._target = (0.0, 0.0)
        self._wait_steps = self._random.randrange(60, 160)

    def step(self, state: str) -> tuple[float, float]:
        """Return the gaze (x, y), each -1 to 1; see `eyeLookX`, `eyeLookY`."""
        self._wait_steps -= 1
        if self._wait_steps <= 0:
            self._target, fixation_s = self._next(state)
            self._wait_steps = max(12, round(fixation_s / STEP_S))
        return self._x.step(self._target[0], STEP_S), self._y.step(self._target[1], STEP_S)

    def _next(self, state: str) -> tuple[tuple[float, float], float]:
        draw = self._random
        if state == "thinking" and draw.random() < 0.7:
            side = -1.0 if draw.random() < 0.5 else 1.0
            return (side * draw.uniform(0.25, 0.5), draw.uniform(-0.45, -0.15)), draw.uniform(0.5, 1.4)
        away = {"listening": 0.12, "speaking": 0.28}.get(state, 0.22)
        if draw.random() < away:
            return (draw.gauss(0.0, 0.2), draw.gauss(0.05, 0.1)), draw.uniform(0.25, 0.8)
        return (draw.gauss(0.0, 0.035), draw.gauss(0.0, 0.025)), draw.lognormvariate(math.log(1.3), 0.5)  # eye to eye of the viewer
