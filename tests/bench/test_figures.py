"""Figures that were measured several times."""

from __future__ import annotations

from visavis.bench.cost_windows import SessionCost
from visavis.bench.figures import Repeated


def test_the_median_counts_and_the_spread_is_told() -> None:
    fps = Repeated.of([230.0, 190.0, 236.0, 231.04, 228.0], digits=1)
    assert (fps.median, fps.spread, fps.count) == (230.0, (190.0, 236.0), 5)
    assert fps.text(".0f") == "230 (190 to 236, 5 runs)"


def test_a_cost_without_a_ratio_says_why() -> None:
    known = SessionCost(Repeated.of([3.0, 3.5, 2.9], digits=2))
    assert known.members() == {"cost_ratio": 3.0, "cost_ratio_spread": (2.9, 3.5)}
    assert known.sentence() == "A session costs 3.00 (2.90 to 3.50, 3 runs) times its encoding"
    unknown = SessionCost(None)
    assert unknown.members() == {"cost_ratio": None, "cost_ratio_spread": None}
    assert "slowed down" in unknown.sentence()
