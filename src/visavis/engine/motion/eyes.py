"""Blinks and gaze: when the lids close and where the eyes look.

Sources of the figures: people blink 15 to 20 times a minute at rest and more often in conversation, with log-normal
gaps and preferably at the ends of phrases (Bentivoglio et al. 1997; Nakano & Kitazawa 2010). A lid closes in about 80
ms and opens in about 160 ms (VanderWerf et al. 2003). Small saccades take 30 to 50 ms (Bahill et al. 1975). Listeners
look at the speaker about three quarters of the time (Argyle & Cook 1976).
"""

from __future__ import annotations

import math
from random import Random

from visavis.engine.motion.springs import Spring

STEP_S = 0.01
CLOSE_STEPS, HOLD_STEPS, OPEN_STEPS = 7, 3, 16
BLINK_STEPS = CLOSE_STEPS + HOLD_STEPS + OPEN_STEPS
SHORTEST_GAP_STEPS = 70
DOUBLE_BLINK_GAP_STEPS, DOUBLE_BLINK_CHANCE = 14, 0.06
# The chance that the end of a phrase, or a large turn of the gaze, causes a blink.
PHRASE_END_CHANCE, GAZE_SHIFT_CHANCE = 0.35, 0.2


def lid_closure(age_steps: int) -> float:
    """Return how far the lids are closed, 0 to 1, `age_steps` after the start of a blink; 0 outside the blink."""
    if not 0 <= age_steps < BLINK_STEPS:
        return 0.0
    if age_steps < CLOSE_STEPS:
        return math.sin(0.5 * math.pi * (age_steps + 1) / CLOSE_STEPS) ** 2
    if age_steps < CLOSE_STEPS + HOLD_STEPS:
        return 1.0
    return math.cos(0.5 * math.pi * (age_steps + 1 - CLOSE_STEPS - HOLD_STEPS) / OPEN_STEPS) ** 2


# The median of the seconds between two blinks, by state. Speech adds blinks at the ends of phrases.
_BLINK_GAP_S: dict[str, float] = {"idle": 3.1, "listening": 3.2, "thinking": 3.2, "speaking": 2.9}
_GAP_SPREAD = 0.5  # standard deviation of the logarithm


class Blinks:
    """When the lids close. Call `step` once a step."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._age_steps = BLINK_STEPS
        self._wait_steps = self._gap("idle")

    def _gap(self, state: str) -> int:
        return max(
            SHORTEST_GAP_STEPS, round(self._random.lognormvariate(math.log(_BLINK_GAP_S[state]), _GAP_SPREAD) / STEP_S)
        )

    def step(self, state: str, *, phrase_ended: bool, gaze_shifted: bool) -> float:
        """Return how far the lids are closed in this step, 0 to 1. The end of a phrase and a large turn of the gaze
        sometimes cause a blink.
        """
        self._age_steps += 1
        self._wait_steps -= 1
        rested = self._age_steps > BLINK_STEPS + SHORTEST_GAP_STEPS
        chance = PHRASE_END_CHANCE if phrase_ended else GAZE_SHIFT_CHANCE if gaze_shifted else 0.0
        caused = rested and chance > 0.0 and self._random.random() < chance
        if self._wait_steps <= 0 or caused:
            self._age_steps = 0
            is_double = self._random.random() < DOUBLE_BLINK_CHANCE
            self._wait_steps = BLINK_STEPS + (DOUBLE_BLINK_GAP_STEPS if is_double else self._gap(state))
        return lid_closure(self._age_steps)


_LARGE_SHIFT = 0.3  # a turn of the gaze that may cause a blink

Point = tuple[float, float]  # x and y of the gaze


class Gaze:
    """Where the eyes look: mostly at the viewer, with small saccades; away while thinking. Call `step` once a step."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._x = Spring(0.05)
        self._y = Spring(0.05)
        self._target: Point = (0.0, 0.0)
        self._wait_steps = random.randrange(60, 160)
        self._side = -1.0 if random.random() < 0.5 else 1.0
        self._state_before = ""

    def step(self, state: str) -> tuple[float, float, bool]:
        """Return the gaze x and y, -1 to 1 each (see `eyeLookX`, `eyeLookY`), and whether it makes a large turn now."""
        self._wait_steps -= 1
        if state != self._state_before and self._state_before:
            # A new state shows in the eyes first.
            self._wait_steps = min(self._wait_steps, self._random.randrange(8, 35))
        self._state_before = state
        shifted = False
        if self._wait_steps <= 0:
            before = self._target
            self._target, fixation_s = self._next(state)
            shifted = math.dist(before, self._target) > _LARGE_SHIFT
            self._wait_steps = max(12, round(fixation_s / STEP_S))
        return self._x.step(self._target[0], STEP_S), self._y.step(self._target[1], STEP_S), shifted

    def _next(self, state: str) -> tuple[Point, float]:
        """Return the next point to look at, and for how many seconds."""
        draw = self._random
        if state == "thinking":
            return self._search()
        away = {"listening": 0.07, "speaking": 0.13}.get(state, 0.22)
        if draw.random() < away:
            return (draw.gauss(0.0, 0.24), draw.gauss(0.05, 0.1)), draw.uniform(0.25, 0.8)
        at_viewer = draw.gauss(0.0, 0.035), draw.gauss(0.0, 0.025)  # from one eye of the viewer to the other
        return at_viewer, draw.lognormvariate(math.log(1.7 if state == "idle" else 1.3), 0.5)

    def _search(self) -> tuple[Point, float]:
        """Return the next point while thinking: mostly up and aside, sometimes down, sometimes back at the viewer
        (Doherty-Sneddon & Phelps 2005).
        """
        draw = self._random
        chance = draw.random()
        if chance < 0.28:
            return (draw.gauss(0.0, 0.04), draw.gauss(0.0, 0.03)), draw.uniform(0.5, 1.1)
        if draw.random() < 0.3:
            self._side = -self._side
        if chance < 0.40:
            return (self._side * draw.uniform(0.15, 0.4), draw.uniform(0.15, 0.35)), draw.uniform(0.4, 0.9)
        return (self._side * draw.uniform(0.3, 0.65), draw.uniform(-0.7, -0.3)), draw.uniform(0.6, 1.6)
