"""Moments in which the machine stands: which calls they are, and the loop that sees them."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from tests.processes import children
from visavis.bench.api import Paced
from visavis.bench.http_calls import Answered
from visavis.bench.standstills import AROUND_S, USUAL_OF, Moment, Usual, apart_from, moments_of, watched


def test_slow_times_close_to_each_other_are_one_moment() -> None:
    moments = moments_of([(2.0, 2.01), (1.0, 1.005), (1.05, 1.06)])
    assert moments == [
        Moment(begin_s=1.0 - AROUND_S, end_s=1.06 + AROUND_S),
        Moment(begin_s=2.0 - AROUND_S, end_s=2.01 + AROUND_S),
    ]


def test_calls_that_touch_a_moment_are_left_out() -> None:
    moments = [Moment(begin_s=1.0, end_s=1.1)]
    before, after = Answered(due_s=0.9, answered_s=0.99), Answered(due_s=1.11, answered_s=1.2)
    touching = [Answered(due_s=due_s, answered_s=end_s) for due_s, end_s in ((0.9, 1.05), (1.05, 1.2), (0.9, 1.2))]
    assert apart_from([before, *touching, after], moments) == [before, after]


def test_both_figures_are_told() -> None:
    calls = [Answered(due_s=second, answered_s=second + 0.001) for second in range(98)]
    late = [Answered(due_s=200, answered_s=200.05), Answered(due_s=200.01, answered_s=200.06)]
    paced = Paced(answered=[calls, late], seconds=1.0)
    assert "the machine never stood" in paced.text()
    paced.moments = [Moment(begin_s=200.01, end_s=200.02)]
    assert paced.members()["without_standstills"] == paced.steady_ms
    assert (paced.all_ms.p99, paced.steady_ms.p99, round(paced.left_out_share, 3)) == (50.0, 1.0, 0.02)
    assert "without 2% of them, in 1 moment in which the machine stood: p50 1.0 ms" in paced.text()


def test_work_is_slow_that_takes_several_times_what_it_usually_takes() -> None:
    usual = Usual()
    told = [usual.is_slow(took_s) for took_s in [0.0007] * USUAL_OF + [0.004, 0.0007, 0.0015, 0.0025]]
    assert told == [False] * USUAL_OF + [True, False, False, True]
    told = [usual.is_slow(0.0025) for _ in range(USUAL_OF)]
    assert told[0] and not told[-1], "a core whose clock has slowed down for good stands no more than another"


@pytest.mark.anyio
async def test_the_bare_loop_runs_while_the_context_is_open() -> None:
    async with watched() as standstills:
        began_s = time.monotonic()
        assert len(children(os.getpid(), "visavis.bench.standstills")) == 1
        await asyncio.sleep(0.1)
    assert children(os.getpid(), "visavis.bench.standstills") == []
    assert all(begin_s < end_s < time.monotonic() and end_s > began_s - 1 for begin_s, end_s in standstills.slow)
