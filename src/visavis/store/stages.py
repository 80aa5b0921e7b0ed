"""The stages of a fleet in a PostgreSQL, as servers see them: which live (leases.py), and what room they have. A place
on a stage is taken, and reserved for a session, by one statement. decision 69. What a stage's machine tells is in
stage_rows.py.

Room is counted in thousandths of a core. A stage tells what a frame cost there when it entered: the place of a session
takes what its size costs by that. While it goes on measuring, it tells in the same unit how much sessions may take.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from sqlalchemy import ARRAY, BigInteger, Float, Integer, Row, String, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.errors import StaleOwner, StorageUnusable
from visavis.stage.port.report import SessionShape
from visavis.store.database import Database
from visavis.store.leases import LEASE_MS, Lease, Leases
from visavis.store.stage_rows import place_weights

TRY_AGAIN_S = 0.005  # when every stage with room was being written
TRIES = 100
CHOOSES_AMONG = 16  # stages: so many placements at once find each another one, and the least taken of 16 is a good one

# What a session costs there: see `place_weights`.
_COST = "ceil(:per_frame * stages.frame_us + :per_mpx * stages.mpx_us)::int"
# What is the same for all stages stands in selects of its own: it is worked out once, not for each row.
_LIVES = f"""
    stages.ended_at_ms IS NULL
    AND stages.seen_at_ms >= (SELECT CAST(extract(epoch FROM statement_timestamp()) * 1000 AS bigint) - {LEASE_MS})
    AND NOT stages.draining AND stages.labels @> (SELECT CAST(:labels AS jsonb))
"""
# The first session of a machine is always taken: neighbours that share its cores leave it some (decision 27).
_HAS_ROOM = f"""
    (stages.taken_mcores + {_COST} <= stages.room_mcores OR stages.taken_mcores = 0 AND stages.room_mcores > 0)
    AND stages.id <> ALL(:avoid)
"""

_PLACE_VALUES = (
    bindparam("session_id", type_=String),
    bindparam("epoch", type_=BigInteger),
    bindparam("server_id", type_=String),
    bindparam("server_epoch", type_=BigInteger),
    bindparam("per_frame", type_=Float),
    bindparam("per_mpx", type_=Float),
    bindparam("labels", type_=String),
    bindparam("avoid", type_=ARRAY(String)),
)
_ANY_STAGE = bindparam("lot", type_=Float)  # from 0 to 1

# Whether a session is there to be placed: by this server, with this epoch.
_IS_TO_BE_PLACED = """
    sessions.id = :session_id AND sessions.epoch = :epoch AND sessions.status IN ('created', 'started')
    AND NOT EXISTS (
        SELECT 1 FROM stages held
        WHERE held.id = sessions.stage_id AND held.ended_at_ms IS NULL AND NOT held.draining)
    AND EXISTS (
        SELECT 1 FROM servers
        WHERE servers.id = :server_id AND servers.epoch = :server_epoch AND servers.ended_at_ms IS NULL)
"""


def _found_from(lots: str) -> str:
    """Return a query for stages on which the session finds a place, in the order of their lots.

    CASE hides the conditions from the planner, which expects nearly no row to meet them: it would rather read and sort
    the whole table than follow the index until there are enough.
    """
    return f"""
        SELECT stages.id FROM stages
        WHERE stages.lot {lots} AND EXISTS (SELECT 1 FROM placed)
            AND CASE WHEN {_LIVES} AND {_HAS_ROOM} THEN true ELSE false END
        ORDER BY stages.lot LIMIT {CHOOSES_AMONG}
    """


# One statement, so that nothing is taken for a session that is not the caller's to place. Rows are locked in the order
# session, stage. A stage that is being written is not waited for: another one will do. The place on a stage that drains
# is given back; that stage is never chosen.
#
# It looks at no more stages than it needs, however many there are: at those that follow a random lot, and then those
# from the beginning, until enough would take the session. In a fleet of no more than that it is the least taken of all.
_PLACE = text(f"""
WITH placed AS MATERIALIZED (
    SELECT sessions.id, sessions.stage_id, sessions.place_mcores FROM sessions WHERE {_IS_TO_BE_PLACED}
    FOR UPDATE
), found AS MATERIALIZED (
    ({_found_from(">= :lot")}) UNION ALL ({_found_from("< :lot")}) LIMIT {CHOOSES_AMONG}
), chosen AS MATERIALIZED (
    SELECT stages.id, {_COST} AS cost FROM stages
    WHERE stages.id = ANY (ARRAY(SELECT found.id FROM found)) AND {_LIVES} AND {_HAS_ROOM}
    ORDER BY stages.taken_mcores::float8 / greatest(stages.room_mcores, 1)
    LIMIT 1
    FOR UPDATE OF stages SKIP LOCKED
), taken AS (
    UPDATE stages SET taken_mcores = stages.taken_mcores + chosen.cost
    FROM chosen WHERE stages.id = chosen.id
    RETURNING stages.id, stages.address, chosen.cost
), given_back AS (
    UPDATE stages SET taken_mcores = stages.taken_mcores - placed.place_mcores
    FROM placed, taken WHERE stages.id = placed.stage_id
)
UPDATE sessions
SET server_id = :server_id, stage_id = taken.id, place_mcores = taken.cost, epoch = sessions.epoch + 1
FROM taken WHERE sessions.id = :session_id
RETURNING taken.id AS stage_id, taken.address, sessions.epoch
""").bindparams(*_PLACE_VALUES, _ANY_STAGE)

# Why nothing was placed.
_OUTCOME = text(f"""
SELECT sessions.epoch, sessions.server_id, sessions.stage_id, stages.address,
    {_IS_TO_BE_PLACED} AS is_to_be_placed,
    EXISTS (SELECT 1 FROM stages WHERE {_LIVES} AND {_HAS_ROOM}) AS has_room
FROM sessions LEFT JOIN stages ON stages.id = sessions.stage_id
WHERE sessions.id = :session_id
""").bindparams(*_PLACE_VALUES)

_RELEASE = text("""
WITH held AS MATERIALIZED (
    SELECT id, stage_id, place_mcores FROM sessions
    WHERE id = :session_id AND epoch = :epoch AND stage_id IS NOT NULL
    FOR UPDATE
), released AS (
    UPDATE sessions SET stage_id = NULL, place_mcores = NULL FROM held WHERE sessions.id = held.id
)
UPDATE stages SET taken_mcores = stages.taken_mcores - held.place_mcores
FROM held WHERE stages.id = held.stage_id
RETURNING stages.id
""").bindparams(bindparam("session_id", type_=String), bindparam("epoch", type_=BigInteger))

# How servers reach the stages (stage_rows.py).
_DOOR = text("""
SELECT id, address, port_token, certificate FROM stages WHERE id = :id AND ended_at_ms IS NULL
""").bindparams(bindparam("id", type_=String))

_OWN_DOORS = text("""
SELECT id, address, port_token, certificate FROM stages
WHERE ended_at_ms IS NULL AND id IN (
    SELECT stage_id FROM sessions WHERE server_id = :server_id AND status = 'started' AND stage_id IS NOT NULL)
""").bindparams(bindparam("server_id", type_=String))

# What a machine performs, or is about to.
_PERFORMS = """
SELECT EXISTS (
    SELECT 1 FROM sessions JOIN stages ON stages.id = sessions.stage_id
    WHERE stages.id = :id AND stages.ended_at_ms IS NULL AND sessions.status IN ('created', 'started')
        AND {named} = :of)
"""
_PERFORMS_SESSION, _PERFORMS_AVATAR = (
    text(_PERFORMS.format(named=named)).bindparams(bindparam("id", type_=String), bindparam("of", type_=String))
    for named in ("sessions.id", "sessions.avatar_id")
)

_LEAVING = text("""
SELECT id, ended_at_ms IS NOT NULL AS has_ended FROM stages
WHERE id = ANY(:ids) AND (ended_at_ms IS NOT NULL OR draining)
""").bindparams(bindparam("ids", type_=ARRAY(String)))

_LOST = text("""
SELECT sessions.id AS session_id, sessions.epoch FROM sessions JOIN stages ON stages.id = sessions.stage_id
WHERE sessions.server_id = :server_id AND sessions.status = 'started' AND stages.ended_at_ms IS NOT NULL
LIMIT :at_most
""").bindparams(bindparam("server_id", type_=String), bindparam("at_most", type_=Integer))

_CAPACITY = text(f"""
SELECT count(*) AS stages, coalesce(sum(room_mcores), 0) AS room_mcores,
    coalesce(sum(taken_mcores), 0) AS taken_mcores,
    coalesce(sum(greatest(
        (room_mcores - taken_mcores) / greatest({_COST}, 1),
        CASE WHEN taken_mcores = 0 AND room_mcores > 0 THEN 1 ELSE 0 END)), 0) AS free
FROM stages WHERE {_LIVES}
""").bindparams(
    bindparam("per_frame", type_=Float), bindparam("per_mpx", type_=Float), bindparam("labels", type_=String)
)

_SUMS_ARE_RIGHT = text("""
SELECT NOT EXISTS (
    SELECT 1 FROM stages WHERE ended_at_ms IS NULL AND taken_mcores <> (
        SELECT coalesce(sum(place_mcores), 0) FROM sessions WHERE sessions.stage_id = stages.id))
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A session's place. `address`: of its stage. `epoch`: the session's from now on."""

    stage_id: str
    address: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How servers reach a machine's stages (see `stage_rows.Reached`)."""

    stage_id: str
    address: str
    port_token: str
    certificate: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A started session whose stage's lease has ended."""

    session_id: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetCapacity:
    """What all stages that live and take sessions have together. `free`: sessions of one size that still fit."""

    stages: int
    room_mcores: int
    taken_mcores: int
    free: int


class StageStore:
    """`beside`: for the leases (`Database.beside`)."""

    def __init__(self, database: Database, *, beside: Database) -> None:
        self._database = database
        self.leases = Leases.of_stages(beside)

    async def place(
        self,
        session_id: str,
        shape: SessionShape,
        *,
        epoch: int,
        by: Lease,
        labels: Mapping[str, str] | None = None,
        avoid: Collection[str] = (),
    ) -> Placed | None:
        """Take a place for a session, and make it this server's; raise its epoch. The place is on the stage that is
        least taken among CHOOSES_AMONG of those that have all `labels` and room. `epoch`: the session's. It has no
        place, or one on a stage that drains or whose lease has ended; that is given back. `avoid`: stages that this
        server does not reach.

        Returns None if there is no room anywhere. Raises `StaleOwner` if the session is not this server's to place any
        more: its epoch is another one, it has ended, or the server's own lease has. Raises `StorageUnusable`.
        """
        values = {
            "session_id": session_id,
            "epoch": epoch,
            "server_id": by.id,
            "server_epoch": by.epoch,
            **place_weights(shape),
            "labels": json.dumps(dict(labels or {})),
            "avoid": list(avoid),
        }
        for _ in range(TRIES):
            async with self._database.at_once() as connection:
                placed = (await connection.execute(_PLACE, values | {"lot": random.random()})).first()
            if placed is not None:
                return Placed(stage_id=placed.stage_id, address=placed.address, epoch=placed.epoch)
            async with self._database.read() as connection:
                outcome = (await connection.execute(_OUTCOME, values)).first()
            if outcome is None or not outcome.is_to_be_placed:
                return _placed_already(session_id, outcome, epoch=epoch + 1, by=by)
            if not outcome.has_room:
                return None
            await anyio.sleep(TRY_AGAIN_S)
        raise StorageUnusable("No stage could be taken: others write them all the time")

    async def release(self, session_id: str, *, epoch: int) -> bool:
        """Give the place of a session back. Returns False, and changes nothing, if it has none, or another epoch."""
        async with self._database.at_once() as connection:
            released = await connection.execute(_RELEASE, {"session_id": session_id, "epoch": epoch})
            return released.first() is not None

    async def door(self, stage_id: str) -> Door | None:
        """Return how a machine's stages are reached; None if its lease has ended."""
        async with self._database.read() as connection:
            row = (await connection.execute(_DOOR, {"id": stage_id})).first()
        return None if row is None else _door(row)

    async def doors_of(self, server_id: str) -> list[Door]:
        """Return those of the machines that perform this server's started sessions, as far as their leases hold."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_OWN_DOORS, {"server_id": server_id})).all()
        return [_door(row) for row in rows]

    async def performs(self, stage_id: str, session_id: str) -> bool:
        """Whether a session has its place on a machine whose lease has not ended."""
        async with self._database.read() as connection:
            return bool(await connection.scalar(_PERFORMS_SESSION, {"id": stage_id, "of": session_id}))

    async def performs_avatar(self, stage_id: str, avatar_id: str) -> bool:
        """Whether any session of an avatar has."""
        async with self._database.read() as connection:
            return bool(await connection.scalar(_PERFORMS_AVATAR, {"id": stage_id, "of": avatar_id}))

    async def leaving_among(self, stage_ids: Collection[str]) -> dict[str, bool]:
        """Return those of the machines whose leases have ended (True), or that drain."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_LEAVING, {"ids": list(stage_ids)})).all()
        return {row.id: row.has_ended for row in rows}

    async def lost(self, by: Lease, *, at_most: int = 500) -> list[Lost]:
        """Return sessions of this server whose stages' leases have ended: each needs another place."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_LOST, {"server_id": by.id, "at_most": at_most})).all()
        return [Lost(session_id=row.session_id, epoch=row.epoch) for row in rows]

    async def capacity(self, shape: SessionShape, *, labels: Mapping[str, str] | None = None) -> FleetCapacity:
        """Return what the stages with these labels have, and how many sessions of a size still fit."""
        values = {**place_weights(shape), "labels": json.dumps(dict(labels or {}))}
        async with self._database.read() as connection:
            row = (await connection.execute(_CAPACITY, values)).one()
        return FleetCapacity(
            stages=row.stages, room_mcores=row.room_mcores, taken_mcores=row.taken_mcores, free=row.free
        )

    async def sums_are_right(self) -> bool:
        """Whether every stage that lives has taken what the places of its sessions add up to: a check for tests and
        benchmarks.
        """
        async with self._database.read() as connection:
            return bool(await connection.scalar(_SUMS_ARE_RIGHT))


def _door(row: Row[Any]) -> Door:
    return Door(stage_id=row.id, address=row.address, port_token=row.port_token, certificate=row.certificate)


async def release_in(connection: AsyncConnection, session_id: str, *, epoch: int) -> None:
    """Give the place of a session back, in the caller's transaction, which has changed the session."""
    await connection.execute(_RELEASE, {"session_id": session_id, "epoch": epoch})


def _placed_already(session_id: str, outcome: Row[Any] | None, *, epoch: int, by: Lease) -> Placed:
    """Return what a statement has placed whose answer was lost, and which was repeated then. Raises `StaleOwner`."""
    if outcome is None or outcome.epoch != epoch or outcome.server_id != by.id or outcome.address is None:
        raise StaleOwner(f"The session {session_id} is not this server's to place any more")
    return Placed(stage_id=outcome.stage_id, address=outcome.address, epoch=outcome.epoch)
