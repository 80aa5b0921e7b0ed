"""The machines of a fleet, as the reports of their stages show them: which stage can take a session, how many places
are free, and the pace that all stages of a machine share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import structlog

from visavis.fleet.admission import Limits, MachineState, Others, StageState, can_take, places, stage_places
from visavis.fleet.link import StageLink
from visavis.fleet.port import Cores
from visavis.stage.port.report import UNMEASURED_COSTS, SessionShape

# A stage that starts works for some seconds before it can report that it is no neighbour: one core at most.
STARTING_FOR_S, STARTING_CORES = 5.0, 1.0

log = structlog.get_logger("visavis.fleet")


class Machines:
    """`shapes`: of the sessions that were placed, by id; a stage reports them a little later."""

    def __init__(
        self, limits: Limits, shapes: dict[str, SessionShape], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self._shapes, self._clock = shapes, clock
        self.moving: dict[str, SessionShape] = {}  # by session: those that have lost their stage, until they are placed
        self._others: dict[str, Others] = {}  # by machine
        self._paces: dict[str, int] = {}
        self._starting_until_s = 0.0

    def stage_starts(self) -> None:
        """A stage is being started."""
        self._starting_until_s = self._clock() + STARTING_FOR_S

    def take_report(self, link: StageLink, links: Iterable[StageLink]) -> None:
        """Take the newest report of a link, and tell it the pace of its machine; all stages of the machine if that has
        changed. So each is told once a second. `links`: all of the fleet that are alive.
        """
        machine_id = link.report.machine_id
        own = [one for one in links if one.report.machine_id == machine_id]
        used = link.report.cores - link.report.unused_cores - sum(one.report.own_cores for one in own)
        if self._clock() < self._starting_until_s:
            used -= STARTING_CORES
        self._others.setdefault(machine_id, Others()).see(max(0.0, used), now_s=self._clock())
        pace = max((one.report.pace for one in own), default=0)
        changed = pace != self._paces.get(machine_id, 0)
        if changed:
            log.info("machine_pace_changed", machine=machine_id, pace=pace)
        self._paces[machine_id] = pace
        for one in own:
            if changed or one is link:
                one.tell_pace(pace)

    def can_take(self, link: StageLink, links: Sequence[StageLink], shape: SessionShape) -> bool:
        """Whether the stage of a link can take one more session."""
        if self._total_left(links) <= 0:
            return False
        machine = self._machine(link.report.machine_id, links)
        return can_take(machine, self._stage(link), shape, self.limits)

    def can_take_moved(
        self, link: StageLink, links: Sequence[StageLink], shape: SessionShape, *, machine_id: str, at_most: int = 0
    ) -> bool:
        """Whether the stage of a link can take a session that is moving. `machine_id`: of the stage that has lost it.
        That machine has carried the session before, so only what fits on one stage counts there. `at_most`: so many
        sessions fit on a stage whatever they cost.
        """
        if link.report.machine_id != machine_id:
            return self.can_take(link, links, shape)
        if self._total_left(links) + 1 <= 0:  # it has a place of its own
            return False
        limits = replace(self.limits, measured=False) if len(link.sessions) < at_most else self.limits
        return stage_places(self._stage(link), shape, limits) > 0

    def weight(self, link: StageLink) -> float:
        """How much the sessions of a stage take, to compare stages: by one measure, whatever each has measured."""
        return StageState(UNMEASURED_COSTS, self._stage(link).shapes).placed_cores

    def places(self, links: Sequence[StageLink], shape: SessionShape, *, more_stages: int) -> int:
        """Return how many more sessions of a shape all stages can take. `more_stages`: how many can still be opened
        where the first one is.
        """
        found = 0
        for number, machine_id in enumerate(dict.fromkeys(link.report.machine_id for link in links)):
            machine = self._machine(machine_id, links, more_stages=more_stages if number == 0 else 0)
            found += places(machine, shape, self.limits)
        return max(0, min(found, self._total_left(links)))

    def state(self, links: Sequence[StageLink]) -> MachineState:
        """The machine that all these links lead to."""
        return self._machine(links[0].report.machine_id, links)

    def cores(self, links: Sequence[StageLink]) -> Cores:
        """The cores of all machines together."""
        newest = {link.report.machine_id: link.report for link in links}.values()
        return Cores(
            given=sum(report.cores for report in newest),
            unused=sum(report.unused_cores for report in newest),
            stolen=sum(report.stolen_cores for report in newest),
            throttled=sum(report.throttled_cores for report in newest),
        )

    def pace(self, links: Sequence[StageLink]) -> int:
        """The slowest pace of all machines."""
        return max((self._paces.get(link.report.machine_id, 0) for link in links), default=0)

    def _total_left(self, links: Iterable[StageLink]) -> int:
        placed = sum(len(link.sessions) for link in links) + len(self.moving)
        return 1_000_000 if self.limits.sessions is None else self.limits.sessions - placed

    def _machine(self, machine_id: str, links: Iterable[StageLink], *, more_stages: int = 0) -> MachineState:
        own = [link for link in links if link.report.machine_id == machine_id]
        others = self._others.get(machine_id)
        coming = sum(own[0].report.costs.session_cores(shape) for shape in self.moving.values())
        return MachineState(
            cores=own[0].report.cores,
            others=coming + (0.0 if others is None else others.cores),
            pace=self._paces.get(machine_id, 0),
            stages=tuple(self._stage(link) for link in own),
            more_stages=more_stages,
        )

    def _stage(self, link: StageLink) -> StageState:
        """The stage with all its sessions: those of other servers, and those that it has not reported yet."""
        reported = link.report.sessions
        own = {session_id: self._shapes[session_id] for session_id in link.sessions if session_id in self._shapes}
        return StageState(link.report.costs, tuple((own | reported).values()))
