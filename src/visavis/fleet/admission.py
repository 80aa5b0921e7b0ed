"""Which sessions a machine can still take. Pure.

A place is what a session takes when it speaks all the time with one viewer, whatever it does at the moment. So a
session that was admitted and is still silent is not counted as free room. What others take of the machine (neighbours,
the service, the hypervisor) is measured, and gone for as long as they take it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from visavis.settings import Settings
from visavis.stage.port.report import FrameCosts, SessionShape

FALL_IN_S = 10.0  # what others took is forgotten within about so long, so that places do not come and go
UNLIMITED = 1000  # places, where nothing limits them


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the operator allows. `measured`: admit what fits; otherwise only the numbers count. `share`: of the cores,
    how much sessions may fill. `cores`: of each machine, instead of what its stages find. `sessions_per_stage`,
    `sessions`: the most of one stage, and of all.
    """

    measured: bool = True
    share: float = 0.85
    cores: float | None = None
    sessions_per_stage: int | None = None
    sessions: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            measured=settings.admission == "measured",
            share=settings.admission_share,
            cores=settings.cores,
            sessions_per_stage=settings.sessions_per_stage,
            sessions=settings.max_sessions,
        )


@dataclass(frozen=True, slots=True)
class StageState:
    """A stage: what sessions cost on it, and those that it has."""

    costs: FrameCosts
    shapes: tuple[SessionShape, ...]

    @property
    def placed_cores(self) -> float:
        return sum(self.costs.session_cores(shape) for shape in self.shapes)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineState:
    """A machine: its cores, how many of them others take, its pace, and its stages. `more_stages`: how many can still
    be opened on it.
    """

    cores: float
    others: float
    pace: int
    stages: tuple[StageState, ...]
    more_stages: int = 0

    @property
    def sessions(self) -> int:
        return sum(len(stage.shapes) for stage in self.stages)


def places(machine: MachineState, shape: SessionShape, limits: Limits) -> int:
    """Return how many more sessions of a shape the machine can take."""
    unopened = [StageState(machine.stages[0].costs, ())] * machine.more_stages if machine.stages else []
    on_stages = sum(stage_places(stage, shape, limits) for stage in [*machine.stages, *unopened])
    return min(on_stages, _places_by_cores(machine, shape, limits))


def can_take(machine: MachineState, stage: StageState, shape: SessionShape, limits: Limits) -> bool:
    """Whether one of the machine's stages can take one more session."""
    return stage_places(stage, shape, limits) > 0 and _places_by_cores(machine, shape, limits) > 0


def places_within(machine: MachineState, shape: SessionShape, limits: Limits) -> int:
    """Return how many more sessions of a shape a machine can take that is all there is: the operator's number of
    sessions is that of this machine.
    """
    free = places(machine, shape, limits)
    return free if limits.sessions is None else min(free, max(0, limits.sessions - machine.sessions))


def _places_by_cores(machine: MachineState, shape: SessionShape, limits: Limits) -> int:
    if not limits.measured:
        return UNLIMITED
    if not machine.sessions:  # the first one is always taken: neighbours that share their cores leave it some
        return max(1, _count(_room(machine, limits), _dearest(machine).session_cores(shape)))
    if machine.pace:
        return 0
    return _count(_room(machine, limits), _dearest(machine).session_cores(shape))


def _room(machine: MachineState, limits: Limits) -> float:
    placed = sum(stage.placed_cores for stage in machine.stages)
    cores = limits.cores or machine.cores
    others = max(0.0, machine.others - max(0.0, machine.cores - cores))  # they take the cores that are left out first
    return limits.share * cores - others - placed


def _dearest(machine: MachineState) -> FrameCosts:
    return max((stage.costs for stage in machine.stages), key=lambda costs: costs.fixed_ms + costs.per_mpx_ms)


def stage_places(stage: StageState, shape: SessionShape, limits: Limits) -> int:
    """Return how many more sessions of a shape fit on a stage. It uses one core at most."""
    most = UNLIMITED if limits.sessions_per_stage is None else limits.sessions_per_stage
    left = max(0, most - len(stage.shapes))
    if not limits.measured:
        return left
    fitting = _count(limits.share - stage.placed_cores, stage.costs.session_cores(shape))
    return min(left, fitting if stage.shapes else max(1, fitting))


def _count(room: float, each: float) -> int:
    return max(0, min(UNLIMITED, math.floor(room / each + 1e-9)))


class Others:
    """How many cores others take of a machine: rises at once, and falls slowly."""

    def __init__(self) -> None:
        self.cores = 0.0
        self._seen_s: float | None = None

    def see(self, cores: float, *, now_s: float) -> None:
        passed_s = 0.0 if self._seen_s is None else now_s - self._seen_s
        self._seen_s = now_s
        kept = self.cores * math.exp(-max(0.0, passed_s) / (FALL_IN_S / 3))
        self.cores = max(cores, kept)
