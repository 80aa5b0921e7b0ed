"""Movement with mass: a critically damped spring, stepped exactly."""

from __future__ import annotations

import math

STILL = 2e-4


class Spring:
    """A value that follows its target without overshoot, however abruptly the target jumps.

    Critically damped second-order system, integrated in closed form, so that any step length gives the same path.
    `settle_s` is the time to come within 5 % of a jump (4.74 / omega). Within STILL of its target, and as slow, it
    stands exactly there: what has settled is still to the bit.
    """

    __slots__ = ("_decay", "_dt_s", "_omega", "value", "velocity")

    def __init__(self, settle_s: float, value: float = 0.0) -> None:
        self._omega = 4.74 / settle_s
        self._dt_s = self._decay = 0.0  # of the last step; the steps of a performance are all alike
        self.value = value
        self.velocity = 0.0

    def step(self, target: float, dt_s: float) -> float:
        """Move on by `dt_s` towards `target`; return the new value."""
        if dt_s != self._dt_s:
            self._dt_s, self._decay = dt_s, math.exp(-self._omega * dt_s)
        decay = self._decay
        offset = self.value - target
        if offset == 0.0 == self.velocity:
            return target
        push = self.velocity + self._omega * offset
        self.value = target + (offset + push * dt_s) * decay
        self.velocity = (self.velocity - self._omega * push * dt_s) * decay
        if abs(self.value - target) < STILL and abs(self.velocity) < STILL * self._omega:
            self.value, self.velocity = target, 0.0
        return self.value

    def nudge(self, velocity: float) -> None:
        """Add an impulse, in units per second."""
        self.velocity += velocity
