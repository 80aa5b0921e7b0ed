"""Blinks and gaze: when the lids fall and where the eyes look.

Figures: spontaneous blinks come 15-20 a minute at rest and more often in conversation, with log-normal gaps and a
preference for phrase ends (Bentivoglio et al. 1997; Nakano & Kitazawa 2010); a lid closes in about 80 ms and opens in
about 160 ms (VanderWerf et al. 2003); small saccades take 30-50 ms (Bahill et al. 1975); a listener's gaze is held
about three quarters of the time (Argyle & Cook 1976).
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


# Median seconds from one blink to the next, by state. Speech adds blinks at the ends of phrases.
_BLINK_GAP_S: dict[str, float] = {"idle": 3.1, "listening": 3.2, "thinking": 3.2, "speaking": 2.9}
_GAP_SPREAD = 0.5  # standard deviation of the logarithm


class Blinks:
    """When the lids fall. Ask once a step."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._age_steps = BLINK_STEPS
        self._wait_steps = self._gap("idle")

    def _gap(self, state: str) -> int:
        return max(
            SHORTEST_GAP_STEPS, round(self._random.lognormvariate(math.log(_BLINK_GAP_S[state]), _GAP_SPREAD) / STEP_S)
        )

    def step(self, state: str, *, phrase_ended: bool, gaze_shifted: bool) -> float:
        """Return how far the lids are closed, 0 to 1, now. Phrases that end and eyes that turn far draw a blink now and
        then.
        """
        self._age_steps += 1
        self._wait_steps -= 1
        rested = self._age_steps > BLINK_STEPS + SHORTEST_GAP_STEPS
        likely = 0.35 if phrase_ended else 0.2 if gaze_shifted else 0.0
        drawn = rested and likely > 0.0 and self._random.random() < likely
        if self._wait_steps <= 0 or drawn:
            self._age_steps = 0
            # now and then two in a row
            self._wait_steps = BLINK_STEPS + (14 if self._random.random() < 0.06 else self._gap(state))
        return lid(self._age_steps)


_FAR = 0.3  # a turn of the gaze that may draw a blink

Look = tuple[float, float]


class Gaze:
    """Where the eyes look: mostly at the viewer, small saccades around, away while thinking. Ask once a step."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._x = Spring(0.05)
        self._y = Spring(0.05)
        self._target: Look = (0.0, 0.0)
        self._wait_steps = random.randrange(60, 160)
        self._side = -1.0 if random.random() < 0.5 else 1.0
        self._state_before = ""

    def step(self, state: str) -> tuple[float, float, bool]:
        """Return the gaze (x, y), each -1 to 1 (see `eyeLookX`, `eyeLookY`), and whether it just turned far."""
        self._wait_steps -= 1
        if state != self._state_before and self._state_before:
            # a new state shows in the eyes first
            self._wait_steps = min(self._wait_steps, self._random.randrange(8, 35))
        self._state_before = state
        far = False
        if self._wait_steps <= 0:
            before = self._target
            self._target, fixation_s = self._next(state)
            far = math.dist(before, self._target) > _FAR
            self._wait_steps = max(12, round(fixation_s / STEP_S))
        return self._x.step(self._target[0], STEP_S), self._y.step(self._target[1], STEP_S), far

    def _next(self, state: str) -> tuple[Look, float]:
        """Return where to look next, and for how many seconds."""
        draw = self._random
        if state == "thinking":
            return self._search()
        away = {"listening": 0.07, "speaking": 0.13}.get(state, 0.22)
        if draw.random() < away:
            return (draw.gauss(0.0, 0.24), draw.gauss(0.05, 0.1)), draw.uniform(0.25, 0.8)
        at_viewer = draw.gauss(0.0, 0.035), draw.gauss(0.0, 0.025)  # eye to eye of the viewer
        return at_viewer, draw.lognormvariate(math.log(1.7 if state == "idle" else 1.3), 0.5)

    def _search(self) -> tuple[Look, float]:
        """Who thinks looks up and aside, wanders there, and comes back now and then (Doherty-Sneddon & Phelps 2005)."""
        draw = self._random
        chance = draw.random()
        if chance < 0.28:
            return (draw.gauss(0.0, 0.04), draw.gauss(0.0, 0.03)), draw.uniform(0.5, 1.1)
        if draw.random() < 0.3:
            self._side = -self._side
        if chance < 0.40:
            return (self._side * draw.uniform(0.15, 0.4), draw.uniform(0.15, 0.35)), draw.uniform(0.4, 0.9)
        return (self._side * draw.uniform(0.3, 0.65), draw.uniform(-0.7, -0.3)), draw.uniform(0.6, 1.6)
