"""What a machine tells about its room, and whom it lets in. Without processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from visavis.errors import SettingInvalid
from visavis.fleet.admission import Limits, MachineState, StageState, places, room_cores
from visavis.machine.network import MediaNetwork
from visavis.stage.port.address import Address
from visavis.stage.port.report import FrameCosts, SessionShape
from visavis.store.stage_rows import Room
from visavis.supervisor.command import run
from visavis.supervisor.processes import ProcessOptions
from visavis.supervisor.supervisor import SHAPE, room_of

COSTS = FrameCosts(fixed_ms=2.0, per_mpx_ms=4.0)
NOTHING = Room(room_mcores=0, frame_us=1, mpx_us=1)


def machine(*sessions: int, cores: float = 2.0, others: float = 0.0, pace: int = 0) -> MachineState:
    """Return a machine with so many sessions on each of its stages."""
    stages = tuple(StageState(COSTS, (SHAPE,) * count) for count in sessions)
    return MachineState(cores=cores, others=others, pace=pace, stages=stages)


def options(limits: Limits) -> ProcessOptions:
    listen = Address(host="127.0.0.1", port=0)
    return ProcessOptions(listen=listen, count=2, cache=Path("cache"), network=MediaNetwork(), limits=limits)


@pytest.mark.parametrize("state", [machine(0, 0), machine(3, 1), machine(2, 2, others=0.6), machine(1, 0, pace=2)])
def test_the_room_is_what_its_sessions_take_and_what_still_fits(state: MachineState) -> None:
    limits = Limits()
    each = COSTS.session_cores(SHAPE)
    free = places(state, SHAPE, limits)
    assert room_cores(state, SHAPE, limits) == pytest.approx((state.sessions + free) * each)
    told = room_of(state, options(limits), before=NOTHING)
    assert told == Room(room_mcores=round(1000 * (state.sessions + free) * each), frame_us=2_000, mpx_us=4_000)


def test_a_machine_that_slows_its_sessions_down_has_no_room_beside_them_and_one_without_processes_has_none() -> None:
    slow = room_of(machine(2, 2, pace=1), options(Limits()), before=NOTHING)
    assert slow.room_mcores == round(4 * 1000 * COSTS.session_cores(SHAPE))
    gone = room_of(None, options(Limits()), before=slow, draining=True)
    assert gone == Room(room_mcores=0, frame_us=2_000, mpx_us=4_000, draining=True)


def test_the_operators_number_of_sessions_is_the_machines() -> None:
    told = room_of(machine(1, 1), options(Limits(sessions=3)), before=NOTHING)
    assert told.room_mcores == round(3 * 1000 * COSTS.session_cores(SHAPE))
    full = room_of(machine(2, 2), options(Limits(sessions=3)), before=NOTHING)
    assert full.room_mcores == round(4 * 1000 * COSTS.session_cores(SHAPE))


def test_a_large_session_counts_for_what_it_costs() -> None:
    large = SessionShape(width_px=1280, height_px=720)
    state = MachineState(cores=2.0, others=0.0, pace=0, stages=(StageState(COSTS, (large,)), StageState(COSTS, ())))
    assert room_cores(state, SHAPE, Limits()) >= COSTS.session_cores(large)


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
