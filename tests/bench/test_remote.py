"""`visavis bench remote`: what is made of the windows."""

from __future__ import annotations

import pytest

from visavis.bench.remote import Costs, ratios


def test_pairs_are_compared_with_and_without_what_the_processes_take_alone() -> None:
    own = Costs(session_cores=[0.25, 0.30], idle_cores=[0.02, 0.04])
    remote = Costs(session_cores=[0.30, 0.30], idle_cores=[0.10, 0.04])
    whole, net = ratios(own, remote, sessions=2)
    assert whole.median == pytest.approx(1.1)
    assert whole.spread == (1.0, 1.2)
    assert net.spread == (1.0, round(0.25 / 0.24, 3))
