"""How fast a figure changes with time, and how exactly that is known."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

_Z_95 = 1.96  # 95 % of a normal distribution lie within so many standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """A change per hour, and the interval in which it lies with a probability of 95 %."""

    per_hour: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[tuple[float, float]]) -> Slope | None:
        """Return the slope of pairs of seconds and a value; None for fewer than three.

        The slope is the median of the slopes of all pairs of points (Theil 1950, Sen 1968), which single late values
        do not move. The interval lies between the slopes of two ranks beside the median, by the variance of Kendall's
        tau (Sen 1968, section 4).
        """
        count = len(values)
        if count < 3:
            return None
        times_s, ys = np.array(sorted(values)).T
        one, other = np.triu_indices(count, 1)
        slopes = np.sort((ys[other] - ys[one]) / (times_s[other] - times_s[one])) * 3600
        apart = _Z_95 * sqrt(count * (count - 1) * (2 * count + 5) / 18)
        below = max(0, int((len(slopes) - apart) / 2))
        above = min(len(slopes) - 1, int((len(slopes) + apart) / 2) + 1)
        return cls(per_hour=float(np.median(slopes)), least=float(slopes[below]), most=float(slopes[above]))

    def __str__(self) -> str:
        return f"{self.per_hour:.2f} ({self.least:.2f} to {self.most:.2f} with a probability of 95 %)"


def slope_members(name: str, slope: Slope | None) -> dict[str, object]:
    """Return the members of a benchmark's JSON: the change per hour, and its interval."""
    if slope is None:
        return {name: None, f"{name}_interval": None}
    return {name: round(slope.per_hour, 2), f"{name}_interval": (round(slope.least, 2), round(slope.most, 2))}
