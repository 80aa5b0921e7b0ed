"""A simulated fleet (simulated_fleet.py) that lives: every machine and server renews its lease, servers look for leases
that have lapsed, sessions come and go. Then some of it stops at once, and the others take over.

On a machine that does not keep up leases lapse of holders that live. Then all do what real ones would: the others end
these leases and take over, a server takes its lease again, and a machine enters again. It is counted.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

from sqlalchemy import func, or_, select

from visavis.bench.machine_process import Renewals
from visavis.bench.simulated_fleet import SHAPE, SimulatedFleet, Times, flat_out
from visavis.errors import StaleOwner, StorageUnusable
from visavis.sessions.owner_watch import TAKES_EVERY
from visavis.store.leases import GAP_MS, LOOK_EVERY_S, RENEW_EVERY_S
from visavis.store.models import sessions
from visavis.store.session_owners import SessionOwners

PLACED_AT_ONCE = 4  # by each server, of the sessions whose stages are lost
SETTLED_WITHIN_S = 120.0
ASK_EVERY_S = 0.05  # whether all are settled
TOO_LATE_S = GAP_MS / 1000  # whoever renews its lease so late is not steady


@dataclass(slots=True, kw_only=True)
class Overload:
    """What does not happen on a machine that keeps up. `lost_leases`: of servers and machines that lived. `refused`:
    sessions that found no room, although there was some. `stale`: sessions that were another server's by then, or whose
    server had just lost its lease. `failures`: calls that the database did not answer in time. `behind_s`: the longest
    time from when something was due until it was done.
    """

    lost_leases: int = 0
    refused: int = 0
    stale: int = 0
    failures: int = 0
    behind_s: float = 0.0

    @property
    def is_one(self) -> bool:
        return bool(self.lost_leases or self.refused or self.stale or self.failures or self.behind_s >= TOO_LATE_S)


@dataclass(slots=True, kw_only=True)
class Life:
    """What a fleet did for a while. Times count from when each call was due; `renewals` are those of machines.
    `processor_cores`, `machines_cores`, `database_cores`: what this process, the machines' and the PostgreSQL's used of
    processors; 0 where that is not known.
    """

    renewals: Renewals = field(default_factory=Renewals)
    looks: Times = field(default_factory=Times)
    placements: Times = field(default_factory=Times)
    releases: Times = field(default_factory=Times)
    processor_cores: float = 0.0
    machines_cores: float = 0.0
    database_cores: float = 0.0


@dataclass(slots=True, kw_only=True)
class Strike:
    """What followed when a tenth of the machines and one server stopped at once. Times since then: `ended_s` until the
    last of their leases had ended, `settled_s` until the last of their sessions had a server and a stage that live; 0
    if that was not seen.
    """

    stages: int
    sessions: int
    ended_s: float = 0.0
    settled_s: float = 0.0
    taken: int = 0  # sessions of the server, by the calls that `take_overs` counts
    take_overs: Times = field(default_factory=Times)
    placements: Times = field(default_factory=Times)


class FleetLife:
    """`live` once, then `strike` once, inside `async with`: the leases are renewed from its beginning to its end.

    `sessions`: so many have a place at a time; the fleet has some more. Each lasts `lives_s`.
    """

    def __init__(self, fleet: SimulatedFleet, *, stages: int, sessions: int, lives_s: float) -> None:
        self._fleet, self._sessions, self._lives_s = fleet, sessions, lives_s
        self._owners = SessionOwners(fleet.database)
        self._drawn = random.Random(1)
        self._life, self._counts = Life(), False  # whether the calls of now are part of it
        self._turns = defaultdict[int, asyncio.Lock](asyncio.Lock)  # of each session: to go before it comes again
        self._strike = Strike(stages=max(1, stages // 10), sessions=0)
        self._stopped: frozenset[str] = frozenset()
        self._struck_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self.overload = Overload()

    async def __aenter__(self) -> FleetLife:
        await self._fleet.machines.live()
        for number in range(len(self._fleet.servers)):
            self._tasks += [asyncio.create_task(self._renew(number)), asyncio.create_task(self._look(number))]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def live(self, *, seconds: float) -> Life:
        fleet, life = self._fleet, self._life
        present, waiting = list(range(self._sessions)), list(range(self._sessions, len(fleet.epochs)))
        self._drawn.shuffle(present)
        await self._count_renewals()
        database_s = await fleet.database_processor_s()
        self._counts, processor_s = True, time.process_time()
        began_s, apart_s = time.perf_counter(), self._lives_s / self._sessions
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(seconds / apart_s)):
                due_s = began_s + number * apart_s
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                leaves, comes = present[number % len(present)], waiting[number % len(waiting)]
                present[number % len(present)], waiting[number % len(waiting)] = comes, leaves
                tasks.create_task(self._replace(leaves, comes, due_s=due_s))
            await asyncio.sleep(max(0.0, began_s + seconds - time.perf_counter()))
        self._counts = False
        passed_s = time.perf_counter() - began_s
        life.processor_cores = (time.process_time() - processor_s) / passed_s
        life.database_cores = (await fleet.database_processor_s() - database_s) / passed_s
        life.renewals = await self._count_renewals()
        life.machines_cores = life.renewals.processor_s / passed_s
        for times in (life.looks, life.placements, life.releases):
            times.all_s = passed_s
        return life

    async def strike(self) -> Strike:
        """Stop a tenth of the machines and one server; return when the others have taken everything over."""
        strike, fleet = self._strike, self._fleet
        server = fleet.servers[0]
        self._struck_s = time.perf_counter()
        stopped = await fleet.machines.stop(strike.stages)
        self._stopped = frozenset([*stopped, server.id])
        strike.sessions = await self._count_of(stopped, server.id)
        while self._passed_s() < SETTLED_WITHIN_S:
            await asyncio.sleep(ASK_EVERY_S)
            if await self._count_of(stopped, server.id) == 0:
                strike.settled_s = self._passed_s()
                break
        for times in (strike.take_overs, strike.placements):
            times.all_s = max(0.0, strike.settled_s - strike.ended_s)
        await self._count_renewals()
        return strike

    async def _count_renewals(self) -> Renewals:
        renewals = await self._fleet.machines.count()
        self.overload.lost_leases += renewals.lost_leases
        self.overload.failures += renewals.failures
        self._be_late(renewals.longest_s)
        return renewals

    def _be_late(self, seconds: float) -> None:
        self.overload.behind_s = max(self.overload.behind_s, seconds)

    def _passed_s(self) -> float:
        return time.perf_counter() - self._struck_s

    async def _renew(self, number: int) -> None:
        """Renew the lease of a server, or take it again: others have ended it."""
        fleet = self._fleet
        due_s = time.perf_counter() + self._drawn.random() * RENEW_EVERY_S
        while True:
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            lease = fleet.servers[number]
            if lease.id in self._stopped:
                return
            try:
                if not await fleet.server_leases.renew(lease):
                    self.overload.lost_leases += 1
                    fleet.servers[number] = await fleet.server_leases.take_again(lease) or lease
            except StorageUnusable:
                self.overload.failures += 1
            self._be_late(time.perf_counter() - due_s)
            due_s = max(due_s + RENEW_EVERY_S, time.perf_counter())

    async def _look(self, number: int) -> None:
        due_s = time.perf_counter() + self._drawn.random() * LOOK_EVERY_S
        for looks in count():
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            server = self._fleet.servers[number]
            if server.id in self._stopped:
                return
            try:
                ended = await self._fleet.server_leases.end_lapsed(server)
                ended += await self._fleet.store.leases.end_lapsed(server)
                looked_s = time.perf_counter() - due_s
                if self._counts:
                    self._life.looks.each_s.append(looked_s)
                self._be_late(looked_s)
                if not self._stopped.isdisjoint(ended):
                    self._strike.ended_s = max(self._strike.ended_s, self._passed_s())
                if ended or self._stopped or looks % TAKES_EVERY == 0:
                    await self._recover(number)
            except StorageUnusable:
                self.overload.failures += 1
            due_s = max(due_s + LOOK_EVERY_S, time.perf_counter())

    async def _recover(self, number: int) -> None:
        """Take over sessions of a server whose lease has ended; then give this server's sessions of lost stages other
        places.
        """
        server = self._fleet.servers[number]
        while True:
            start_s = time.perf_counter()
            taken = await self._owners.take_over(server)
            if not taken:
                break
            self._strike.take_overs.each_s.append(time.perf_counter() - start_s)
            self._strike.taken += len(taken)
            for owned in taken:
                self._fleet.note(owned.session_id, owned.epoch)
        lost = await self._fleet.store.lost(server)

        async def place(index: int) -> None:
            one = lost[index]
            try:
                placed = await self._fleet.store.place(one.session_id, SHAPE, epoch=one.epoch, by=server)
            except StaleOwner:
                self.overload.stale += 1
            else:
                if placed is None:
                    self.overload.refused += 1
                else:
                    self._fleet.note(one.session_id, placed.epoch)

        times = await flat_out(place, count=len(lost), at_once=PLACED_AT_ONCE)
        self.overload.failures += times.failures
        self._strike.placements.each_s += times.each_s

    async def _replace(self, leaves: int, comes: int, *, due_s: float) -> None:
        async with self._turns[leaves]:
            if await self._tried(self._fleet.release, leaves) is False:
                self.overload.stale += 1
        released_s = time.perf_counter()
        self._life.releases.each_s.append(released_s - due_s)
        async with self._turns[comes]:
            if await self._tried(self._fleet.place, comes) is False:
                self.overload.refused += 1
        self._life.placements.each_s.append(time.perf_counter() - released_s)
        self._be_late(time.perf_counter() - due_s)

    async def _tried(self, call: Callable[[int], Awaitable[bool]], number: int) -> bool | None:
        try:
            return await call(number)
        except StaleOwner:
            self.overload.stale += 1
        except StorageUnusable:
            self.overload.failures += 1
        return None

    async def _count_of(self, stage_ids: list[str], server_id: str) -> int:
        """Return how many sessions name one of these stages or this server."""
        row = sessions.c
        query = select(func.count()).where(or_(row.stage_id.in_(stage_ids), row.server_id == server_id))
        async with self._fleet.database.read() as connection:
            return int((await connection.execute(query)).scalar_one())
