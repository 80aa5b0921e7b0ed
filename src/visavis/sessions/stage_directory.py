"""The machines of the fleet, as the database knows them, for `fleet/placed.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import structlog

from visavis.errors import NoCapacity, StaleOwner
from visavis.fleet.placed import Machine, PlaceOnMachine, addresses_of
from visavis.fleet.port import FleetRoom
from visavis.machine.labels import shown
from visavis.sessions.lifecycle import Status
from visavis.sessions.options import options_of
from visavis.sessions.server_lease import ServerLease
from visavis.stage.port.report import SessionShape
from visavis.store.records import SessionRecord
from visavis.store.sessions import SessionStore
from visavis.store.stages import Door, StageStore

log = structlog.get_logger()


class StageDirectory:
    """Implements `fleet.placed.Directory` and `starts.Placing`."""

    def __init__(self, stages: StageStore, sessions: SessionStore, server: ServerLease) -> None:
        self._stages, self._sessions, self._server = stages, sessions, server

    async def place(
        self, session_id: str, shape: SessionShape, *, avoid: Collection[str] = ()
    ) -> PlaceOnMachine | None:
        record = await self._sessions.get(session_id)
        if record is None:
            raise StaleOwner(f"There is no session {session_id} to be placed")
        if record.server_id not in (None, self._server.lease.id):
            raise StaleOwner(f"The session {session_id} is another server's")
        if record.stage_id is not None and record.status == Status.CREATED:  # a start of before that has failed
            await self._stages.release(session_id, epoch=record.epoch)
        labels = options_of(record.options).machine_labels
        placed = await self._stages.place(
            session_id, shape, epoch=record.epoch, by=self._server.lease, labels=labels, avoid=avoid
        )
        if placed is None:
            await self._check_labels(shape, labels)
            return None
        door = await self._stages.door(placed.stage_id)
        if door is None:  # its lease has ended since
            await self._stages.release(session_id, epoch=placed.epoch)
            await self._check_labels(shape, labels)
            return None
        return PlaceOnMachine(machine=_machine(door), ownership=placed.epoch)

    async def _check_labels(self, shape: SessionShape, labels: Mapping[str, str]) -> None:
        """There is no place. Raises `NoCapacity` if the session asks for labels: machines that have them, or room."""
        if not labels:
            return
        if (await self._stages.capacity(shape, labels=labels)).stages:
            raise NoCapacity(
                f"No machine of the fleet that has the labels {shown(labels)} has room for this session",
                suggestion="Try again in a moment",
            )
        raise NoCapacity(
            f"No machine that takes sessions has the labels {shown(labels)}",
            suggestion="Start one that has them, or ask for others in options.machine_labels",
        )

    async def machine_of(self, session_id: str) -> Machine | None:
        record = await self._sessions.get(session_id)
        door = None if record is None or record.stage_id is None else await self._stages.door(record.stage_id)
        return None if door is None else _machine(door)

    async def placed(self, record: SessionRecord) -> SessionRecord:
        """Return a record as it is since its session was placed. One that another server owns by now stays as it is:
        what is written with it changes nothing.
        """
        now = await self._sessions.get(record.id)
        if now is None or now.server_id != self._server.lease.id:
            return record
        return replace(record, epoch=now.epoch, stage_id=now.stage_id, place_mcores=now.place_mcores)

    async def release(self, session_id: str) -> None:
        record = await self._sessions.get(session_id)
        if record is not None and record.stage_id is not None and record.server_id == self._server.lease.id:
            await self._stages.release(session_id, epoch=record.epoch)

    async def of_own_sessions(self) -> Sequence[Machine]:
        return [_machine(door) for door in await self._stages.doors_of(self._server.lease.id)]

    async def end_lapsed(self) -> None:
        for stage_id in await self._stages.leases.end_lapsed(self._server.lease):
            log.warning("stage_lease_ended", stage=stage_id)

    async def forget(self) -> None:
        await self._stages.leases.forget()

    async def leaving_among(self, machine_ids: Collection[str]) -> Mapping[str, bool]:
        return await self._stages.leaving_among(machine_ids)

    async def free(self, shapes: Sequence[SessionShape]) -> tuple[FleetRoom, Sequence[int]]:
        found = [await self._stages.capacity(shape) for shape in shapes]
        first = found[0]
        room = FleetRoom(
            machines=first.stages, room_cores=first.room_mcores / 1000, taken_cores=first.taken_mcores / 1000
        )
        return room, [one.free for one in found]


def _machine(door: Door) -> Machine:
    return Machine(
        id=door.stage_id,
        addresses=addresses_of(door.address),
        token=door.port_token,
        authority_pem=door.certificate,
    )
