"""How many viewers a room takes."""

from __future__ import annotations

import pytest

from visavis.errors import RoomFull
from visavis.stage.audience_limit import FREE_VIEWERS, SHARE, check_audience
from visavis.stage.port.report import FrameCosts, SessionShape

COSTS = FrameCosts(fixed_ms=2.5, per_mpx_ms=3.0)


def viewers_of(shapes: dict[str, SessionShape], costs: FrameCosts = COSTS) -> int:
    """Let viewers join the room "a" until it is full; return how many have joined."""
    joined = shapes["a"].viewers
    while joined < 100_000:
        shapes = shapes | {"a": SessionShape(width_px=512, height_px=512, viewers=joined)}
        try:
            check_audience("a", shapes, costs)
        except RoomFull:
            return joined
        joined += 1
    raise AssertionError("the room is never full")


def session(viewers: int = 1) -> SessionShape:
    return SessionShape(width_px=512, height_px=512, viewers=viewers)


def test_a_room_takes_viewers_up_to_the_share_of_a_core() -> None:
    joined = viewers_of({"a": session()})
    assert joined > FREE_VIEWERS
    assert COSTS.session_cores(session(joined)) <= SHARE < COSTS.session_cores(session(joined + 1))


def test_other_sessions_and_their_viewers_leave_less() -> None:
    alone = viewers_of({"a": session()})
    with_another = viewers_of({"a": session(), "b": session()})
    watched = viewers_of({"a": session(), "b": session(viewers=100)})
    assert alone > with_another > watched > FREE_VIEWERS
    assert watched == pytest.approx(with_another - 99, abs=1), "a viewer of another room costs as much"


def test_a_slow_machine_takes_fewer_but_always_some() -> None:
    assert FREE_VIEWERS < viewers_of({"a": session()}, COSTS.times(2)) < viewers_of({"a": session()}) / 2
    assert viewers_of({"a": session()}, COSTS.times(100)) == FREE_VIEWERS
