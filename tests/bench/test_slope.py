"""How fast a figure changes with time: exact on exact figures, and honest about how little is known of few."""

from __future__ import annotations

import numpy as np

from visavis.bench.slope import Slope, slope_members


def test_the_slope_of_a_line_is_exact() -> None:
    slope = Slope.of([(0.0, 1.0), (1800.0, 2.0), (3600.0, 3.0)])
    assert slope is not None
    assert (slope.per_hour, slope.least, slope.most) == (2.0, 2.0, 2.0)


def test_single_late_values_do_not_move_it() -> None:
    values = [(60.0 * n, 5.0) for n in range(60)]
    values[20] = (1200.0, 400.0)
    slope = Slope.of(values)
    assert slope is not None and slope.per_hour == 0.0


def test_the_interval_contains_the_true_slope_19_of_20_times() -> None:
    noise = np.random.default_rng(3)
    hits, rounds = 0, 200
    for _ in range(rounds):
        values = [(t, 4.0 * t / 3600 + noise.normal(0, 2.0)) for t in np.arange(0.0, 1800.0, 30.0)]
        slope = Slope.of(values)
        assert slope is not None
        hits += slope.least <= 4.0 <= slope.most
    assert 0.90 <= hits / rounds <= 0.99


def test_of_two_values_nothing_is_known() -> None:
    assert Slope.of([(0.0, 1.0), (5.0, 1.0)]) is None
    assert slope_members("drift", None) == {"drift": None, "drift_interval": None}
