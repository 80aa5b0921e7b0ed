"""Breath: shoulders rise and fall, and no two breaths are equal.

Adults at rest breathe 12 to 18 times a minute and inhale for about two fifths of the cycle. Speakers inhale quickly
between phrases and exhale slowly (Hixon 1973).
"""

from __future__ import annotations

import math
from random import Random

STEP_S = 0.01
# By state: the least and the most breaths per second, and the share of a breath that is inhaled.
_STYLES: dict[str, tuple[tuple[float, float], float]] = {
    "idle": ((0.18, 0.27), 0.40),
    "listening": ((0.20, 0.28), 0.40),
    "thinking": ((0.16, 0.24), 0.42),
    "speaking": ((0.22, 0.32), 0.28),
}


class Breath:
    """How far the breath raises the chest. Call `step` once a step."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._phase = random.random()
        self._rate_hz, self._inhaled_share = 0.22, 0.40  # both change when a new breath begins

    def step(self, state: str) -> float:
        """Return the breath of this step, 0 to 1."""
        self._phase += self._rate_hz * STEP_S
        if self._phase >= 1.0:
            self._phase -= 1.0
            rates_hz, self._inhaled_share = _STYLES[state]
            self._rate_hz = self._random.uniform(*rates_hz)
        if self._phase < self._inhaled_share:
            return 0.5 - 0.5 * math.cos(math.pi * self._phase / self._inhaled_share)
        return 0.5 + 0.5 * math.cos(math.pi * (self._phase - self._inhaled_share) / (1.0 - self._inhaled_share))
