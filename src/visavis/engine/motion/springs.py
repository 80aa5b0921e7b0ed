"""A critically damped spring, which gives movements inertia. Steps are computed exactly."""

from __future__ import annotations

import math

STILL = 2e-4  # a value this close to its target, and as slow, is set to the target


class Spring:
    """A value that follows its target without overshoot, however abruptly the target jumps.

    It is a critically damped second-order system, integrated in closed form, so every step length gives the same path.
    `settle_s`: the time after which 5 % of a jump remain (4.74 / omega). Near its target (STILL) the value is set to
    the target, so a settled value does not change by a bit.
    """

    __slots__ = ("_decay", "_dt_s", "_omega", "value", "velocity")

    def __init__(self, settle_s: float, value: float = 0.0) -> None:
        self._omega = 4.74 / settle_s
        self._dt_s = self._decay = 0.0  # of the last step. All steps of a performance are equal, so they are kept
        self.value = value
        self.velocity = 0.0

    def step(self, target: float, dt_s: float) -> float:
        """Advance by `dt_s` towards `target`; return the new value."""
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
