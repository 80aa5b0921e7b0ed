"""The pace of a stage: exact positions of frames at every rate, and a decision that neither trembles nor sleeps."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visavis.stage.pace import (
    CALM_WINDOWS,
    LASTED_WINDOWS,
    MOST_CALM_WINDOWS,
    OVERLOADED_WINDOWS,
    PACES,
    SLOWEST,
    WINDOW_NS,
    FrameClock,
    LoopLoad,
    PaceDecision,
)

SECOND = 48_000


def load(share: float, *, pictures: int = 50, picture_share: float | None = None, fps: float = 250.0) -> LoopLoad:
    """A window of which `share` was work, nine tenths of it pictures unless told otherwise."""
    drawing = share * 0.9 if picture_share is None else picture_share
    return LoopLoad(
        duration_ns=WINDOW_NS,
        working_ns=int(share * WINDOW_NS),
        pictures=pictures,
        pictures_ns=int(drawing * WINDOW_NS),
        full_rate_fps=fps,
    )


def at_full_rate(need: float, pace: int) -> LoopLoad:
    """A window of a stage that would need `need` of a core at the full rate, of which a tenth is not pictures."""
    wanted = need * 0.1 + need * 0.9 * float(PACES[pace])
    share = min(1.0, wanted)
    drawn = (share - need * 0.1) / (need * 0.9) * 125
    return load(share, pictures=round(drawn), picture_share=share - need * 0.1)


@pytest.mark.parametrize("pace", range(len(PACES)))
def test_a_frame_is_at_its_exact_time_at_every_pace(pace: int) -> None:
    clock = FrameClock(25)
    clock.set_pace(pace)
    positions = [clock.take() for _ in range(1000)]
    assert positions == [n * SECOND / (25 * PACES[pace]) for n in range(1000)]


@given(st.lists(st.tuples(st.integers(0, SLOWEST), st.integers(0, 40), st.integers(0, 3)), max_size=20))
def test_positions_rise_by_whole_frames_of_the_pace_that_holds(changes: list[tuple[int, int, int]]) -> None:
    clock = FrameClock(25)
    last = clock.take()
    assert last == 0
    for pace, count, left_out in changes:
        clock.set_pace(pace)
        clock.set_pace(pace)
        interval = Fraction(SECOND) / (25 * PACES[pace])
        for _ in range(count):
            assert clock.leave_out_until(last + int(interval * (left_out + 1))) == left_out
            position = clock.take()
            assert position - last == interval * (left_out + 1)
            last = position


def test_frames_that_are_not_due_are_not_left_out() -> None:
    clock = FrameClock(25)
    assert clock.leave_out_until(-1) == 0
    assert clock.leave_out_until(1919) == 0
    assert clock.leave_out_until(1920) == 1
    assert clock.take() == 1920


def test_a_short_burst_of_work_changes_nothing() -> None:
    decision = PaceDecision()
    for share in (0.5, 1.0, 1.0, 0.6, 1.0, 0.6, 0.9, 0.9, 0.9):
        assert decision.decide(load(share), shown=0) == 0


def test_an_overloaded_stage_takes_the_pace_that_fits_at_once() -> None:
    for need, pace in ((1.0, 1), (1.2, 2), (1.5, 3), (1.8, 4), (4.0, 4)):
        decision = PaceDecision()
        for _ in range(OVERLOADED_WINDOWS):
            before = decision.pace
            after = decision.decide(at_full_rate(need, before), shown=before)
        assert after == pace, need


def test_a_stage_comes_back_step_by_step_when_the_load_has_gone() -> None:
    decision = PaceDecision()
    for _ in range(OVERLOADED_WINDOWS):
        decision.decide(at_full_rate(2.0, decision.pace), shown=decision.pace)
    assert decision.pace == SLOWEST
    paces = [decision.decide(at_full_rate(0.6, decision.pace), shown=decision.pace) for _ in range(4 * CALM_WINDOWS)]
    assert paces == sorted(paces, reverse=True) and set(paces) == {0, 1, 2, 3, 4}


def test_a_load_that_stays_does_not_make_the_pace_tremble() -> None:
    """Whatever a stage needs, its pace changes a few times at most, and then stays for minutes."""
    for hundredths in range(50, 300, 5):
        decision, changes = PaceDecision(), 0
        for _ in range(600):
            before = decision.pace
            changes += decision.decide(at_full_rate(hundredths / 100, before), shown=before) != before
        assert changes <= 2, (hundredths, changes)


def test_a_return_that_does_not_last_is_tried_less_and_less_often() -> None:
    decision = PaceDecision()
    returns: list[int] = []
    for window in range(400):
        # Pictures seem cheap while they are few: the return looks as if it fitted, and does not.
        need = 0.7 if decision.pace else 1.1
        before = decision.pace
        if decision.decide(at_full_rate(need, before), shown=before) == 0 and before == 1:
            returns.append(window)
    waits = [after - before for before, after in pairwise(returns)][:4]
    assert waits == sorted(waits) and waits[-1] >= 2 * waits[0]
    for _ in range(SLOWEST * MOST_CALM_WINDOWS + LASTED_WINDOWS):
        decision.decide(load(0.3), shown=0)
    assert decision.pace == 0


def test_a_stage_that_is_overloaded_at_a_told_pace_goes_below_it() -> None:
    decision = PaceDecision()
    for _ in range(OVERLOADED_WINDOWS):
        decision.decide(load(1.0, pictures=62, fps=250), shown=3)
    assert decision.pace == 4


def test_a_stage_without_watched_sessions_keeps_the_full_rate() -> None:
    decision = PaceDecision()
    for _ in range(10):
        assert decision.decide(load(0.2, pictures=0, picture_share=0.0, fps=0.0), shown=4) == 0
        assert decision.decide(load(1.0, pictures=0, picture_share=0.0, fps=0.0), shown=4) == 0
