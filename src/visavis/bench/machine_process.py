"""The process in which the machines of a simulated fleet run (simulated_machines.py), as its parent sees it."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from typing import Any

from visavis.errors import StorageUnusable
from visavis.sessions.session_metrics import Percentiles
from visavis.store.stage_rows import Room

CLOSE_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewals:
    """Renewals of machines' leases. `ms`: of single ones; at the machines' pace from when they were due. `longest_s`:
    of them. `lost_leases`: others had ended them. `failures`: the database gave no answer. `processor_s`, `database_s`:
    what the machines' process and the database used of processors; 0 if that is not known.
    """

    count: int = 0
    all_s: float = 0.0
    ms: Percentiles = field(default_factory=Percentiles)
    longest_s: float = 0.0
    lost_leases: int = 0
    failures: int = 0
    processor_s: float = 0.0
    database_s: float = 0.0

    @property
    def per_s(self) -> float:
        return self.count / self.all_s if self.all_s else 0.0

    @property
    def here_ms(self) -> float:
        """Processor time of the machines' process for each."""
        return 1000 * self.processor_s / max(1, self.count)

    @property
    def database_ms(self) -> float:
        return 1000 * self.database_s / max(1, self.count)


class MachineProcess:
    """All its calls raise `StorageUnusable` if the process has ended."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, url: str, *, token: str, room: Room, machines: int, connections: int) -> MachineProcess:
        """Return when all machines have entered."""
        pipe = asyncio.subprocess.PIPE
        started = cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "visavis.bench.simulated_machines", stdin=pipe, stdout=pipe, limit=16 * 1024**2
            )
        )
        try:
            await started._ask(
                {
                    "url": url,
                    "token": token,
                    "room": [room.room_mcores, room.frame_us, room.mpx_us],
                    "machines": machines,
                    "connections": connections,
                }
            )
        except BaseException:
            await started.aclose()
            raise
        return started

    async def flat_out(self, *, seconds: float) -> Renewals:
        """Renew the leases one after the other, as fast as it goes."""
        return _renewals(await self._ask({"flat_out": seconds}))

    async def live(self) -> None:
        """Let each machine renew its lease twice a second from now on."""
        await self._ask({"live": True})

    async def count(self) -> Renewals:
        """Return what was renewed since the last call, or since `live`."""
        return _renewals(await self._ask({"count": True}))

    async def stop(self, count: int) -> list[str]:
        """Let so many machines renew their leases no more; return their names."""
        names: list[str] = (await self._ask({"stop": count}))["names"]
        return names

    async def aclose(self) -> None:
        try:
            await asyncio.wait_for(self._process.communicate(), CLOSE_WITHIN_S)  # closes the pipes, too
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        answer = await self._process.stdout.readline()
        if not answer:
            raise StorageUnusable("The process of the simulated machines has ended: see above")
        found: dict[str, Any] = json.loads(answer)
        return found


def _renewals(told: dict[str, Any]) -> Renewals:
    return Renewals(**{**told, "ms": Percentiles(**told["ms"])})
