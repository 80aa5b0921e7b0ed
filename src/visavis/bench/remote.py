"""`visavis bench remote`: what it costs that a session is performed by a machine of a fleet, and that its client comes
to a server which does not own it.

On this machine run a server with a stage of its own, and a fleet: two servers and a machine with one stage, on a
PostgreSQL. What is compared is measured alternately, so that the machine's good and bad moments come to both.

- Interrupts: two sessions of the fleet hum in turns. The channel of one comes to the server that owns it, that of the
  other to the other server, which relays it. Times are those of `visavis bench interrupt`.
- Cost: the processor time of all that performs sessions which speak all the time, each with a viewer that counts, on
  the server's own stage and on the fleet's machine: servers, supervisor and stage, without viewers and PostgreSQL. What
  the same processes take without a session is told apart.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from visavis import signals
from visavis.bench.figures import Repeated, percentiles_ms, print_json, print_latencies
from visavis.bench.interrupt import Measured, interrupt
from visavis.bench.live import (
    LiveServer,
    LiveSession,
    free_places,
    live_session,
    machine_members,
    running_server,
    running_server_at,
    speaking_sessions,
)
from visavis.bench.load import Load
from visavis.bench.processes import cpu_s, with_descendants
from visavis.demo.reception import Reception
from visavis.demo.server_process import free_port
from visavis.errors import ServerFailed
from visavis.rooms.watch import WhepViewer

SECRET = "of the benchmark, which has no other"
MACHINE_WITHIN_S = 60.0
SETTLE_S, WINDOW_S = 4.0, 10.0
STOP_WITHIN_S = 15.0

Used = Callable[[], float]
"""Returns the processor time of a set-up so far, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setups:
    """`alone`: a server with a stage of its own. `owner`, `other`: of the fleet. `machine_pid`: of the supervisor."""

    alone: LiveServer
    owner: LiveServer
    other: LiveServer
    machine_pid: int

    def fleet_cpu_s(self) -> float:
        pids = {pid for root in (self.owner.pid, self.other.pid, self.machine_pid) for pid in with_descendants(root)}
        return cpu_s(pids)


@dataclass(slots=True)
class Costs:
    """Of one set-up: the share of a core that a session takes, and what all takes without any, window by window."""

    session_cores: list[float] = field(default_factory=list)
    idle_cores: list[float] = field(default_factory=list)


@contextmanager
def running_setups(folder: Path, postgresql: str) -> Iterator[Setups]:
    """Raises `ServerFailed`."""
    counted = Load.TWICE.settings
    with ExitStack() as stack:
        for name in ("alone", "owner", "other", "machine"):
            (folder / name).mkdir()
        alone = stack.enter_context(running_server(folder / "alone", VISAVIS_STAGES="1", **counted))

        def of_fleet(name: str) -> LiveServer:
            port = free_port()
            settings = {
                "VISAVIS_FLEET": "true",
                "VISAVIS_DATABASE_URL": postgresql,
                "VISAVIS_SECRET": SECRET,
                "VISAVIS_STAGE_SOURCE_URL": f"http://127.0.0.1:{port}",
            }
            return stack.enter_context(running_server_at(port, folder / name, settings))

        owner, other = of_fleet("owner"), of_fleet("other")
        token = folder / "token"
        token.write_text(owner.process.create_stage_token("bench"))
        machine = stack.enter_context(_machine(folder / "machine", postgresql, token, **counted))
        if not signals.run(_takes_sessions(owner, machine)):
            told = (folder / "machine" / "log").read_text(errors="replace")
            raise ServerFailed(f"The machine takes no sessions: {told[-500:]}")
        yield Setups(alone=alone, owner=owner, other=other, machine_pid=machine.pid)


@contextmanager
def _machine(folder: Path, postgresql: str, token: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    listen = f"wss://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "visavis", "stage", "--listen", listen, "--fleet-token-file", str(token)]
    own = {"VISAVIS_DATABASE_URL": postgresql, "VISAVIS_STAGES": "1", "OMP_NUM_THREADS": "1", **settings}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--cache", str(folder / "cache")],
            env={**os.environ, **own},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _takes_sessions(server: LiveServer, machine: subprocess.Popen[bytes]) -> bool:
    """Wait until the machine takes sessions; return whether it does."""
    until_s = time.monotonic() + MACHINE_WITHIN_S
    async with server.client() as http:
        while not await free_places(http):
            if machine.poll() is not None or time.monotonic() > until_s:
                return False
            await asyncio.sleep(0.2)
    return True


# --- interrupts


@asynccontextmanager
async def _watched(
    server: LiveServer, *, channel_at: str | None = None
) -> AsyncIterator[tuple[LiveSession, Reception]]:
    """Run a session that a viewer hears. `channel_at`: the address of the server to which its channel comes."""
    async with (
        server.client() as http,
        live_session(http, server.look, "playback", channel_at=channel_at) as session,
        WhepViewer(whep_url=session.whep_url, token=session.token) as viewer,
    ):
        reception = Reception()
        receiving = [
            asyncio.create_task(reception.take_pictures(viewer)),
            asyncio.create_task(reception.take_sound(viewer)),
        ]
        try:
            await reception.wait_for_picture(512, 512)
            yield session, reception
        finally:
            for task in receiving:
                task.cancel()
            await asyncio.gather(*receiving, return_exceptions=True)


async def measure_interrupts(setups: Setups, *, rounds: int) -> tuple[Measured, Measured]:
    """Return what was measured directly and through a relay, `rounds` times each."""
    direct, relayed = Measured(sessions=2), Measured(sessions=2)
    async with AsyncExitStack() as stack:
        pairs = [
            (*await stack.enter_async_context(_watched(setups.owner)), direct),
            (*await stack.enter_async_context(_watched(setups.owner, channel_at=setups.other.base_url)), relayed),
        ]
        for number in range(rounds):
            for session, reception, measured in pairs if number % 2 else reversed(pairs):
                await interrupt(session, reception, measured, f"hum {number}")
    return direct, relayed


# --- cost


async def measure_costs(setups: Setups, *, sessions: int, turns: int) -> tuple[Costs, Costs]:
    """Return what sessions cost on the server's own stage and on the fleet's machine, window by window."""
    own, remote = Costs(), Costs()
    sides = [(own, setups.alone, setups.alone.cpu_s), (remote, setups.owner, setups.fleet_cpu_s)]
    for turn in range(turns):
        for costs, server, used in sides if turn % 2 else reversed(sides):
            costs.idle_cores.append(await _cores(used))
            async with server.client() as http, speaking_sessions(http, server.look, sessions) as speaking:
                if speaking.count < sessions:
                    raise ServerFailed(f"Only {speaking.count} of {sessions} sessions could be started")
                await asyncio.sleep(SETTLE_S)
                costs.session_cores.append(await _cores(used) / sessions)
    return own, remote


async def _cores(used: Used) -> float:
    began_s, before_s = time.monotonic(), used()
    await asyncio.sleep(WINDOW_S)
    return (used() - before_s) / (time.monotonic() - began_s)


def ratios(own: Costs, remote: Costs, *, sessions: int) -> tuple[Repeated, Repeated]:
    """Return how many times as much a remote session costs, pair by pair: with all that runs, and without what the
    processes take when there is no session.
    """

    def net(costs: Costs, turn: int) -> float:
        return costs.session_cores[turn] - costs.idle_cores[turn] / sessions

    turns = range(len(own.session_cores))
    return (
        Repeated.of([remote.session_cores[turn] / own.session_cores[turn] for turn in turns], digits=3),
        Repeated.of([net(remote, turn) / net(own, turn) for turn in turns], digits=3),
    )


def run(as_json: bool, *, postgresql: str, rounds: int, sessions: int, turns: int) -> None:
    """Measure and print. Raises `ServerFailed`."""
    with tempfile.TemporaryDirectory(prefix="visavis-") as name, running_setups(Path(name), postgresql) as setups:
        direct, relayed = signals.run(measure_interrupts(setups, rounds=rounds))
        own, remote = signals.run(measure_costs(setups, sessions=sessions, turns=turns))
    whole, net = ratios(own, remote, sessions=sessions)
    latencies = [
        (f"interrupt to {until}, {how}", percentiles_ms(times))
        for how, one in (("direct", direct), ("relayed", relayed))
        for until, times in (("its confirmation", one.confirmed_s), ("silence at a viewer", one.silent_s))
    ]
    if as_json:
        record = {
            "benchmark": "remote",
            "rounds": rounds,
            "interrupts_ms": dict(latencies),
            "sessions": sessions,
            "turns": turns,
            "own_session_cores": own.session_cores,
            "own_idle_cores": own.idle_cores,
            "remote_session_cores": remote.session_cores,
            "remote_idle_cores": remote.idle_cores,
            "cost_ratio": whole.median,
            "cost_ratio_spread": whole.spread,
            "cost_ratio_net": net.median,
            "cost_ratio_net_spread": net.spread,
            **machine_members(),
        }
        print_json(record)
        return
    print_latencies(
        f"{rounds} interrupts each, alternately",
        latencies,
        f"A session takes {_shown(own)} on the server's own stage, {_shown(remote)} on a machine of the fleet "
        f"({sessions} sessions, {turns} windows each)",
        f"A remote session costs {whole.text('.3f')} times a local one; without what the processes take alone "
        f"{net.text('.3f')} times",
    )


def _shown(costs: Costs) -> str:
    session, idle = statistics.median(costs.session_cores), statistics.median(costs.idle_cores)
    return f"{session:.3f} of a core (without sessions all together {idle:.3f})"
