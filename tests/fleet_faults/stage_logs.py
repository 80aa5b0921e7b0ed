"""Who performed which session when, from the logs of all stages, and whether two ever did at the same time.

A stage logs `session_opened`, `session_taken_over` and `session_left`, with the session, the epoch of its row
(`ownership`) and its process. `silent_s` in `session_left`: for how long it had shown nothing then. `session_cut_off`
tells the same before it leaves the room, for which it may have no time: its supervisor kills it. A process that is
killed logs nothing: its supervisor says so (`stage_lost`, `stage_killed`), or who has killed both knows it (`Ended`).
All machines have one clock, as they are one.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

OWNED = ("session_opened", "session_taken_over")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """From this time on (unix s) this process did nothing any more."""

    pid: int
    at_s: float


@dataclass(slots=True, kw_only=True)
class Shown:
    """A process showed a session. `until_s`: infinite if it still does."""

    session_id: str
    machine: str
    pid: int
    from_s: float
    until_s: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    machine: str
    at_s: float
    event: str
    members: Mapping[str, Any]


def lines_of(logs: Mapping[str, Iterable[str]]) -> list[Line]:
    """Return the structured lines of all logs, by machine, in the order of their time."""
    found = []
    for machine, log in logs.items():
        for text in log:
            if text.startswith("{"):
                members = json.loads(text)
                at_s = datetime.fromisoformat(members["timestamp"]).timestamp()
                found.append(Line(machine=machine, at_s=at_s, event=members["event"], members=members))
    return sorted(found, key=lambda line: line.at_s)


def shown(lines: Sequence[Line], ended: Iterable[Ended] = ()) -> list[Shown]:
    """Return when which process showed which session. Raises ValueError for lines that contradict each other."""
    found: list[Shown] = []
    now: dict[tuple[str, int, str], Shown] = {}  # by machine, process and session
    cut_off = set[tuple[str, int, str]]()
    ends: dict[int, list[float]] = defaultdict(list)
    for one in ended:
        ends[one.pid].append(one.at_s)
    for line in lines:
        if line.event in ("stage_lost", "stage_killed"):
            ends[line.members["pid"]].append(line.at_s)
    for line in lines:
        if line.event not in ("session_opened", "session_cut_off", "session_left"):
            continue
        pid, session_id = line.members["pid"], line.members["session_id"]
        key = line.machine, pid, session_id
        if line.event == "session_opened":
            if key in now:
                raise ValueError(f"{line.machine} has opened {session_id} twice")
            now[key] = Shown(session_id=session_id, machine=line.machine, pid=pid, from_s=line.at_s)
            found.append(now[key])
        elif line.event == "session_left" and key in cut_off:
            cut_off.remove(key)
        elif key not in now:
            raise ValueError(f"{line.machine} has left {session_id}, which it had not opened")
        else:
            now.pop(key).until_s = line.at_s - line.members["silent_s"]
            if line.event == "session_cut_off":
                cut_off.add(key)
    for left in now.values():
        left.until_s = min((at_s for at_s in ends[left.pid] if at_s >= left.from_s), default=math.inf)
    return found


def at_the_same_time(found: Iterable[Shown]) -> list[tuple[Shown, Shown]]:
    """Return the pairs of processes that showed one session at the same time."""
    return [
        (one, other)
        for one, other in itertools.combinations(sorted(found, key=lambda each: each.from_s), 2)
        if one.session_id == other.session_id and one.until_s > other.from_s
    ]


def epochs_that_fell(lines: Iterable[Line]) -> list[str]:
    """Return what stages did for an owner of an earlier epoch than that of the owner before: the epoch of a session's
    row rises with each machine and each server that gets it.
    """
    faults = []
    before: dict[str, Line] = {}
    for line in lines:
        if line.event not in OWNED:
            continue
        session_id, ownership = line.members["session_id"], line.members["ownership"]
        last = before.get(session_id)
        if last is not None:
            rises = last.machine != line.machine or last.members["server_id"] != line.members["server_id"]
            least = last.members["ownership"] + (1 if rises else 0)
            if ownership < least:
                faults.append(f"{line.event} of {session_id} on {line.machine} at epoch {ownership}, not {least}")
        before[session_id] = line
    return faults
