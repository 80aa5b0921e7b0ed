"""Processes of this machine, as /proc shows them."""

from __future__ import annotations

import os
from pathlib import Path

# Of a process that finds the modules of the tests, too. What this one has stays: `.ci/run` measures coverage by it.
PYTHON_PATH = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])


def children(pid: int, command: str) -> list[int]:
    """Return the living children of a process that have `command` in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(stat[1]) == pid and command.encode() in line and stat[0] != "Z":
                found.append(int(entry.name))
    return found
