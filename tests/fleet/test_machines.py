"""The machines of a fleet: what their stages report becomes places, and one pace for all stages of a machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from visavis.fleet.admission import Limits
from visavis.fleet.link import StageLink
from visavis.fleet.machines import STARTING_FOR_S, Machines
from visavis.stage.port.report import FrameCosts, SessionShape, StageReport

COSTS = FrameCosts(fixed_ms=3.15, per_mpx_ms=2.78)
SHAPE = SessionShape(width_px=512, height_px=512)


@dataclass(eq=False)
class Stage:
    """A link with a report, which notes the paces that it is told."""

    report: StageReport
    sessions: set[str] = field(default_factory=set)
    told: list[int] = field(default_factory=list)

    def tell_pace(self, pace: int) -> None:
        self.told.append(pace)


def report(
    *,
    machine: str = "one",
    unused: float = 2.0,
    own: float = 0.0,
    pace: int = 0,
    sessions: dict[str, SessionShape] | None = None,
) -> StageReport:
    return StageReport(
        machine_id=machine,
        cores=2.0,
        unused_cores=unused,
        own_cores=own,
        pace=pace,
        costs=COSTS,
        sessions=sessions or {},
    )


class Fleet:
    """Machines on a clock that the test moves."""

    def __init__(self, *reports: StageReport, limits: Limits = Limits()) -> None:  # noqa: B008  it is frozen
        self.now_s = 100.0
        self.shapes: dict[str, SessionShape] = {}
        self.machines = Machines(limits, self.shapes, lambda: self.now_s)
        self.stages = [Stage(one) for one in reports]
        self.links = [cast(StageLink, stage) for stage in self.stages]

    def take_reports(self) -> None:
        for link in self.links:
            self.machines.take_report(link, self.links)

    def place(self, session_id: str, stage: int) -> None:
        self.stages[stage].sessions.add(session_id)
        self.shapes[session_id] = SHAPE

    def places(self, more_stages: int = 0) -> int:
        return self.machines.places(self.links, SHAPE, more_stages=more_stages)


def test_what_our_own_stages_use_is_no_neighbour() -> None:
    """Two stages that use a core each, beside nobody: all that is taken is theirs."""
    alone = Fleet(report(), report())
    busy = Fleet(report(unused=0.4, own=0.8), report(unused=0.4, own=0.8))
    beside = Fleet(report(unused=0.4), report(unused=0.4))
    for fleet in (alone, busy, beside):
        fleet.take_reports()
    assert busy.places() == alone.places() > beside.places()


def test_a_starting_stage_is_no_neighbour() -> None:
    fleet = Fleet(report(unused=0.8))
    fleet.machines.stage_starts()
    fleet.take_reports()
    before = fleet.places()
    fleet.now_s += STARTING_FOR_S
    fleet.take_reports()
    assert fleet.places() < before


def test_a_session_counts_from_its_placing_on_and_once() -> None:
    fleet = Fleet(report(), report())
    fleet.take_reports()
    free = fleet.places()
    fleet.place("a", 0)
    assert fleet.places() == free - 1, "before its stage reports it"
    fleet.stages[0].report = report(sessions={"a": SHAPE})
    assert fleet.places() == free - 1, "and after"
    fleet.stages[1].report = report(sessions={"of another server": SHAPE})
    assert fleet.places() == free - 2
    assert fleet.machines.weight(fleet.links[0]) == fleet.machines.weight(fleet.links[1]) > 0


def test_a_session_that_was_resized_counts_with_its_new_size() -> None:
    fleet = Fleet(report())
    fleet.take_reports()
    fleet.place("a", 0)
    small = fleet.places()
    fleet.stages[0].report = report(sessions={"a": SessionShape(width_px=1280, height_px=1280, viewers=5)})
    assert fleet.places() < small


def test_machines_add_up() -> None:
    one, two = Fleet(report()), Fleet(report(), report(machine="two"))
    one.take_reports()
    two.take_reports()
    assert two.places() == 2 * one.places()
    assert two.machines.cores(two.links).given == 4.0


def test_the_total_of_the_operator_holds_for_all_machines() -> None:
    fleet = Fleet(report(), report(machine="two"), limits=Limits(sessions=3))
    fleet.take_reports()
    assert fleet.places() == 3
    for number in range(3):
        fleet.place(f"s{number}", number % 2)
    assert fleet.places() == 0
    assert not fleet.machines.can_take(fleet.links[0], fleet.links, SHAPE)


def test_all_stages_of_a_machine_are_told_its_slowest_pace_and_others_are_not() -> None:
    fleet = Fleet(report(pace=1), report(pace=3), report(machine="two"))
    fleet.take_reports()
    assert [stage.told[-1] for stage in fleet.stages] == [3, 3, 0]
    assert fleet.machines.pace(fleet.links) == 3
    assert not fleet.machines.can_take(fleet.links[0], fleet.links, SHAPE) or not fleet.stages[0].report.sessions
    fleet.stages[1].report = report(pace=0)
    fleet.machines.take_report(fleet.links[1], fleet.links)
    assert [stage.told[-1] for stage in fleet.stages] == [1, 1, 0]


def test_each_stage_is_told_the_pace_once_for_each_of_its_reports() -> None:
    fleet = Fleet(report(pace=1), report(), report())
    fleet.take_reports()
    before = [len(stage.told) for stage in fleet.stages]
    fleet.take_reports()
    assert [len(stage.told) for stage in fleet.stages] == [count + 1 for count in before]


def test_a_fleet_without_stages_has_no_places_and_no_load() -> None:
    fleet = Fleet()
    assert fleet.places(more_stages=2) == 0
    assert fleet.machines.cores(fleet.links).load == 0.0 and fleet.machines.pace(fleet.links) == 0
