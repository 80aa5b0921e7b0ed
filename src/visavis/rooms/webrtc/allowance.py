"""How much of one kind a stranger may send. Pure: the caller passes the time."""

from __future__ import annotations


class Allowance:
    """What is left of `per_s` a second and `burst` at once. `refused`: how much was too much."""

    def __init__(self, *, per_s: float, burst: float) -> None:
        self.refused = 0
        self._per_s, self._burst = per_s, burst
        self._left = burst
        self._at_s: float | None = None

    def take(self, now_s: float) -> bool:
        """Whether one more is taken. `now_s`: of any monotonic clock."""
        passed_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._at_s = now_s
        self._left = min(self._burst, self._left + passed_s * self._per_s)
        if self._left < 1:
            self.refused += 1
            return False
        self._left -= 1
        return True
