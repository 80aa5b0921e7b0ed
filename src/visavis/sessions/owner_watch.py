"""Whose sessions are whose, in a fleet: takes over those of servers whose leases have ended, and drops those that
others have taken over from this server while it slept. decision 78.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from typing import Protocol, TypeVar

import anyio
import structlog

from visavis.channel.conversation import Conversations
from visavis.errors import PerformerLost, StaleOwner, StorageUnusable
from visavis.fleet.port import Adopted
from visavis.sessions.isolated_tasks import IsolatedTasks
from visavis.sessions.lifecycle import EndReason, Status
from visavis.sessions.live_sessions import LiveSessions
from visavis.sessions.server_lease import ServerLease
from visavis.store.leases import LOOK_EVERY_S
from visavis.store.records import SessionRecord
from visavis.store.session_owners import TAKEN_AT_ONCE, Owned, SessionOwners
from visavis.store.sessions import SessionStore

TAKES_EVERY = 4  # looks; and at once when a lease has ended
ASKED_WITHIN_S = 12.0  # a machine that cannot be reached. Its stages keep a session for 15 s without a server
TRY_AGAIN_S = 0.5

T = TypeVar("T")

log = structlog.get_logger()


class Stages(Protocol):
    async def take_over(self, session_id: str, *, ownership: int) -> Adopted | None:
        """See `PlacedFleet.take_over`."""
        ...

    def give_up(self, session_id: str) -> None:
        """See `PlacedFleet.give_up`."""
        ...


class OwnerWatch:
    """`run` looks four times a second until cancelled."""

    def __init__(
        self,
        *,
        server: ServerLease,
        owners: SessionOwners,
        store: SessionStore,
        live: LiveSessions,
        stages: Stages,
        conversations: Conversations,
    ) -> None:
        self._server, self._owners, self._store = server, owners, store
        self._live, self._stages, self._conversations = live, stages, conversations
        self._expected: list[Owned] = []  # until `run`

    def expect(self, records: Sequence[SessionRecord]) -> None:
        """Before `run`: go on with sessions that had come to this server before it was started again, and that it had
        not asked a stage for.
        """
        for record in records:
            self._live.table.taking[record.id] = anyio.Event()
            self._expected.append(Owned(session_id=record.id, epoch=record.epoch, stage_id=record.stage_id))

    async def run(self) -> None:
        failed = False
        async with anyio.create_task_group() as group:
            tasks = IsolatedTasks(group)
            self._go_on_with(self._expected, tasks)
            for number in count():
                await anyio.sleep(LOOK_EVERY_S)
                try:
                    await self.look(tasks, takes=number % TAKES_EVERY == 0)
                except StorageUnusable as error:  # nobody can take anything
                    if not failed:
                        log.warning("owners_not_looked_at", problem=error.message)
                    failed = True
                except Exception:  # the outermost edge of a look
                    log.exception("owners_not_looked_at")
                else:
                    failed = False

    async def look(self, tasks: IsolatedTasks, *, takes: bool = True) -> None:
        """Look once. The sessions that are taken over go on in `tasks`. Raises `StorageUnusable`."""
        if self._live.leaving:
            return
        await self._drop_taken()
        ended = await self._server.end_lapsed()
        for server_id in ended:
            log.warning("server_lease_ended", server=server_id)
        if takes:
            await self._end_strays()
        while ended or takes:
            taken = await self._take()
            self._go_on_with(taken, tasks)
            if len(taken) < TAKEN_AT_ONCE:
                break

    async def _drop_taken(self) -> None:
        """After a lost lease, drop the sessions that others have taken. The others stay this server's: it has a new
        lease.
        """
        if not self._server.to_be_checked:
            return
        lease, running = self._server.lease, self._live.table.running
        for session_id in await self._owners.owned_by_others(list(running), lease):
            self._live.drop(session_id)
        self._server.checked(lease)

    async def _take(self) -> list[Owned]:
        table = self._live.table
        async with table.owning:
            taken = await self._owners.take_over(self._server.lease, placed_only=True)
            for owned in taken:
                table.taking[owned.session_id] = anyio.Event()
        return taken

    def _go_on_with(self, sessions: Sequence[Owned], tasks: IsolatedTasks) -> None:
        for owned in sessions:
            tasks.start("take_over", partial(self._go_on, owned), session_id=owned.session_id)

    async def _go_on(self, owned: Owned) -> None:
        """Go on with a session that has come to this server, or end it as of when it was last seen."""
        session_id, table = owned.session_id, self._live.table
        taking = table.taking[session_id]
        try:
            record = await _asked_again(partial(self._store.last_seen, session_id))
            if record is None or record.status != Status.STARTED:
                return
            try:
                adopted = await self._ask_stages(owned)
            except StaleOwner:  # it has a later owner
                self._stages.give_up(session_id)
                return
            if adopted is not None:
                self._conversations.end(session_id)
                await self._live.adopt(record, adopted)
                self._conversations.take_over(session_id, *table.running[session_id].conversation)
            elif await _asked_again(partial(self._owners.is_owned, session_id, self._server.lease, epoch=owned.epoch)):
                await self._live.end(session_id, EndReason.SERVER_DIED)
        finally:
            taking.set()
            if table.taking.get(session_id) is taking:  # it may have been taken once more
                del table.taking[session_id]

    async def _ask_stages(self, owned: Owned) -> Adopted | None:
        """Return what the session's stage holds of it; None if no stage does, or none that can be asked. Raises
        `StaleOwner`.
        """
        until_s = anyio.current_time() + ASKED_WITHIN_S
        while True:
            try:
                return await self._stages.take_over(owned.session_id, ownership=owned.epoch)
            except (PerformerLost, StorageUnusable) as error:
                if anyio.current_time() >= until_s:
                    self._stages.give_up(owned.session_id)
                    log.error("session_not_taken_over", session_id=owned.session_id, problem=error.message)
                    return None
            await anyio.sleep(TRY_AGAIN_S)

    async def _end_strays(self) -> None:
        """End what stages perform for this server although its session has ended: its owner has not asked for it."""
        for performer in list(self._live.of_others):
            record = await self._store.get(performer.session_id)
            if record is None or record.status != Status.STARTED:
                await performer.end()
            elif self._store.is_of_another(record):
                continue
            self._live.of_others.remove(performer)


async def _asked_again(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask a database that fails again, for as long as stages keep a session. Raises `StorageUnusable`."""
    until_s = anyio.current_time() + ASKED_WITHIN_S
    while True:
        try:
            return await ask()
        except StorageUnusable:
            if anyio.current_time() >= until_s:
                raise
        await anyio.sleep(TRY_AGAIN_S)
