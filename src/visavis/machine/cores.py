"""How many cores this process and its siblings may use, and how many of them are taken.

The cores are what the scheduler gives: the processors of the process's affinity (which follows the group's cpuset),
and at most the smallest quota of a control group up the tree. Taken is what anybody uses of them, and what is lost:
stolen by a hypervisor, or waited for under a quota.

`read_counters` reads; the rest is pure.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

from visavis.machine.control_groups import GroupTime, group_times

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")  # of /proc/stat
# Programs of a lower priority (nice) leave the processor to others. The scheduler gives one of nice 5 a quarter beside
# one of nice 0, and one of nice 10 a tenth.
YIELDING_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreCounters:
    """Seconds since the machine started, summed over the process's processors: `busy_s` without what follows,
    `yielding_s` by programs of a lower priority, `stolen_s`. `groups`: the control groups with a quota.
    """

    at_s: float
    processors: int
    busy_s: float = 0.0
    yielding_s: float = 0.0
    stolen_s: float = 0.0
    groups: tuple[GroupTime, ...] = ()

    @property
    def cores(self) -> float:
        """How many cores may be used."""
        return min((float(self.processors), *(group.quota_cores for group in self.groups)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreUse:
    """What was taken of the cores in a stretch of time. `unused`: how many cores were left, 0 if more was wanted than
    there is. `stolen` and `throttled`: cores that were lost to the hypervisor and to a quota.
    """

    cores: float
    unused: float
    stolen: float = 0.0
    throttled: float = 0.0


def cores() -> float:
    """Return how many cores this process may use now."""
    return read_counters().cores


def processes_for(cores: float) -> int:
    """Return how many processes of one thread each can use these cores."""
    return max(1, math.ceil(cores - 0.01))


def use_between(before: CoreCounters, after: CoreCounters) -> CoreUse:
    """Return what was taken from `before` to `after`."""
    passed_s = max(after.at_s - before.at_s, 1e-3)
    busy = (after.busy_s - before.busy_s) / passed_s
    yielding = (after.yielding_s - before.yielding_s) / passed_s
    stolen = max(0.0, (after.stolen_s - before.stolen_s) / passed_s)
    left = [after.processors - busy - YIELDING_SHARE * yielding - stolen]
    throttled = 0.0
    if len(before.groups) == len(after.groups):
        for earlier, later in zip(before.groups, after.groups, strict=True):
            lost = min(later.quota_cores, max(0.0, later.throttled_s - earlier.throttled_s) / passed_s)
            used_s = 0.0 if later.used_s is None or earlier.used_s is None else later.used_s - earlier.used_s
            left.append(later.quota_cores - used_s / passed_s - lost)
            throttled = max(throttled, lost)
    unused = min(after.cores, max(0.0, min(left)))
    return CoreUse(cores=after.cores, unused=unused, stolen=stolen, throttled=throttled)


def read_counters(
    root: Path = Path("/"), *, processors: frozenset[int] | None = None, yielding: bool | None = None
) -> CoreCounters:
    """Read the counters. `root`: the folder that holds /proc and /sys. `processors`: None for those of this process.
    `yielding`: whether this process has a lower priority itself, so that nobody else yields to it; None to find out.
    """
    if processors is None:
        processors = _affinity()
    if yielding is None:
        yielding = os.getpriority(os.PRIO_PROCESS, 0) > 0
    at_s = time.monotonic()
    found = [figures for name, figures in _processor_lines(root) if name in {f"cpu{number}" for number in processors}]
    busy_s = yielding_s = stolen_s = 0.0
    # proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal. Kernels before 2.6.11 have no steal.
    for user, nice, system, _idle, _iowait, irq, softirq, steal, *_ in (figures + [0] * 8 for figures in found):
        busy_s += (user + system + irq + softirq + (nice if yielding else 0)) / _TICKS_PER_S
        yielding_s += (0 if yielding else nice) / _TICKS_PER_S
        stolen_s += steal / _TICKS_PER_S
    return CoreCounters(
        at_s=at_s,
        processors=len(processors),
        busy_s=busy_s,
        yielding_s=yielding_s,
        stolen_s=stolen_s,
        groups=group_times(root),
    )


def _affinity() -> frozenset[int]:
    try:
        return frozenset(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity
        return frozenset(range(os.cpu_count() or 1))


def _processor_lines(root: Path) -> list[tuple[str, list[int]]]:
    try:
        lines = (root / "proc/stat").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines if line.startswith("cpu")]
    return [(name, [int(figure) for figure in figures]) for name, *figures in fields]
