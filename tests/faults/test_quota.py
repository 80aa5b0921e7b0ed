"""A server under a real quota of processor time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.faults.cpu_group import cpu_group
from tests.faults.scale import only_in_full

SESSIONS = 3


def density(prefix: list[str]) -> dict[str, Any]:
    """Measure some sessions that speak all the time, with their viewers, in a group or in none."""
    command = ["bench", "density", "--first", str(SESSIONS), "--most", str(SESSIONS), "--stages", "1", "--json"]
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "visavis.cli", *command],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    step: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["steps"][0]
    return step


@only_in_full
def test_a_process_finds_the_quota_of_its_group() -> None:
    read = "from visavis.machine.cores import cores; print(cores())"
    with cpu_group(0.5) as prefix:
        done = subprocess.run([*prefix, sys.executable, "-c", read], capture_output=True, text=True, check=True)
    assert float(done.stdout) == 0.5


@only_in_full
def test_the_sound_loses_no_packet_at_90_percent_of_a_quota() -> None:
    free = density([])
    taken = free["stage_cores"] + free["viewer_cores"] + 0.05  # the command itself
    with cpu_group(min(taken / 0.9, (os.cpu_count() or 1) - 0.05)) as prefix:
        limited = density(prefix)
    print(free, limited)
    assert limited["sound_missing"] == 0 and limited["sound_least"] > 49.0
