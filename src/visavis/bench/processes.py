"""Processor time and memory of processes, as /proc shows them. Without /proc (all systems but Linux) they are 0."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def cpu_s(pids: Iterable[int]) -> float:
    """Return the processor time of these processes so far, without that of their children."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        ticks += int(fields[11]) + int(fields[12]) if fields else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def waited_s(pid: int) -> float:
    """Return how long the main thread of a process has waited for a core so far, ready to run: what its neighbours
    took. What a hypervisor takes from the whole machine is not in it.
    """
    try:
        return int((PROC / str(pid) / "task" / str(pid) / "schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def pss_mb(pids: Iterable[int]) -> float:
    """Return the proportional memory of these processes: what they share with others counts by their share."""
    return _memory_mb(pids, "Pss:")


def own_mb(pids: Iterable[int]) -> float:
    """Return the memory of these processes that holds no file: what they have allocated. Unlike the proportional one it
    does not depend on which other processes run the same programs.
    """
    return _memory_mb(pids, "Anonymous:", "Swap:")


def _memory_mb(pids: Iterable[int], *members: str) -> float:
    total_kb = 0
    for pid in pids:
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total_kb += sum(int(line.split()[1]) for line in lines if line.startswith(members))
    return total_kb / 1024


def with_descendants(pid: int) -> list[int]:
    """Return a process and all that it has started, directly or not, as far as they live."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on (proc(5) counts it as the third); empty if it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
