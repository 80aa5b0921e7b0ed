"""What a machine can still take, on values: the machines of docs/performance.md, and the traps around them."""

from __future__ import annotations

import pytest

from visavis.fleet.admission import UNLIMITED, Limits, MachineState, Others, StageState, can_take, places
from visavis.stage.port.report import FrameCosts, SessionShape

# 258 and 175 frames a second on one core, and 144: `visavis bench pipeline` of the two machines in docs/performance.md.
FAST = FrameCosts(fixed_ms=3.15, per_mpx_ms=2.78)
SLOW = FAST.times(258 / 144)
SMALL, LARGE = SessionShape(width_px=512, height_px=512), SessionShape(width_px=1280, height_px=720)
LIMITS = Limits()


def machine(
    costs: FrameCosts,
    *sessions: int,
    shape: SessionShape = SMALL,
    others: float = 0.0,
    cores: float = 2.0,
    pace: int = 0,
    more_stages: int = 0,
) -> MachineState:
    """A machine whose stages have so many sessions each."""
    stages = tuple(StageState(costs, (shape,) * count) for count in sessions)
    return MachineState(cores=cores, others=others, pace=pace, stages=stages, more_stages=more_stages)


@pytest.mark.parametrize(
    ("costs", "others", "least", "most"),
    [
        (FAST, 0.0, 11, 14),  # 13 to 14 without a late frame
        (SLOW, 0.0, 6, 7),  # 6 to 7
        (FAST, 1.0, 4, 7),  # 7, with another program on one core
        (SLOW, 1.0, 2, 3),  # six fall to 9.9 frames a second
    ],
)
def test_as_many_places_as_the_machine_carries(costs: FrameCosts, others: float, least: int, most: int) -> None:
    assert least <= places(machine(costs, 0, 0, others=others), SMALL, LIMITS) <= most


def test_a_larger_picture_takes_more_of_the_room() -> None:
    empty = machine(FAST, 0, 0)
    assert places(empty, LARGE, LIMITS) < places(empty, SMALL, LIMITS)
    assert places(machine(FAST, 3, 3, shape=LARGE), SMALL, LIMITS) < places(machine(FAST, 3, 3), SMALL, LIMITS)


def test_every_session_takes_one_place_until_there_is_none() -> None:
    free = [places(machine(SLOW, first, second), SMALL, LIMITS) for first, second in
            ((0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3))]  # fmt: skip
    assert free == list(range(free[0], free[0] - 7, -1)) and free[-1] >= 0


def test_viewers_take_room() -> None:
    crowd = SessionShape(width_px=512, height_px=512, viewers=150)
    assert places(machine(SLOW, 1, 0, shape=crowd), SMALL, LIMITS) < places(machine(SLOW, 1, 0), SMALL, LIMITS)
    alone = SessionShape(width_px=512, height_px=512, viewers=0)
    assert SLOW.session_cores(alone) == SLOW.session_cores(SessionShape(width_px=512, height_px=512, viewers=1))
    assert SLOW.viewer_cores(1) == pytest.approx(0.018, abs=0.002)
    assert SLOW.viewer_cores(101) - SLOW.viewer_cores(1) == pytest.approx(0.31, abs=0.02)


def test_a_stage_takes_no_more_than_one_core_however_many_the_machine_has() -> None:
    wide = machine(SLOW, 0, cores=64)
    assert places(wide, SMALL, LIMITS) == places(machine(SLOW, 0, cores=1.5), SMALL, LIMITS)
    assert places(machine(SLOW, 0, cores=64, more_stages=3), SMALL, LIMITS) == 4 * places(wide, SMALL, LIMITS)


def test_the_quota_limits_several_stages_together() -> None:
    assert places(machine(SLOW, 0, 0, cores=1.0), SMALL, LIMITS) == places(machine(SLOW, 0, cores=1.0), SMALL, LIMITS)


def test_a_full_stage_takes_none_while_another_has_room() -> None:
    uneven = machine(SLOW, 4, 0)
    full, empty = uneven.stages
    assert not can_take(uneven, full, SMALL, LIMITS)
    assert can_take(uneven, empty, SMALL, LIMITS)


def test_a_machine_that_slows_its_sessions_down_takes_no_more() -> None:
    assert places(machine(FAST, 1, 1, pace=1), SMALL, LIMITS) == 0


def test_the_first_session_is_always_taken() -> None:
    """Neighbours that want every core still share them; and a machine that is too slow for one session says so by its
    pace.
    """
    assert places(machine(SLOW, 0, 0, others=2.0), SMALL, LIMITS) == 1
    assert places(machine(SLOW, 1, 0, others=2.0), SMALL, LIMITS) == 0
    assert places(machine(SLOW.times(20), 0), LARGE, LIMITS) == 1
    assert places(machine(SLOW, 0, 0, pace=2), SMALL, LIMITS) >= 1


def test_the_operators_limits_hold_beside_the_measured_ones() -> None:
    empty = machine(FAST, 0, 0)
    assert places(empty, SMALL, Limits(sessions_per_stage=2)) == 4
    assert places(empty, SMALL, Limits(share=0.4)) < places(empty, SMALL, LIMITS) / 2 + 1
    assert places(machine(FAST, 2, 1), SMALL, Limits(sessions_per_stage=2)) == 1


def test_fewer_cores_of_the_operator_leave_the_rest_to_others() -> None:
    one_core = Limits(cores=1.0)
    assert places(machine(FAST, 0, 0), SMALL, one_core) == places(machine(FAST, 0, 0, cores=1.0), SMALL, LIMITS)
    assert places(machine(FAST, 0, 0, others=1.0), SMALL, one_core) == places(machine(FAST, 0, 0), SMALL, one_core)
    assert places(machine(FAST, 0, 0, others=1.5), SMALL, one_core) < places(machine(FAST, 0, 0), SMALL, one_core)
    assert places(machine(FAST, 0, 0, cores=1.0), SMALL, Limits(cores=2.0)) == places(
        machine(FAST, 0, 0), SMALL, LIMITS
    )


def test_without_measured_admission_only_numbers_count() -> None:
    crowded = machine(SLOW, 30, 30, others=2.0, pace=4)
    assert places(crowded, SMALL, Limits(measured=False, sessions_per_stage=40)) == 20
    assert places(crowded, SMALL, Limits(measured=False)) == UNLIMITED
    assert can_take(crowded, crowded.stages[0], SMALL, Limits(measured=False, sessions_per_stage=31))
    assert not can_take(crowded, crowded.stages[0], SMALL, Limits(measured=False, sessions_per_stage=30))


def test_what_others_take_counts_at_once_and_is_forgotten_slowly() -> None:
    others = Others()
    others.see(0.2, now_s=0.0)
    others.see(1.0, now_s=1.0)
    assert others.cores == 1.0
    others.see(0.0, now_s=3.0)
    assert 0.4 < others.cores < 0.7
    for second in range(4, 20):
        others.see(0.05, now_s=float(second))
    assert others.cores == pytest.approx(0.05, abs=0.02)


def test_a_pulsing_neighbour_does_not_make_places_come_and_go() -> None:
    others, free = Others(), set()
    for second in range(60):
        others.see(1.0 if second % 4 < 2 else 0.0, now_s=float(second))
        if second > 5:
            free.add(places(machine(SLOW, 1, 1, others=others.cores), SMALL, LIMITS))
    assert max(free) - min(free) <= 2
