"""What a machine tells about its room, and whom it lets in. Without processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from visavis.errors import SettingInvalid
from visavis.fleet.admission import Limits, MachineState, StageState, places
from visavis.stage.port.report import FrameCosts, SessionShape
from visavis.store.stage_rows import Room
from visavis.supervisor.command import run
from visavis.supervisor.supervisor import NO_ROOM, SHAPE, room_of

COSTS = FrameCosts(fixed_ms=2.0, per_mpx_ms=4.0)
EACH = Room(room_mcores=0, frame_us=2_000, mpx_us=4_000).mcores_of(SHAPE)


def machine(
    *sessions: int, cores: float = 2.0, others: float = 0.0, pace: int = 0, costs: FrameCosts = COSTS
) -> MachineState:
    """Return a machine with so many sessions on each of its stages."""
    stages = tuple(StageState(costs, (SHAPE,) * count) for count in sessions)
    return MachineState(cores=cores, others=others, pace=pace, stages=stages)


def told_by(state: MachineState | None, limits: Limits = Limits(), **more: Any) -> Room:  # noqa: B008  it is frozen
    """Return the room of a machine whose sessions have the size with which they were opened."""
    shapes = [] if state is None else [shape for stage in state.stages for shape in stage.shapes]
    opened = [structs.replace(shape, viewers=0) for shape in shapes]
    return room_of(state, opened, limits, **{"before": NO_ROOM, **more})


@pytest.mark.parametrize("state", [machine(0, 0), machine(3, 1), machine(2, 2, others=0.6), machine(1, 0, pace=2)])
def test_the_room_is_what_its_sessions_take_and_what_still_fits(state: MachineState) -> None:
    assert pytest.approx(1000 * COSTS.session_cores(SHAPE), abs=1) == EACH
    told = told_by(state)
    free = places(state, SHAPE, Limits())
    assert told == Room(room_mcores=(state.sessions + free) * EACH, frame_us=2_000, mpx_us=4_000)


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_sum_and_room_have_one_unit_whatever_sessions_cost_meanwhile(factor: float) -> None:
    """The places of sessions are not reckoned anew, so neither is what the room is measured by."""
    first = told_by(machine(0, 0, cores=8.0))
    now = machine(3, 1, cores=8.0, costs=COSTS.times(factor))
    told = told_by(now, before=first)
    assert (told.frame_us, told.mpx_us) == (first.frame_us, first.mpx_us)
    taken = 4 * first.mcores_of(SHAPE)  # of places that were given since
    free, left = divmod(told.room_mcores - taken, told.mcores_of(SHAPE))
    assert (free, left) == (places(now, SHAPE, Limits()), 0)


def test_a_session_whose_size_has_changed_keeps_its_place() -> None:
    large = SessionShape(width_px=1280, height_px=720)
    now = machine(1, 0)
    told = room_of(now, [large], Limits(), before=NO_ROOM)
    assert told.room_mcores == told.mcores_of(large) + places(now, SHAPE, Limits()) * EACH


def test_viewers_take_room_and_no_place() -> None:
    watched = SessionShape(width_px=512, height_px=512, viewers=300)
    state = MachineState(cores=2.0, others=0.0, pace=0, stages=(StageState(COSTS, (watched,)), StageState(COSTS, ())))
    told = told_by(state)
    assert told.room_mcores == (1 + places(state, SHAPE, Limits())) * EACH
    assert told.room_mcores < told_by(machine(1, 0)).room_mcores


def test_a_machine_that_slows_its_sessions_down_has_no_room_beside_them_and_one_without_processes_has_none() -> None:
    slow = told_by(machine(2, 2, pace=1))
    assert slow.room_mcores == 4 * EACH
    gone = told_by(None, before=slow, draining=True)
    assert gone == Room(room_mcores=0, frame_us=2_000, mpx_us=4_000, draining=True)


def test_the_operators_number_of_sessions_is_the_machines() -> None:
    told = told_by(machine(1, 1), Limits(sessions=3))
    assert told.room_mcores == 3 * EACH
    full = told_by(machine(2, 2), Limits(sessions=3))
    assert full.room_mcores == 4 * EACH


def test_a_large_session_counts_for_what_it_costs() -> None:
    large = SessionShape(width_px=1280, height_px=720)
    state = MachineState(cores=2.0, others=0.0, pace=0, stages=(StageState(COSTS, (large,)), StageState(COSTS, ())))
    assert told_by(state).room_mcores >= 1000 * COSTS.session_cores(large)


@pytest.mark.parametrize(
    ("listen", "address", "database", "told"),
    [
        ("wss://0.0.0.0:8443", None, "postgresql://h/d", "is where this machine listens"),
        ("wss://10.0.0.2:8443", "not a name", "postgresql://h/d", "--address"),
        ("unix:/tmp/x", "a.lan", "postgresql://h/d", "--listen takes wss"),
        ("ws://a:1", "a.lan", "postgresql://h/d", "neither unix:PATH nor wss"),
        ("wss://10.0.0.2:8443", None, "", "needs the fleet's PostgreSQL"),
        ("wss://10.0.0.2:8443", None, "sqlite+aiosqlite:////tmp/x.db", "needs the fleet's PostgreSQL"),
    ],
)
def test_what_no_machine_can_be_started_with_is_named(
    listen: str, address: str | None, database: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database:
        monkeypatch.setenv("VISAVIS_DATABASE_URL", database)
    (tmp_path / "token").write_text("vvs_" + "x" * 40)
    with pytest.raises(SettingInvalid, match=told):
        run(listen=listen, fleet_token_file=tmp_path / "token", address=address, labels={}, cache=tmp_path / "cache")
