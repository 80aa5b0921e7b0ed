"""A fleet without media: servers, machines of stages and sessions that are rows of a real PostgreSQL, and the
statements that real ones would send. The machines are in a process of their own (machine_process.py).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Table, func, insert, select, text, update

from visavis.bench.machine_process import MachineProcess, Renewals
from visavis.errors import SettingInvalid, StorageUnusable
from visavis.stage.port.report import FrameCosts, SessionShape
from visavis.store.database import Database
from visavis.store.keys import KeyStore
from visavis.store.leases import NOW_MS, Lease, Leases
from visavis.store.models import servers, sessions, stages, usage_entries
from visavis.store.records import AccountRecord, KeyRecord, SessionRecord
from visavis.store.stage_rows import Room
from visavis.store.stage_tokens import StageTokens
from visavis.store.stages import StageStore
from visavis.store.usage import Place, Reading, UsageStore

SHAPE = SessionShape(width_px=512, height_px=512)
COSTS = FrameCosts(fixed_ms=2.0, per_mpx_ms=4.0)
STARTED_AT_MS = 1_800_000_000_000  # of all sessions: the beginning of a minute
KEY = KeyRecord(
    id="key_bench",
    account_id="acct_bench",
    name="bench",
    hash="bench",
    start="",
    test=False,
    created_at_ms=STARTED_AT_MS,
    last_used_at_ms=None,
    revoked_at_ms=None,
    scopes=[],
    sources=[],
    expires_at_ms=None,
)
_ROWS_AT_ONCE = 1_000
_HELD_MS = 3_600_000


@dataclass(slots=True)
class Times:
    """How long each of some calls took, and how long all of them took together. `work`: what each call did so many of.
    `failures`: calls that the database did not answer in time. `here_s`, `database_s`: the processor time of this
    process and of the database's, 0 if that is not known.
    """

    each_s: list[float] = field(default_factory=list)
    all_s: float = 0.0
    work: int = 1
    failures: int = 0
    here_s: float = 0.0
    database_s: float = 0.0

    @property
    def per_s(self) -> float:
        return len(self.each_s) * self.work / self.all_s if self.all_s else 0.0

    @property
    def here_ms(self) -> float:
        """Processor time of this process for each call, or each piece of its work."""
        return 1000 * self.here_s / max(1, len(self.each_s) * self.work)

    @property
    def database_ms(self) -> float:
        return 1000 * self.database_s / max(1, len(self.each_s) * self.work)


async def flat_out(
    call: Callable[[int], Awaitable[object]], *, count: int, at_once: int, seconds: float = 1e9
) -> Times:
    """Call with 0, 1, 2, … as often as told, so many at once, or until the time is over."""
    times, numbers = Times(), iter(range(count))
    began_s = time.perf_counter()

    async def work() -> None:
        for number in numbers:
            start_s = time.perf_counter()
            if start_s - began_s >= seconds:
                break
            try:
                await call(number)
            except StorageUnusable:
                times.failures += 1
            else:
                times.each_s.append(time.perf_counter() - start_s)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(work())
    times.all_s = time.perf_counter() - began_s
    return times


class SimulatedFleet:
    """`servers`: their leases. `epochs`: of the sessions, by their number. `connections`: of each of three pools: one
    for the machines, one for the servers' leases, one for all else.
    """

    def __init__(self, database: Database, beside: Database, *, connections: int) -> None:
        self.database, self.connections = database, connections
        self.server_leases = Leases.of_servers(beside)
        self.store = StageStore(database, beside=beside)
        self.servers: list[Lease] = []
        self.epochs: list[int] = []
        self._machines: MachineProcess | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, connections: int) -> AsyncIterator[SimulatedFleet]:
        """Raises `SettingInvalid` for a database that is not empty, or none that servers can share."""
        database = await Database.open(url, connections=connections)
        try:
            if not database.is_shared:
                raise SettingInvalid("Only a PostgreSQL can be shared by many machines")
            async with database.read() as connection:
                used = await connection.scalar(select(func.count()).select_from(sessions))
            if used:
                raise SettingInvalid("The database is not empty: the benchmark fills it with its own sessions")
            beside = database.beside(connections=connections)
            fleet = cls(database, beside, connections=connections)
            try:
                yield fleet
            finally:
                await fleet.aclose()
                await beside.aclose()
        finally:
            await database.aclose()

    @property
    def machines(self) -> MachineProcess:
        assert self._machines is not None
        return self._machines

    async def fill(self, *, servers: int, stages: int, sessions: int) -> None:
        """Add servers, machines and sessions. The machines have room for twice as many sessions. Their leases and those
        of the servers do not lapse before they are renewed for the first time.
        """
        self.servers = [await self.server_leases.take(f"server-{number}") for number in range(servers)]
        await _add_sessions(self.database, sessions)
        self.epochs = [0] * sessions
        each = COSTS.session_cores(SHAPE) * 1000
        places = max(2, 2 * sessions // stages)
        room = Room(room_mcores=int((each + 1) * places), frame_us=2_000, mpx_us=4_000)
        _, token = await StageTokens(self.database).create("bench")
        self._machines = await MachineProcess.start(
            self.database.url, token=token, room=room, machines=stages, connections=self.connections
        )
        await self._hold_leases()
        await _analyze(self.database)

    async def _hold_leases(self) -> None:
        """While single statements are measured nothing is renewed."""
        tables: tuple[Table, ...] = (servers, stages)
        async with self.database.write() as connection:
            for table in tables:
                await connection.execute(update(table).values(seen_at_ms=NOW_MS + _HELD_MS))

    async def aclose(self) -> None:
        if self._machines is not None:
            await self._machines.aclose()

    async def priced(self, work: Awaitable[Times]) -> Times:
        """Note how much processor time some work takes, here and in the processes behind our connections."""
        here_s, database_s = time.process_time(), await self.database_processor_s()
        times = await work
        times.here_s = time.process_time() - here_s
        times.database_s = await self.database_processor_s() - database_s
        return times

    async def database_processor_s(self) -> float:
        """Return what the processes behind our connections have used; 0 for a PostgreSQL on another machine."""
        if urlsplit(self.database.url).hostname not in ("127.0.0.1", "localhost", "::1"):
            return 0.0
        async with self.database.read() as connection:
            pids = await connection.scalars(text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()"))
        return _processor_s(list(pids))

    # --- single statements
    async def renew(self, *, seconds: float) -> Renewals:
        """Renew machines' leases as fast as it goes."""
        before_s = await self.database_processor_s()
        renewals = await self.machines.flat_out(seconds=seconds)
        return replace(renewals, database_s=await self.database_processor_s() - before_s)

    async def place(self, number: int) -> bool:
        """Place a session; return whether there was room. Raises `StaleOwner` if it has a place, or if its server's
        lease has ended.
        """
        by = self.servers[number % len(self.servers)]
        placed = await self.store.place(session_id(number), SHAPE, epoch=self.epochs[number], by=by)
        if placed is not None:
            self.epochs[number] = placed.epoch
        return placed is not None

    async def place_all(self, count: int) -> Times:
        """Place the first sessions as fast as it goes. Raises `StorageUnusable` if there are some that cannot be."""
        waiting = set(range(count))

        async def place(number: int) -> None:
            if await self.place(number):
                waiting.discard(number)

        times = await self.priced(flat_out(place, count=count, at_once=self.connections))
        if waiting:
            raise StorageUnusable(f"{len(waiting)} of {count} sessions could not be placed on machines that are empty")
        return times

    def note(self, named: str, epoch: int) -> None:
        """A session has another epoch than `place` has told."""
        self.epochs[_number(named)] = epoch

    async def release(self, number: int) -> bool:
        """Give a session's place back; return False if it has none, or another epoch."""
        return await self.store.release(session_id(number), epoch=self.epochs[number])

    async def ledger(self, *, seconds: float) -> Times:
        """Bring the usage ledger of a server's share of the sessions up to date, as it does once a second."""
        share = len(self.epochs) // len(self.servers)
        async with self.database.read() as connection:
            rows = (await connection.execute(select(sessions).limit(share))).mappings().all()
        records = [SessionRecord(**row) for row in rows]
        place = Place(number=0, minutes=1, seen_before_s=0, seen_s=0, first_frame_at_ms=None)
        places = {one.id: place for one in records}
        usage = UsageStore(self.database)

        async def save(number: int) -> None:
            until_ms = STARTED_AT_MS + 1_000 + number % 50 * 1_000
            frames = {"first_frame_at_ms": None, "last_frame_at_ms": None}
            readings = [Reading(session=one, until_ms=until_ms, **frames) for one in records]
            await usage.save(readings, places)

        times = await flat_out(save, count=1_000_000, at_once=1, seconds=seconds)
        times.work = len(records)
        return times

    async def astray(self) -> int:
        """Return how many sessions have a place but name a server or a stage whose lease has ended."""
        query = text("""
            SELECT count(*) FROM sessions
            LEFT JOIN stages ON stages.id = sessions.stage_id AND stages.ended_at_ms IS NULL
            LEFT JOIN servers ON servers.id = sessions.server_id AND servers.ended_at_ms IS NULL
            WHERE sessions.stage_id IS NOT NULL AND (stages.id IS NULL OR servers.id IS NULL)
        """)
        async with self.database.read() as connection:
            return int((await connection.execute(query)).scalar_one())


def _processor_s(pids: list[int]) -> float:
    """Return what these processes have used, 0 if one of them is not to be found."""
    ticks = 0
    with suppress(OSError):
        for pid in pids:
            values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(values[11]) + int(values[12])  # utime, stime: proc(5)
        return ticks / os.sysconf("SC_CLK_TCK")
    return 0.0


def session_id(number: int) -> str:
    return f"sess_{number:026}"


def _number(named: str) -> int:
    return int(named.removeprefix("sess_"))


async def _analyze(database: Database) -> None:
    """PostgreSQL does so by itself, but some time later."""
    async with database.write() as connection:
        await connection.exec_driver_sql("ANALYZE")


async def _add_sessions(database: Database, count: int) -> None:
    """Add started sessions without a server and a stage, with the open entry of each in the usage ledger."""
    account = AccountRecord(id="acct_bench", name="bench", plan_key="unlimited", created_at_ms=STARTED_AT_MS)
    await KeyStore(database).add(KEY, account=account)
    same = {
        "account_id": account.id,
        "key_id": KEY.id,
        "test": False,
        "dialect": "own",
        "status": "started",
        "avatar_id": "avat_bench",
        "avatar_name": "bench",
        "token_hash": "",
        "metadata": {},
        "created_at_ms": STARTED_AT_MS,
        "started_at_ms": STARTED_AT_MS,
    }
    entry = {
        "number": 0,
        "account_id": account.id,
        "began_at_ms": STARTED_AT_MS,
        "until_ms": STARTED_AT_MS,
        "seen_s": 0,
        "minutes": 1,
        "closed": False,
    }
    for first in range(0, count, _ROWS_AT_ONCE):
        numbers = range(first, min(count, first + _ROWS_AT_ONCE))
        async with database.write() as connection:
            rows = [{"id": session_id(number), "room_name": f"vv-bench-{number}", **same} for number in numbers]
            await connection.execute(insert(sessions), rows)
            await connection.execute(
                insert(usage_entries), [{"session_id": session_id(number), **entry} for number in numbers]
            )
