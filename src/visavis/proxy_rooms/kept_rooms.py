"""Rooms of this server's sessions on servers of others: each is deleted after its session, also after a crash.

A room is named as its session's `room_name`. So a room that a killed server has left is found again by its name, whose
session has ended; where the other server keeps metadata, also by a mark of this service, whose session is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio
import structlog

from visavis.errors import RoomUnreachable

LOOK_EVERY_S = 60.0  # for rooms that were left
RETRY_AFTER_S = 5.0
FLUSH_WITHIN_S = 3.0

_NAME = re.compile(r"vv-[0-9a-f]{20}")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRoom:
    """`metadata`: empty where the server keeps none."""

    name: str
    metadata: str = ""


class RoomServer(Protocol):
    """A server of rooms. Its calls raise `RoomUnreachable`."""

    async def delete(self, name: str) -> None:
        """Delete a room and send everybody in it away. A room that is not there is no error."""
        ...

    async def rooms(self) -> Sequence[ListedRoom]:
        """Return its rooms, those of others too."""
        ...

    async def aclose(self) -> None: ...


class RoomStatuses(Protocol):
    """The sessions, as the sweep asks for them."""

    async def statuses_by_room(self, room_names: Collection[str]) -> Mapping[str, str]:
        """Return the statuses of the sessions that have these rooms."""
        ...


class KeptRooms:
    """The rooms that are open on a server, and those that are to be deleted. `server`: None for none. `mark`: the
    metadata of this service's rooms, None where the server keeps none. Whoever makes a room calls `note` before.
    """

    def __init__(
        self,
        server: RoomServer | None,
        sessions: RoomStatuses,
        *,
        mark: str | None,
        clock_s: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._server, self._sessions, self._mark, self._clock_s = server, sessions, mark, clock_s
        self._open: set[str] = set()  # rooms that were not released yet
        self._to_delete: set[str] = set()
        self._wake = anyio.Event()  # replaced before each wait

    def note(self, room_name: str) -> None:
        """A room is about to be made."""
        self._open.add(room_name)

    def release(self, room_name: str) -> None:
        """Have the room of a session deleted soon, if it has one here: the session is over."""
        if room_name in self._open:
            self._open.discard(room_name)
            self._to_delete.add(room_name)
            self._wake.set()

    async def run(self) -> None:
        """Delete what was released, and what a server has left, until cancelled."""
        if self._server is None:
            return
        look_at_s = self._clock_s()
        while True:
            self._wake = anyio.Event()
            await self._delete_released()
            if self._clock_s() >= look_at_s:
                look_at_s = self._clock_s() + LOOK_EVERY_S
                await self.delete_left()
            wait_s = RETRY_AFTER_S if self._to_delete else look_at_s - self._clock_s()
            with anyio.move_on_after(max(0.0, wait_s)):
                await self._wake.wait()

    async def delete_left(self) -> None:
        """Delete the rooms whose sessions are over, and note those of running sessions. Logs what goes wrong."""
        if self._server is None:
            return
        try:
            listed = [room for room in await self._server.rooms() if _NAME.fullmatch(room.name)]
            statuses = await self._sessions.statuses_by_room([room.name for room in listed])
            for room in listed:
                status = statuses.get(room.name)
                if status == "ended" or (status is None and self._mark is not None and room.metadata == self._mark):
                    await self._server.delete(room.name)
                    log.info("left_room_deleted", room=room.name)
                elif status is not None:
                    self._open.add(room.name)
        except RoomUnreachable as error:
            log.warning("rooms_not_listed", problem=error.message)
        except Exception:  # the outermost edge of this task: the next look tries again
            log.exception("rooms_not_listed")

    async def aclose(self) -> None:
        """Delete what was released, within `FLUSH_WITHIN_S`, and close the connections to the server."""
        if self._server is not None:
            with anyio.CancelScope(shield=True):
                with anyio.move_on_after(FLUSH_WITHIN_S):
                    await self._delete_released()
                await self._server.aclose()

    async def _delete_released(self) -> None:
        assert self._server is not None
        for room_name in list(self._to_delete):
            try:
                await self._server.delete(room_name)
            except RoomUnreachable as error:
                log.warning("room_not_deleted", room=room_name, problem=error.message)
                return  # the next try is in a moment
            self._to_delete.discard(room_name)
