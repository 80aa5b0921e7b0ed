"""Breath: shoulders rise and fall, never twice alike.

Adults at rest breathe 12-18 times a minute, in for about two fifths of the cycle; who speaks breathes in quickly
between phrases and spends the air slowly (Hixon 1973).
"""

from __future__ import annotations

import math
from random import Random

STEP_S = 0.01
# Breaths a second, and the share of a breath that goes in, by state.
_MANNERS: dict[str, tuple[tuple[float, float], float]] = {
    "idle": ((0.18, 0.27), 0.40),
    "listening": ((0.20, 0.28), 0.40),
    "thinking": ((0.16, 0.24), 0.42),
    "speaking": ((0.22, 0.32), 0.28),
}


class Breath:
    """How far a breath has raised the chest. Ask once a step."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._phase = random.random()
        self._rate_hz, self._share_in = 0.22, 0.40  # both change when a new breath begins

    def step(self, state: str) -> float:
        """Return the breath now, 0 to 1."""
        self._phase += self._rate_hz * STEP_S
        if self._phase >= 1.0:
            self._phase -= 1.0
            rates_hz, self._share_in = _MANNERS[state]
            self._rate_hz = self._random.uniform(*rates_hz)
        if self._phase < self._share_in:
            return 0.5 - 0.5 * math.cos(math.pi * self._phase / self._share_in)
        return 0.5 + 0.5 * math.cos(math.pi * (self._phase - self._share_in) / (1.0 - self._share_in))
