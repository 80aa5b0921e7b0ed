"""A machine of a fleet: its stage processes, and its row in the database, which it renews twice a second over one
connection.

While the database is away, sessions go on whose servers are heard (stage/fence.py). If the lease was ended, because
this machine slept or was cut off for so long that others have taken its sessions, all processes are killed, and the
machine enters anew under another name.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from visavis.errors import StorageUnusable
from visavis.fleet.admission import Limits, MachineState, places_within
from visavis.stage.fence import now_ns
from visavis.stage.port.report import SessionShape
from visavis.store.clock import CLOCKS_DIFFER_AT_MOST_S
from visavis.store.leases import RENEW_EVERY_S, Lease
from visavis.store.stage_rows import Reached, Room, StageRows
from visavis.supervisor.certificate import MachineCertificate, made_for
from visavis.supervisor.processes import ProcessOptions, StageProcesses

TRY_AGAIN_S = 1.0  # while the database is away or this machine's clock is wrong, before the machine has entered
# A machine that takes no more sessions opens those that were placed before, and its processes report them: so long it
# does not take itself for empty.
SETTLES_AFTER_S = 2.0
SHAPE = SessionShape(width_px=512, height_px=512)  # by which room is measured
NO_ROOM = Room(room_mcores=0, frame_us=1, mpx_us=1)  # before anything was measured

log = structlog.get_logger("visavis.supervisor")


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorOptions:
    """`database_url`: for the stages' role. `token`: of this machine. `host`: by which servers reach it. `labels`: what
    its operator calls it by. `drain_s`: how long sessions may go on when it stops.
    """

    database_url: str
    token: str
    host: str
    processes: ProcessOptions
    labels: Mapping[str, str] = field(default_factory=dict)
    drain_s: float = 5.0


class Supervisor:
    """`run` until `stop` was called and the sessions are over."""

    def __init__(self, options: SupervisorOptions) -> None:
        self._options = options
        self._rows = StageRows.at(options.database_url, token=options.token)
        self._stopping, self._forced = asyncio.Event(), asyncio.Event()
        self._failed = False  # since the last renewal that the database has answered
        self._clock_told = False  # that this machine's clock is wrong
        self._room = NO_ROOM  # as it was told last
        self._processes: StageProcesses | None = None

    @property
    def process_ids(self) -> list[int]:
        """Of the stage processes that run."""
        return [] if self._processes is None else self._processes.ids

    def stop(self) -> None:
        """Take no more sessions, and end when those of now are over; the second time: end at once."""
        if self._stopping.is_set():
            self._forced.set()
        self._stopping.set()

    async def run(self, announce: Callable[[], None]) -> None:
        """`announce` is called when servers can place sessions here. Raises `StageNotAdmitted` and `PerformerLost`."""
        try:
            with made_for(self._options.host, self._options.processes.cache) as certificate:
                renewing = asyncio.create_task(certificate.renew_always())
                try:
                    while not self._stopping.is_set():
                        await self._perform(certificate, announce)
                finally:
                    renewing.cancel()
        finally:
            await self._rows.aclose()

    async def _perform(self, certificate: MachineCertificate, announce: Callable[[], None]) -> None:
        """Start the processes, enter, and perform until the lease is lost or the machine has stopped."""
        token, self._room = secrets.token_urlsafe(32), NO_ROOM
        processes = self._processes = StageProcesses(self._options.processes, certificate, token=token)
        await processes.open()
        kept_alive, lost = asyncio.create_task(processes.run()), False
        try:
            reached = Reached(
                address=_address_of(self._options.host, processes.ports),
                port_token=token,
                certificate=certificate.authority_pem,
            )
            lease = await self._enter(reached, processes)
            if lease is None:
                return
            announce()
            lost = await self._renew_until_lost(lease, processes, kept_alive)
            if lost:
                log.error("stage_lease_lost", stage=lease.id, sessions=processes.sessions)
            else:
                await self._leave(lease)
        finally:
            kept_alive.cancel()
            await asyncio.wait((kept_alive,))
            await processes.aclose(at_once=lost)

    async def _enter(self, reached: Reached, processes: StageProcesses) -> Lease | None:
        """Enter the row, when the database can be reached and this machine's clock is right; None if the machine stops
        before that.
        """
        stage_id = f"stage_{secrets.token_hex(12)}"
        while not self._stopping.is_set():
            self._room = self._room_now(processes, draining=False)
            try:
                if not self._is_right(await self._rows.clock_ahead_s()):
                    await _until(self._stopping, within_s=TRY_AGAIN_S)
                    continue
                asked_ns = now_ns()
                lease = await self._rows.enter(stage_id, reached, labels=self._options.labels, room=self._room)
            except StorageUnusable as error:
                self._note_failure(error)
                await _until(self._stopping, within_s=TRY_AGAIN_S)
                continue
            self._failed = False
            processes.lease_held(asked_ns)
            log.info("stage_entered", stage=stage_id, address=reached.address, room_mcores=self._room.room_mcores)
            return lease
        return None

    async def _renew_until_lost(self, lease: Lease, processes: StageProcesses, kept_alive: asyncio.Task[None]) -> bool:
        """Renew the lease. Returns True when it was lost, False when the machine has stopped and its sessions are over,
        or have had their time. Raises what `kept_alive` has failed with.
        """
        began_s, drain_until_s = 0.0, math.inf  # of the drain
        while True:
            if kept_alive.done():
                kept_alive.result()
            drains = self._stopping.is_set()
            now_s = asyncio.get_running_loop().time()
            if drains and drain_until_s == math.inf:
                began_s, drain_until_s = now_s, now_s + self._options.drain_s
                log.info("stage_drains", stage=lease.id, sessions=processes.sessions)
            self._room = self._room_now(processes, draining=drains)
            asked_ns = now_ns()  # the lease counts from a later time, by the database's clock
            try:
                if not await self._rows.renew(lease, self._room):
                    return True
                self._failed = False
                processes.lease_held(asked_ns)
            except StorageUnusable as error:  # sessions go on
                self._note_failure(error)
            empty = drains and not processes.sessions and now_s >= began_s + SETTLES_AFTER_S
            if empty or now_s >= drain_until_s or self._forced.is_set():
                return False
            await _until(self._forced if drains else self._stopping, within_s=RENEW_EVERY_S)

    def _room_now(self, processes: StageProcesses, *, draining: bool) -> Room:
        state, limits = processes.state(), self._options.processes.limits
        return room_of(state, processes.opened, limits, before=self._room, draining=draining)

    async def _leave(self, lease: Lease) -> None:
        try:
            await self._rows.leave(lease, self._room)
        except StorageUnusable as error:  # it lapses by itself
            log.warning("stage_lease_not_left", problem=error.message)

    def _is_right(self, clock_ahead_s: float) -> bool:
        """Whether this machine's clock is right enough. A clock that is set a moment after the start is waited for."""
        if abs(clock_ahead_s) <= CLOCKS_DIFFER_AT_MOST_S:
            return True
        if not self._clock_told:
            log.error(
                "stage_clock_wrong", ahead_of_database_s=round(clock_ahead_s, 1), allowed_s=CLOCKS_DIFFER_AT_MOST_S
            )
        self._clock_told = True
        return False

    def _note_failure(self, error: StorageUnusable) -> None:
        if not self._failed:
            log.warning("stage_lease_not_renewed", problem=error.message)
        self._failed = True


def room_of(
    machine: MachineState | None,
    opened: Iterable[SessionShape],
    limits: Limits,
    *,
    before: Room,
    draining: bool = False,
) -> Room:
    """Return what a machine tells about its room: what the places of its sessions take, and as many small ones as it
    can take now. While none of its processes answers it has none. `opened`: its sessions as they were opened.

    What a place takes is as the machine has measured it when it told its first room (`before`). So the sum of places,
    which the database keeps, and the room have one unit, whatever sessions cost meanwhile, or which size they have.
    """
    if machine is None:
        return replace(before, room_mcores=0, draining=draining)
    is_first = (before.frame_us, before.mpx_us) == (NO_ROOM.frame_us, NO_ROOM.mpx_us)
    unit = _unit_of(machine) if is_first else before
    taken = sum(unit.mcores_of(shape) for shape in opened)
    free = places_within(machine, SHAPE, limits)
    return replace(unit, room_mcores=taken + free * unit.mcores_of(SHAPE), draining=draining)


def _unit_of(machine: MachineState) -> Room:
    """Return no room yet, in the unit of what sessions cost now on the dearest of the processes."""
    costs = max(
        (stage.costs for stage in machine.stages), key=lambda one: one.frame_ms(SHAPE.width_px, SHAPE.height_px)
    )
    frame_us, mpx_us = (max(1, round(1000 * one_ms)) for one_ms in (costs.fixed_ms, costs.per_mpx_ms))
    return Room(room_mcores=0, frame_us=frame_us, mpx_us=mpx_us)


def _address_of(host: str, ports: list[int]) -> str:
    """wss://HOST:PORT,PORT,…: each port is a stage process."""
    shown = f"[{host}]" if ":" in host else host
    return f"wss://{shown}:{','.join(map(str, ports))}"


async def _until(event: asyncio.Event, *, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        pass
