"""A simulated fleet (simulated_fleet.py) that lives: every stage and server renews its lease, servers look for leases
that have lapsed, sessions come and go. Then some of it stops at once, and the others take over.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import func, or_, select

from visavis.bench.simulated_fleet import SHAPE, SimulatedFleet, Times, flat_out
from visavis.errors import StaleOwner, StorageUnusable
from visavis.store.leases import LOOK_EVERY_S, RENEW_EVERY_S, Lease
from visavis.store.models import sessions
from visavis.store.session_owners import SessionOwners

PLACED_AT_ONCE = 4  # by each server, of the sessions whose stages are lost
SETTLED_WITHIN_S = 120.0
ASK_EVERY_S = 0.05  # whether all are settled


@dataclass(slots=True, kw_only=True)
class Life:
    """What a fleet did for a while. Times count from when each call was due. `refused`: sessions that found no room.
    `lost_leases`: of servers and stages that lived. `failures`: renewals and looks that the database did not answer in
    time, and that were tried again. `unplaced`: sessions that were not placed, because their server had lost its lease
    or the database did not answer. `processor_cores`: what this process used; the PostgreSQL's share is not known.
    """

    renewals: Times = field(default_factory=Times)
    looks: Times = field(default_factory=Times)
    placements: Times = field(default_factory=Times)
    releases: Times = field(default_factory=Times)
    refused: int = 0
    lost_leases: int = 0
    failures: int = 0
    unplaced: int = 0
    processor_cores: float = 0.0


@dataclass(slots=True, kw_only=True)
class Strike:
    """What followed when a tenth of the stages and one server stopped at once. Times since then: `ended_s` until the
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

    def __init__(self, fleet: SimulatedFleet, *, sessions: int, lives_s: float) -> None:
        self._fleet, self._sessions, self._lives_s = fleet, sessions, lives_s
        self._owners = SessionOwners(fleet.database)
        self._drawn = random.Random(1)
        self._life, self._counts = Life(), False  # whether the calls of now are part of it
        self._turns = defaultdict[int, asyncio.Lock](asyncio.Lock)  # of the sessions
        self._strike = Strike(stages=max(1, len(fleet.stages) // 10), sessions=0)
        self._stopped: frozenset[str] = frozenset()
        self._struck_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> FleetLife:
        fleet = self._fleet
        work = [self._renew(fleet.renew_stage, one) for one in fleet.stages]
        for server in fleet.servers:
            work += [self._renew(fleet.server_leases.renew, server), self._look(server)]
        self._tasks = [asyncio.create_task(one) for one in work]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def live(self, *, seconds: float) -> Life:
        self._counts, processor_s = True, time.process_time()
        present, waiting = list(range(self._sessions)), list(range(self._sessions, len(self._fleet.epochs)))
        self._drawn.shuffle(present)
        began_s, apart_s = time.perf_counter(), self._lives_s / self._sessions
        async with asyncio.TaskGroup() as tasks:
            for count in range(int(seconds / apart_s)):
                due_s = began_s + count * apart_s
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                leaves, comes = present[count % len(present)], waiting[count % len(waiting)]
                present[count % len(present)], waiting[count % len(waiting)] = comes, leaves
                tasks.create_task(self._replace(leaves, comes, due_s=due_s))
            await asyncio.sleep(max(0.0, began_s + seconds - time.perf_counter()))
        self._counts = False
        passed_s = time.perf_counter() - began_s
        self._life.processor_cores = (time.process_time() - processor_s) / passed_s
        for times in (self._life.renewals, self._life.looks, self._life.placements, self._life.releases):
            times.all_s = passed_s
        return self._life

    async def strike(self) -> Strike:
        """Stop a tenth of the stages and one server; return when the others have taken everything over."""
        strike, fleet = self._strike, self._fleet
        stages = fleet.stages[: strike.stages]
        server = fleet.servers[0]
        strike.sessions = await self._count_of([one.id for one in stages], server.id)
        self._struck_s = time.perf_counter()
        self._stopped = frozenset(one.id for one in [*stages, server])
        while self._passed_s() < SETTLED_WITHIN_S:
            await asyncio.sleep(ASK_EVERY_S)
            if await self._count_of([one.id for one in stages], server.id) == 0:
                strike.settled_s = self._passed_s()
                break
        for times in (strike.take_overs, strike.placements):
            times.all_s = max(0.0, strike.settled_s - strike.ended_s)
        return strike

    def _passed_s(self) -> float:
        return time.perf_counter() - self._struck_s

    async def _renew(self, renew: Callable[[Lease], Awaitable[bool]], lease: Lease) -> None:
        due_s = time.perf_counter() + self._drawn.random() * RENEW_EVERY_S
        while True:
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            if lease.id in self._stopped:
                return
            try:
                if not await renew(lease):
                    self._life.lost_leases += 1
                    return
            except StorageUnusable:
                self._life.failures += 1
            if self._counts:
                self._life.renewals.each_s.append(time.perf_counter() - due_s)
            due_s += RENEW_EVERY_S

    async def _look(self, server: Lease) -> None:
        due_s = time.perf_counter() + self._drawn.random() * LOOK_EVERY_S
        while True:
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            if server.id in self._stopped:
                return
            try:
                ended = await self._fleet.server_leases.end_lapsed(server)
                ended += await self._fleet.store.leases.end_lapsed(server)
                if self._counts:
                    self._life.looks.each_s.append(time.perf_counter() - due_s)
                if self._stopped:
                    if not self._stopped.isdisjoint(ended):
                        self._strike.ended_s = max(self._strike.ended_s, self._passed_s())
                    await self._recover(server)
            except* StorageUnusable:  # of a placement it comes in a group
                self._life.failures += 1
            due_s = max(due_s + LOOK_EVERY_S, time.perf_counter())

    async def _recover(self, server: Lease) -> None:
        """Take over sessions of a server whose lease has ended; then give this server's sessions of lost stages other
        places.
        """
        while True:
            start_s = time.perf_counter()
            taken = await self._owners.take_over(server)
            if not taken:
                break
            self._strike.take_overs.each_s.append(time.perf_counter() - start_s)
            self._strike.taken += len(taken)
        lost = await self._fleet.store.lost(server)

        async def place(number: int) -> None:
            one = lost[number]
            with suppress(StaleOwner):  # this server's lease has ended, too
                await self._fleet.store.place(one.session_id, SHAPE, epoch=one.epoch, by=server)

        times = await flat_out(place, count=len(lost), at_once=PLACED_AT_ONCE)
        self._strike.placements.each_s += times.each_s

    async def _replace(self, leaves: int, comes: int, *, due_s: float) -> None:
        try:
            async with self._turns[leaves]:
                await self._fleet.release(leaves)
            released_s = time.perf_counter()
            self._life.releases.each_s.append(released_s - due_s)
            async with self._turns[comes]:  # on a machine that does not keep up it may not have left yet
                has_place = await self._fleet.place(comes)
        except (StaleOwner, StorageUnusable):
            self._life.unplaced += 1
            return
        if not has_place:
            self._life.refused += 1
        self._life.placements.each_s.append(time.perf_counter() - released_s)

    async def _count_of(self, stage_ids: list[str], server_id: str) -> int:
        """Return how many sessions name one of these stages or this server."""
        row = sessions.c
        query = select(func.count()).where(or_(row.stage_id.in_(stage_ids), row.server_id == server_id))
        async with self._fleet.database.read() as connection:
            return int((await connection.execute(query)).scalar_one())
