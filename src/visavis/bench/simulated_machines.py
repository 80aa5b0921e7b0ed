"""The machines of a simulated fleet: each enters its row into a real PostgreSQL, and renews its lease twice a second
with the statement that real ones send (store/stage_rows.py).

A real machine does that from a process of its own, over a connection of its own. Here one process does it for all, over
a few: this module is its program, and machine_process.py is what its parent sees. It goes straight to the driver, with
prepared statements, to take little of a machine that it shares with the PostgreSQL. A machine whose lease others have
ended enters again under another name, as real ones do.

The parent writes a JSON object to each line of stdin, and reads one from stdout in answer:

- {"url", "token", "room": [thousandths of a core, µs, µs], "machines", "connections"}, once: all enter
- {"flat_out": seconds}: renews one after the other, as fast as it goes
- {"live": true}: from now on each is renewed twice a second
- {"count": true}: what was renewed since that was asked last
- {"stop": count}: so many are renewed no more; their names
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from heapq import heappop, heappush
from typing import Any

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.sql.compiler import SQLCompiler

from visavis.errors import StorageUnusable
from visavis.sessions.session_metrics import Percentiles
from visavis.store.database import Database
from visavis.store.leases import RENEW_EVERY_S, Lease
from visavis.store.postgresql import connector_beside, open_beside
from visavis.store.stage_rows import RENEW, Reached, Room, StageRows, renewal

_LOOK_EVERY_S = 0.002  # which machines are due
_TRIES, _TRY_AGAIN_S = 20, 0.5  # to enter
_CERTIFICATE = "-" * 600  # as long as one of the kind that machines make
_NO_ANSWER = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(slots=True, kw_only=True)
class _Machine:
    """`values`: of its renewals, as the driver takes them. `lives`: how often it has entered."""

    lease: Lease
    values: Sequence[object]
    lives: int = 1
    is_stopped: bool = False


class _Count:
    """What was renewed since a moment, and how long each took: at the machines' pace from when it was due."""

    def __init__(self) -> None:
        self.each_s: list[float] = []
        self.lost_leases = self.failures = 0
        self._since_s, self._processor_s = time.perf_counter(), time.process_time()

    def figures(self) -> dict[str, Any]:
        """Return what `machine_process.Renewals` has."""
        return {
            "count": len(self.each_s),
            "all_s": time.perf_counter() - self._since_s,
            "ms": asdict(Percentiles.of(round(one * 1000, 2) for one in self.each_s)),
            "longest_s": max(self.each_s, default=0.0),
            "lost_leases": self.lost_leases,
            "failures": self.failures,
            "processor_s": time.process_time() - self._processor_s,
        }


class SimulatedMachines:
    """`renewers`: the statement of a renewal, prepared on each connection. `names`: of its values, in their order."""

    def __init__(
        self, rows: StageRows, renewers: Sequence[Any], names: Sequence[str], *, token: str, room: Room
    ) -> None:
        self._rows, self._renewers, self._names = rows, renewers, names
        self._token, self._room = token, room
        self._machines: list[_Machine] = []
        self._waiting: list[tuple[float, int]] = []  # machines by their numbers, and when each is due
        self._due: asyncio.Queue[tuple[float, int]] = asyncio.Queue()
        self._count = _Count()

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, token: str, room: Room, connections: int) -> AsyncIterator[SimulatedMachines]:
        compiled = RENEW.compile(dialect=dialect())  # type: ignore[no-untyped-call]
        assert isinstance(compiled, SQLCompiler) and compiled.positiontup is not None
        connect = connector_beside(url)
        rows = StageRows(Database(open_beside(url, connections=connections), url), token=token)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(rows.aclose)
            renewers = []
            for _ in range(connections):
                connection = await connect()
                stack.callback(connection.terminate)
                renewers.append(await connection.prepare(str(compiled)))
            yield cls(rows, renewers, compiled.positiontup, token=token, room=room)

    async def enter(self, count: int) -> None:
        """Enter all. Raises `StorageUnusable` if the database does not answer for long."""
        for number in range(count):
            self._machines.append(await self._entered(f"stage-{number}", number))

    async def _entered(self, name: str, number: int) -> _Machine:
        for _ in range(_TRIES):
            with suppress(StorageUnusable):
                return await self._enter(name, number)
            await asyncio.sleep(_TRY_AGAIN_S)
        return await self._enter(name, number)

    async def _enter(self, name: str, number: int) -> _Machine:
        reached = Reached(address=f"wss://10.0.0.1:{number}", port_token="bench", certificate=_CERTIFICATE)
        labels = {"region": "eu" if number % 2 else "us"}
        lease = await self._rows.enter(name, reached, labels=labels, room=self._room)
        values = renewal(self._token, lease, self._room)
        return _Machine(lease=lease, values=[values[name] for name in self._names])

    async def flat_out(self, seconds: float) -> None:
        """Renew all again and again. Raises what the driver raises."""
        numbers = iter(range(sys.maxsize))
        until_s = time.perf_counter() + seconds

        async def work(renewer: Any) -> None:
            while (start_s := time.perf_counter()) < until_s:
                await self._renew(next(numbers) % len(self._machines), renewer)
                self._count.each_s.append(time.perf_counter() - start_s)

        await asyncio.gather(*(work(one) for one in self._renewers))

    async def live(self) -> None:
        """Renew each twice a second, until this is cancelled."""
        now_s = time.perf_counter()
        for number in range(len(self._machines)):
            heappush(self._waiting, (now_s + random.random() * RENEW_EVERY_S, number))
        async with asyncio.TaskGroup() as tasks:
            for renewer in self._renewers:
                tasks.create_task(self._work(renewer))
            while True:
                now_s = time.perf_counter()
                while self._waiting and self._waiting[0][0] <= now_s:
                    self._due.put_nowait(heappop(self._waiting))
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _work(self, renewer: Any) -> None:
        """Renew what is due, over one of the connections."""
        while True:
            due_s, number = await self._due.get()
            if self._machines[number].is_stopped:
                continue
            await self._renew(number, renewer)
            now_s = time.perf_counter()
            self._count.each_s.append(now_s - due_s)
            heappush(self._waiting, (max(due_s + RENEW_EVERY_S, now_s), number))

    async def _renew(self, number: int, renewer: Any) -> None:
        machine = self._machines[number]
        try:
            if await renewer.fetchval(*machine.values):
                return
            self._count.lost_leases += 1
            lives = machine.lives + 1
            self._machines[number] = again = await self._enter(f"stage-{number}-{lives}", number)
            again.lives, again.is_stopped = lives, machine.is_stopped
        except (*_NO_ANSWER, StorageUnusable):
            self._count.failures += 1

    def stop(self, count: int) -> list[str]:
        for machine in self._machines[:count]:
            machine.is_stopped = True
        return [machine.lease.id for machine in self._machines[:count]]

    def read(self) -> dict[str, Any]:
        figures = self._count.figures()
        self._count = _Count()
        return figures


async def _serve() -> None:
    """Serve the parent until it closes its end."""
    reader = asyncio.StreamReader(limit=1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    first = json.loads(await reader.readline())
    room_mcores, frame_us, mpx_us = first["room"]
    room = Room(room_mcores=room_mcores, frame_us=frame_us, mpx_us=mpx_us)
    opening = SimulatedMachines.open(first["url"], token=first["token"], room=room, connections=first["connections"])
    async with opening as machines:
        await machines.enter(first["machines"])
        _tell({})
        living: asyncio.Task[None] | None = None
        while line := await reader.readline():
            message = json.loads(line)
            answer: dict[str, Any] = {}
            if "flat_out" in message:
                machines.read()
                await machines.flat_out(message["flat_out"])
                answer = machines.read()
            elif "live" in message:
                living = asyncio.create_task(machines.live())
            elif "count" in message:
                answer = machines.read()
            else:
                answer = {"names": machines.stop(message["stop"])}
            _tell(answer)
        if living is not None:
            living.cancel()
            with suppress(asyncio.CancelledError):
                await living


def _tell(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
