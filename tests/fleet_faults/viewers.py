"""The viewers of a session, each a program in a network namespace of its own, and what they have seen."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.namespaces import Machine
from tests.fleet_faults.programs import send, tree
from tests.processes import PYTHON_PATH

FIRST_WITHIN_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """From the last picture (or block of sound) to the next one, unix s."""

    kind: str
    from_s: float
    to_s: float

    @property
    def s(self) -> float:
        return self.to_s - self.from_s


@dataclass(slots=True)
class Watched:
    """What a viewer has told until now. Written by a thread of its own."""

    name: str
    gaps: list[Gap] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)

    def take(self, line: str) -> None:
        told = json.loads(line)
        if told["kind"] == "count":
            self.counts.append(told)
        else:
            self.gaps.append(Gap(kind=told["kind"], from_s=told["from"], to_s=told["to"]))

    @property
    def pictures(self) -> int:
        return self.counts[-1]["picture"] if self.counts else 0

    def sees_at(self, at_s: float) -> bool:
        """Whether pictures have come in the second after this time."""
        later = [one for one in self.counts if one["at"] > at_s]
        return len(later) >= 2 and later[-1]["picture"] > later[0]["picture"]

    def wait_first(self) -> None:
        deadline_s = time.monotonic() + FIRST_WITHIN_S
        while not self.pictures:
            assert time.monotonic() < deadline_s, f"{self.name} sees nothing: {self.counts[-3:]}"
            time.sleep(0.1)  # another process tells nobody

    def longest(self, kind: str, from_s: float, to_s: float) -> Gap | None:
        """Return the longest gap that has begun or ended in this time."""
        found = [one for one in self.gaps if one.kind == kind and one.to_s >= from_s and one.from_s <= to_s]
        return max(found, key=lambda one: one.s, default=None)


@contextmanager
def viewer(machine: Machine, *, module: str, arguments: list[str], environment: dict[str, str]) -> Iterator[Watched]:
    """Run a viewer on a machine until the end of this context."""
    command = machine.command(sys.executable, "-m", f"tests.fleet_faults.{module}", *arguments)
    watched = Watched(machine.name)
    with subprocess.Popen(
        command, env=environment | {"PYTHONPATH": PYTHON_PATH}, stdout=subprocess.PIPE, text=True, cwd="/"
    ) as process:
        assert process.stdout is not None
        lines = process.stdout

        def read() -> None:
            for line in lines:
                watched.take(line)

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        try:
            yield watched
        finally:
            pids = tree(process.pid)
            process.terminate()
            process.wait()
            send(pids[1:], signal.SIGKILL)  # a browser
            reading.join()
