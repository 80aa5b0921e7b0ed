"""How much work one session may ask of the stage's loop, so that its flood is not the trouble of others. Pure.

A budget is a token bucket of processor time. Work is spent after it was done, so a budget can fall below zero; then the
session's next request of that kind waits until it is zero again. Other sessions do not wait.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """`share`: of a core, in the long run. `burst_ns`: what may be asked for at once after a quiet time."""

    share: float
    burst_ns: int


SPEECH = Allowance(share=0.1, burst_ns=30_000_000)  # speech in pieces of 20 ms takes about a hundredth
LAYOUT = Allowance(share=0.15, burst_ns=1_000_000_000)  # three new sizes or backgrounds at once
JOIN = Allowance(share=0.15, burst_ns=60_000_000)  # four viewers at once


class WorkBudget:
    """The budget of one session for one kind of work. `now_ns` never decreases."""

    def __init__(self, allowance: Allowance, now_ns: int) -> None:
        self._allowance = allowance
        self._left_ns = float(allowance.burst_ns)
        self._at_ns = now_ns

    def spend(self, work_ns: int, now_ns: int) -> None:
        """Take work that was done from the budget."""
        self._refill(now_ns)
        self._left_ns -= work_ns

    def wait_ns(self, now_ns: int) -> int:
        """Return how long the session's next request has to wait."""
        self._refill(now_ns)
        return 0 if self._left_ns >= 0 else int(-self._left_ns / self._allowance.share) + 1

    def is_full(self, now_ns: int) -> bool:
        self._refill(now_ns)
        return self._left_ns >= self._allowance.burst_ns

    def _refill(self, now_ns: int) -> None:
        refilled = self._left_ns + max(0, now_ns - self._at_ns) * self._allowance.share
        self._left_ns = min(float(self._allowance.burst_ns), refilled)
        self._at_ns = max(self._at_ns, now_ns)
