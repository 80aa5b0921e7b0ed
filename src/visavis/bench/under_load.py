"""A benchmark of one session on a server of its own, with other sessions beside it: what `latency` and `interrupt` have
in common.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from visavis import signals
from visavis.bench.live import LiveServer, admitted, running_server
from visavis.bench.load import Load
from visavis.bench.yardstick import MachineFigures, Yardstick

Measured = TypeVar("Measured", covariant=True)


class Measurement(Protocol[Measured]):
    """Measures one session on a server, with `beside` others that speak."""

    def __call__(self, server: LiveServer, yardstick: Yardstick, *, beside: int) -> Awaitable[Measured]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderLoad(Generic[Measured]):
    """What was measured, how many sessions the server admits, and the machine."""

    measured: Measured
    admitted_sessions: int
    machine: MachineFigures


def measure_under_load(load: Load, measurement: Measurement[Measured]) -> UnderLoad[Measured]:
    """Start a server, ask it how many sessions it admits, and measure at a load. For a load that it does not admit,
    another server is started on the same data, which admits it.
    """
    with tempfile.TemporaryDirectory(prefix="visavis-") as name:
        folder = Path(name)
        with running_server(folder) as server:
            admitted_sessions = signals.run(admitted(server))
            yardstick = Yardstick(server.pack)
            beside = load.sessions_beside(admitted_sessions)
            if not load.settings:
                measured = signals.run(_run(measurement, server, yardstick, beside))
        if load.settings:
            with running_server(folder, **load.settings) as server:
                measured = signals.run(_run(measurement, server, yardstick, beside))
        machine = yardstick.end()
    return UnderLoad(measured=measured, admitted_sessions=admitted_sessions, machine=machine)


async def _run(measurement: Measurement[Measured], server: LiveServer, yardstick: Yardstick, beside: int) -> Measured:
    return await measurement(server, yardstick, beside=beside)
