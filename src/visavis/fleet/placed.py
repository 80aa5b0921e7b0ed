"""A fleet of machines that stand in a database. A session is placed there first, and then opened on its machine.

Each machine is a fleet of its own (stages.py), whose stages are the machine's processes: if one dies, its sessions go
on on the others, or on the one that the machine's supervisor starts in its place. If the machine's lease ends, its
sessions get other places, and go on there. This server is connected to the machines that have sessions of its own, and
to no others.

A machine that this server cannot connect to, although its lease holds, gets no more sessions of this server until it
can: its ports are closed, its name leads to another machine, or it speaks another version of the port. Other servers
may reach it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Protocol

import msgspec
import structlog

from visavis.errors import NoCapacity, PerformerLost, StaleOwner, StorageUnusable, VisavisError
from visavis.fleet.moves import LostStage
from visavis.fleet.performer import StagePerformer
from visavis.fleet.port import Adopted, Capacity, Cores, Fleet, FleetRoom, Performer, Place
from visavis.fleet.stages import MOVED_WITHIN_S, SIZES_PX
from visavis.stage.pace import PACES
from visavis.stage.port.address import Address
from visavis.stage.port.events import PerformerEnded
from visavis.stage.port.report import SessionShape, StageReport
from visavis.stage.port.values import PerformanceSpec

END_LAPSED_EVERY_S = 0.25
LOOKS_EVERY = 4  # of these: at what all machines have room for
FORGETS_EVERY = 14_400  # of these: an hour
IDLE_FOR_S = 60.0  # a machine without sessions of this server is let go after so long
RELEASE_WITHIN_S = 5.0
# Then a session whose machine is lost, and for which there is no place, ends; not counted while the database is away.
PLACE_AGAIN_WITHIN_S = 10.0
TRY_AGAIN_S = 0.5
EARLY_AGAIN_S = 1.0  # for a session that leaves a machine which still performs it
REACHED_WITHIN_S = 5.0
REACHED_AGAIN_S, REACHED_AGAIN_AT_MOST_S = 1.0, 30.0  # a machine that is not reached is tried again, ever more seldom
MACHINES_TRIED = 4  # for one start
LOST, DRAINS = "its machine is lost", "its machine stops"

log = structlog.get_logger("visavis.fleet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """How a machine is reached. `addresses`: of its stage processes. `token`: what they want to hear. `authority_pem`:
    who has signed their certificate; None for those that this machine trusts.
    """

    id: str
    addresses: tuple[Address, ...]
    token: str
    authority_pem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOnMachine:
    """`ownership`: of the session from now on (see `PerformanceSpec`)."""

    machine: Machine
    ownership: int


class Directory(Protocol):
    """The machines, as the database knows them. All raise `StorageUnusable` if it is away."""

    async def place(
        self, session_id: str, shape: SessionShape, *, avoid: Collection[str] = ()
    ) -> PlaceOnMachine | None:
        """Take a place for a session that this server starts, or whose machine drains or has lost its lease; None if
        there is no room. `avoid`: machines that shall not be it. Raises `NoCapacity` if there is none on the machines
        that have the labels which the session asks for, and `StaleOwner` if the session is not this server's to place.
        """
        ...

    async def machine_of(self, session_id: str) -> Machine | None:
        """Return the machine that performs a session; None if its lease has ended."""
        ...

    async def release(self, session_id: str) -> None:
        """Give the place of a session back that is not performed there."""
        ...

    async def of_own_sessions(self) -> Sequence[Machine]:
        """Return the machines that perform sessions of this server."""
        ...

    async def end_lapsed(self) -> None:
        """End the leases of machines that have not renewed them."""
        ...

    async def forget(self) -> None:
        """Forget machines that ended long ago."""
        ...

    async def leaving_among(self, machine_ids: Collection[str]) -> Mapping[str, bool]:
        """Return those whose leases have ended (True: others have their sessions, or will have), or that drain."""
        ...

    async def free(self, shapes: Sequence[SessionShape]) -> tuple[FleetRoom, Sequence[int]]:
        """Return what all machines have, and how many more sessions of each shape fit on them."""
        ...


def addresses_of(text: str) -> tuple[Address, ...]:
    """Read wss://HOST:PORT,PORT,…: each port is a stage process. Raises ValueError."""
    base, _, ports = text.rpartition(":")
    return tuple(Address.parse(f"{base}:{port}") for port in ports.split(","))


class MachineFleet(Fleet, Protocol):
    """The stages of one machine. See `StageFleet`."""

    def surrender(self, detail: str) -> tuple[list[StagePerformer], LostStage]: ...

    def take_in(self, performer: StagePerformer, lost: LostStage) -> None: ...

    def quiet(self) -> list[StagePerformer]: ...

    async def give_away(self, performer: StagePerformer, detail: str) -> LostStage: ...

    async def take_over(self, session_id: str, *, ownership: int) -> Adopted | None: ...

    def give_up(self, session_id: str) -> None: ...


class PlacedFleet:
    """Implements `fleet.port.Fleet`. `open_machine`: makes the fleet of one machine; it connects to nothing yet."""

    def __init__(self, directory: Directory, open_machine: Callable[[Machine], MachineFleet]) -> None:
        self._directory, self._open_machine = directory, open_machine
        self._machines: dict[str, MachineFleet] = {}  # by id
        self._idle_since_s: dict[str, float] = {}
        self._allocating: dict[str, int] = {}  # by id of the machine: sessions that are being opened there
        self._unreached: dict[str, asyncio.Task[None]] = {}  # by id of the machine: tries it again
        self._releasing: dict[str, asyncio.Task[None]] = {}  # by session whose place is being given back
        # Those whose machine is lost, until they have another place.
        self._moving: dict[StagePerformer, asyncio.Task[None]] = {}
        self._leaving = set[StagePerformer]()  # those that leave a machine that drains, until they have another place
        self._room, self._free = FleetRoom(), tuple[Place, ...]()
        self._problem: str | None = "The fleet was not looked at yet"
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        await self._look()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="fleet")

    async def adopt(self) -> list[Adopted]:
        adopted = []
        for machine in await self._directory.of_own_sessions():
            adopted += await self._fleet_of(machine).adopt()
        return adopted

    async def allocate(self, spec: PerformanceSpec) -> Performer:
        if (releasing := self._releasing.get(spec.session_id)) is not None:
            await asyncio.shield(releasing)  # or it would give the new place back
        for _ in range(MACHINES_TRIED):
            try:
                place = await self._place(spec)
            except StaleOwner as error:
                raise PerformerLost(error.message) from error
            try:
                async with self._stages_of(place.machine) as fleet:
                    if await self._reaches(place.machine, fleet):
                        return await fleet.allocate(msgspec.structs.replace(spec, ownership=place.ownership))
            except BaseException as error:
                await self._release_shielded(spec.session_id)
                if isinstance(error, PerformerLost):
                    raise NoCapacity(
                        f"The machine of this session cannot be reached now: {error.message}",
                        suggestion="Try again in a moment",
                    ) from error
                raise
            await self._release_shielded(spec.session_id)
        raise NoCapacity("No machine of the fleet could be reached", suggestion="Try again in a moment")

    async def _place(self, spec: PerformanceSpec) -> PlaceOnMachine:
        """Take a place on a machine that this server reaches, as far as it knows. Raises `NoCapacity`, `StaleOwner` and
        `StorageUnusable`.
        """
        avoid = list(self._unreached)
        place = await self._directory.place(spec.session_id, _shape(spec), avoid=avoid)
        if place is None:
            reached = f" ({len(avoid)} cannot be reached now)" if avoid else ""
            raise NoCapacity(
                f"No machine of the fleet has room for this session{reached}", suggestion="Try again in a moment"
            )
        return place

    async def take_over(self, session_id: str, *, ownership: int) -> Adopted | None:
        """Go on with a session whose row this server has taken over from another one. `ownership`: of the row. None if
        nobody performs it: its machine's lease has ended, or its stage process has. Raises `PerformerLost` if its
        machine cannot be asked now, `StaleOwner` if the session has a later owner, and `StorageUnusable`.
        """
        machine = await self._directory.machine_of(session_id)
        if machine is None:
            return None
        async with self._stages_of(machine) as fleet:
            await fleet.start()
            return await fleet.take_over(session_id, ownership=ownership)

    def give_up(self, session_id: str) -> None:
        """A session that could not be taken over has ended: a stage that performs it for this server ends it."""
        for fleet in self._machines.values():
            fleet.give_up(session_id)

    def capacity(self) -> Capacity:
        found = [fleet.capacity() for fleet in self._machines.values()]
        cores = [one.cores for one in found]
        total = Cores(
            given=sum(one.given for one in cores),
            unused=sum(one.unused for one in cores),
            stolen=sum(one.stolen for one in cores),
            throttled=sum(one.throttled for one in cores),
        )
        return Capacity(
            sessions=sum(one.sessions for one in found) + len(self._moving),
            places=self._free,
            load=total.load,
            rate=min((one.rate for one in found), default=float(PACES[0])),
            cores=total,
            room=self._room,
        )

    def problem(self) -> str | None:
        return self._problem

    def reports(self) -> list[StageReport]:
        return [report for fleet in self._machines.values() for report in fleet.reports()]

    def leave(self) -> None:
        for fleet in self._machines.values():
            fleet.leave()

    async def let_go(self) -> None:
        if self._moving:  # the next server finds only what is on a stage
            await asyncio.wait(self._moving.values(), timeout=MOVED_WITHIN_S)
        self._closing = True
        self._reach_none_again()
        await asyncio.gather(*(fleet.let_go() for fleet in self._machines.values()))

    async def aclose(self) -> None:
        self._closing = True
        self._reach_none_again()
        if self._watching is not None:
            self._watching.cancel()
        for performer, moving in list(self._moving.items()):
            moving.cancel()
            performer.finish(PerformerEnded(reason="ended"))
        await asyncio.gather(*(fleet.aclose() for fleet in self._machines.values()))
        self._machines.clear()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=RELEASE_WITHIN_S)

    @asynccontextmanager
    async def _stages_of(self, machine: Machine) -> AsyncIterator[MachineFleet]:
        """Keep a machine inside this context. It is connected to by `start`. Raises `PerformerLost`."""
        self._allocating[machine.id] = self._allocating.get(machine.id, 0) + 1
        try:
            yield self._fleet_of(machine)
        finally:
            self._allocating[machine.id] -= 1
            if not self._allocating[machine.id]:
                del self._allocating[machine.id]

    def _fleet_of(self, machine: Machine) -> MachineFleet:
        """Return the fleet of a machine. Its processes are connected to when they are needed."""
        if self._closing:
            raise PerformerLost("The server stops")
        if machine.id not in self._machines:
            self._machines[machine.id] = self._open_machine(machine)
            log.info("machine_opened", machine=machine.id)
        return self._machines[machine.id]

    async def _reaches(self, machine: Machine, fleet: MachineFleet) -> bool:
        """Connect to a machine; return whether it answers. One that does not gets no sessions until it does."""
        problem = await _reached(fleet)
        if problem is not None and machine.id not in self._unreached and not self._closing:
            log.error("machine_not_reached", machine=machine.id, problem=problem)
            self._unreached[machine.id] = self._in_background(self._reach_again(machine.id))
        return problem is None

    async def _reach_again(self, machine_id: str) -> None:
        """Connect to a machine that was not reached, as soon as it can be."""
        wait_s = REACHED_AGAIN_S
        while (fleet := self._machines.get(machine_id)) is not None:
            await asyncio.sleep(wait_s)
            if await _reached(fleet) is None:
                log.info("machine_reached", machine=machine_id)
                break
            wait_s = min(2 * wait_s, REACHED_AGAIN_AT_MOST_S)
        self._unreached.pop(machine_id, None)

    def _reach_none_again(self) -> None:
        for reaching in self._unreached.values():
            reaching.cancel()
        self._unreached.clear()

    async def _release_shielded(self, session_id: str) -> None:
        """Give a place back, also if nobody waits any more."""
        releasing = self._releasing[session_id] = self._in_background(self._release(session_id))
        releasing.add_done_callback(lambda _: self._releasing.pop(session_id, None))
        await asyncio.shield(releasing)

    async def _release(self, session_id: str) -> None:
        try:
            await self._directory.release(session_id)
        except VisavisError as error:  # it is given back with the end of the session, which was not started
            log.warning("place_not_given_back", session_id=session_id, problem=error.message)

    async def _watch(self) -> None:
        failed = False
        for number in count(1):
            await asyncio.sleep(END_LAPSED_EVERY_S)
            try:
                await self._directory.end_lapsed()
                await self._lose_machines()
                if number % LOOKS_EVERY == 0:
                    await self._look()
                if number % FORGETS_EVERY == 1:
                    await self._directory.forget()
            except VisavisError as error:  # the database is away: sessions go on
                if not failed:
                    log.warning("fleet_not_looked_at", problem=error.message)
                failed = True
            except Exception:  # the outermost edge of a look
                log.exception("fleet_not_looked_at")
            else:
                failed = False

    async def _lose_machines(self) -> None:
        """Place the sessions of machines elsewhere whose leases have ended, and the quiet ones of machines that drain.
        Raises `StorageUnusable`.
        """
        leaving = await self._directory.leaving_among(list(self._machines)) if self._machines else {}
        for machine_id in [one for one, has_ended in leaving.items() if not has_ended and one in self._machines]:
            for performer in self._machines[machine_id].quiet():
                if performer not in self._leaving:
                    self._leaving.add(performer)
                    self._in_background(self._move_early(performer, self._machines[machine_id]))
        for machine_id in [one for one, has_ended in leaving.items() if has_ended and one in self._machines]:
            performers, lost = self._machines[machine_id].surrender(LOST)
            log.error("machine_lost", machine=machine_id, sessions=len(performers))
            self._let_go(machine_id)
            for performer in performers:
                self._start_move(performer, lost)

    def _start_move(self, performer: StagePerformer, lost: LostStage, place: PlaceOnMachine | None = None) -> None:
        self._moving[performer] = moving = self._in_background(self._move(performer, lost, place))
        moving.add_done_callback(partial(self._moved, performer))

    def _moved(self, performer: StagePerformer, _: asyncio.Task[None]) -> None:
        self._moving.pop(performer, None)

    async def _move_early(self, performer: StagePerformer, fleet: MachineFleet) -> None:
        """Move a session that is quiet away from a machine that drains, if another one has room for it. Otherwise it
        stays until the machine stops.
        """
        spec = performer.kept.spec
        try:
            place = await self._directory.place(spec.session_id, _shape(spec), avoid=list(self._unreached))
            if place is None:
                await asyncio.sleep(EARLY_AGAIN_S)
            else:
                self._start_move(performer, await fleet.give_away(performer, DRAINS), place)
        except NoCapacity:
            await asyncio.sleep(EARLY_AGAIN_S)
        except VisavisError as error:
            log.warning("session_not_moved_early", session_id=spec.session_id, problem=error.message)
        finally:
            self._leaving.discard(performer)

    async def _move(self, performer: StagePerformer, lost: LostStage, place: PlaceOnMachine | None = None) -> None:
        """Place a session of a lost machine elsewhere; end it if there is no place for PLACE_AGAIN_WITHIN_S. `place`:
        one that it has already.
        """
        until_s = asyncio.get_running_loop().time() + PLACE_AGAIN_WITHIN_S
        while not performer.ended:
            try:
                await self._move_once(performer, lost, place)
                return
            except VisavisError as error:  # no machine has room or can be reached, or the database is away
                reason = f"no other has a place for it ({error.message})"
                if isinstance(error, StorageUnusable):
                    until_s = asyncio.get_running_loop().time() + PLACE_AGAIN_WITHIN_S
                await self._release_shielded(performer.session_id)
            except Exception:  # the outermost edge of a move
                log.exception("session_move_failed", session_id=performer.session_id)
                reason, until_s = "its move has failed", 0.0
            if asyncio.get_running_loop().time() >= until_s:
                performer.finish(PerformerEnded(reason="lost", detail=f"{lost.detail}, and {reason}"))
                return
            place = None
            await asyncio.sleep(TRY_AGAIN_S)

    async def _move_once(self, performer: StagePerformer, lost: LostStage, place: PlaceOnMachine | None) -> None:
        """Place a session, and have the stages of its machine go on with it. Raises `NoCapacity`, `PerformerLost` for a
        machine that cannot be reached, `StaleOwner` and `StorageUnusable`.
        """
        spec = performer.kept.spec
        place = place or await self._place(spec)
        performer.kept.spec = msgspec.structs.replace(performer.kept.spec, ownership=place.ownership)
        async with self._stages_of(place.machine) as fleet:
            if not await self._reaches(place.machine, fleet):
                raise PerformerLost("Its next machine cannot be reached")
            if not performer.ended:  # else its place is given back with its end
                fleet.take_in(performer, lost)
                log.info("session_placed_again", session_id=spec.session_id, machine=place.machine.id)

    async def _look(self) -> None:
        shapes = [SessionShape(width_px=width_px, height_px=height_px) for width_px, height_px in SIZES_PX]
        room, free = await self._directory.free(shapes)
        self._free = tuple(
            Place(width_px=shape.width_px, height_px=shape.height_px, free=count)
            for shape, count in zip(shapes, free, strict=True)
        )
        if bool(room.machines) != bool(self._room.machines) or self._problem is not None:
            log.info("fleet_has_machines" if room.machines else "fleet_has_no_machines", machines=room.machines)
        self._room, self._problem = room, None  # without machines a server still answers all but starts
        now_s = asyncio.get_running_loop().time()
        for machine_id, fleet in list(self._machines.items()):
            if fleet.capacity().sessions or self._allocating.get(machine_id) or machine_id in self._unreached:
                self._idle_since_s.pop(machine_id, None)
            elif now_s - self._idle_since_s.setdefault(machine_id, now_s) >= IDLE_FOR_S:
                self._let_go(machine_id)

    def _let_go(self, machine_id: str) -> None:
        self._idle_since_s.pop(machine_id, None)
        if (reaching := self._unreached.pop(machine_id, None)) is not None:
            reaching.cancel()
        log.info("machine_let_go", machine=machine_id)
        self._in_background(self._machines.pop(machine_id).aclose())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _reached(fleet: MachineFleet) -> str | None:
    """Connect to a machine; return why it does not answer, None if it does."""
    try:
        async with asyncio.timeout(REACHED_WITHIN_S):
            await fleet.start()
    except TimeoutError:  # some of its processes may answer
        return None if fleet.problem() is None else f"It has not answered for {REACHED_WITHIN_S:g} s"
    except PerformerLost as error:
        return error.message
    return fleet.problem()


def _shape(spec: PerformanceSpec) -> SessionShape:
    return SessionShape(width_px=spec.width_px, height_px=spec.height_px, fps=spec.fps)
