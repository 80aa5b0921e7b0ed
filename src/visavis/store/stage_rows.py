"""The side of a stage's machine: it enters its own row of `stages`, and renews it. It needs a token and a database role
that may call two functions (migration 0021) and nothing else; it reads no table.

What servers do with these rows is in stages.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import BigInteger, Boolean, Integer, String, bindparam, text
from sqlalchemy.exc import DBAPIError

from visavis.errors import StageNotAdmitted
from visavis.stage.port.report import FrameCosts, SessionShape
from visavis.store.clock import clock_ahead_s
from visavis.store.database import Database
from visavis.store.leases import Lease
from visavis.store.postgresql import open_beside

_OWN_STATES = ("VS001", "VS002")  # what the function itself refuses: its text says why
_NO_RIGHT, _NO_FUNCTION, _NO_SCHEMA = "42501", "42883", "3F000"

_ENTER = text("""
SELECT visavis_enter_stage(
    :token, :id, :address, :port_token, :certificate, CAST(:labels AS jsonb), :room_mcores, :frame_us, :mpx_us)
""").bindparams(
    *(bindparam(name, type_=String) for name in ("token", "id", "address", "port_token", "certificate", "labels")),
    *(bindparam(name, type_=Integer) for name in ("room_mcores", "frame_us", "mpx_us")),
)

RENEW = text("""
SELECT visavis_renew_stage(:token, :id, :epoch, :room_mcores, :frame_us, :mpx_us, :draining, :leaves)
""").bindparams(
    *(bindparam(name, type_=String) for name in ("token", "id")),
    bindparam("epoch", type_=BigInteger),
    *(bindparam(name, type_=Integer) for name in ("room_mcores", "frame_us", "mpx_us")),
    *(bindparam(name, type_=Boolean) for name in ("draining", "leaves")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a stage tells with each renewal. Cores in thousandths, times in microseconds (models.py). `frame_us` and
    `mpx_us` stay what they are as long as sessions have places there: the sum of these is in that unit.
    """

    room_mcores: int
    frame_us: int
    mpx_us: int
    draining: bool = False

    def mcores_of(self, shape: SessionShape) -> int:
        """Return what the place of a session takes, as the database reckons it (stages.py)."""
        weights = place_weights(shape)
        return math.ceil(weights["per_frame"] * self.frame_us + weights["per_mpx"] * self.mpx_us)


def place_weights(shape: SessionShape) -> dict[str, float]:
    """Return how much a session takes, in thousandths of a core, for each microsecond of `frame_us` and `mpx_us`:
    `FrameCosts.session_cores` is linear in both.
    """
    return {
        "per_frame": FrameCosts(fixed_ms=1.0, per_mpx_ms=0.0).session_cores(shape),
        "per_mpx": FrameCosts(fixed_ms=0.0, per_mpx_ms=1.0).session_cores(shape),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How servers reach a stage. `address`: wss://HOST:PORT. `port_token`: what they must say to it. `certificate`:
    PEM, the one that it shows; None: one that an authority has signed whom the servers trust.
    """

    address: str
    port_token: str
    certificate: str | None = None


class StageRows:
    """The rows that are entered with one token. Every call is one statement; all raise `StorageUnusable` if the
    database is away.
    """

    def __init__(self, beside: Database, *, token: str) -> None:
        """`beside`: see `Database.beside`."""
        self._database, self._token = beside, token

    @classmethod
    def at(cls, url: str, *, token: str) -> StageRows:
        """Those of a PostgreSQL. Connects to nothing yet, and never to more than once at a time."""
        return cls(Database(open_beside(url, connections=1), url), token=token)

    async def enter(self, stage_id: str, reached: Reached, *, labels: Mapping[str, str], room: Room) -> Lease:
        """Enter a stage that has just started, without a session. `stage_id`: new with every start, so that no session
        takes it for the one before. Again, with the same name, the lease is taken again, unless it has ended.

        Raises `StageNotAdmitted` if the token is wrong or revoked, if another token has entered that name, or if the
        role may not do this.
        """
        values = {
            "token": self._token,
            "id": stage_id,
            "address": reached.address,
            "port_token": reached.port_token,
            "certificate": reached.certificate,
            "labels": json.dumps(dict(labels)),
            "room_mcores": room.room_mcores,
            "frame_us": room.frame_us,
            "mpx_us": room.mpx_us,
        }
        with _translated_refusals():
            async with self._database.at_once() as connection:
                epoch = (await connection.execute(_ENTER, values)).scalar_one()
        return Lease(id=stage_id, epoch=epoch)

    async def clock_ahead_s(self) -> float:
        """See `store.clock`."""
        return await clock_ahead_s(self._database)

    async def renew(self, lease: Lease, room: Room) -> bool:
        """Renew a lease, even one that has lapsed. Returns False if somebody has ended it, or the token was revoked:
        the stage must end its sessions, and enter under another name.
        """
        return await self._renew(lease, room, leaves=False)

    async def leave(self, lease: Lease, room: Room) -> None:
        """End a lease of one's own, if one still has it."""
        await self._renew(lease, room, leaves=True)

    async def aclose(self) -> None:
        await self._database.aclose()

    async def _renew(self, lease: Lease, room: Room, *, leaves: bool) -> bool:
        with _translated_refusals():
            async with self._database.at_once() as connection:
                renewed = await connection.execute(RENEW, renewal(self._token, lease, room, leaves=leaves))
                return bool(renewed.scalar_one())


def renewal(token: str, lease: Lease, room: Room, *, leaves: bool = False) -> dict[str, object]:
    """Return the values of `RENEW`."""
    return {
        "token": token,
        "id": lease.id,
        "epoch": lease.epoch,
        "room_mcores": room.room_mcores,
        "frame_us": room.frame_us,
        "mpx_us": room.mpx_us,
        "draining": room.draining,
        "leaves": leaves,
    }


@contextmanager
def _translated_refusals() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state in _OWN_STATES:
            told = str(getattr(error.orig, "__cause__", None) or error.orig)
            raise StageNotAdmitted(f"The database does not admit this stage: {told}") from error
        if state == _NO_RIGHT:
            raise StageNotAdmitted(
                "The database does not admit this stage: its role may not enter it",
                suggestion="`visavis db stage-role` makes a role that may",
            ) from error
        if state in (_NO_FUNCTION, _NO_SCHEMA):
            raise StageNotAdmitted(
                "The database does not admit this stage: it is not Visavis' database, or an older one",
                suggestion="Start a server of this version on it first",
            ) from error
        raise
