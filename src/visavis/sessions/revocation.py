"""Ends what another process has decided to end: the sessions of revoked keys, and sessions whose rows another server
has ended. A command or a server in another process writes that, so the database is polled.
"""

from __future__ import annotations

from functools import partial

import anyio
import structlog

from visavis.accounts.service import Accounts
from visavis.sessions.isolated_tasks import IsolatedTasks
from visavis.sessions.lifecycle import EndReason, Status, Transition, next_status
from visavis.sessions.live_sessions import LiveSessions
from visavis.store.sessions import SessionStore
from visavis.timestamps import now_ms

POLL_INTERVAL_S = 0.5  # one short query, and only while sessions are performed

log = structlog.get_logger()


class Revocation:
    def __init__(self, *, accounts: Accounts, store: SessionStore, live: LiveSessions) -> None:
        self._accounts, self._store, self._live = accounts, store, live
        self._handled: frozenset[str] = frozenset()  # revoked keys whose created sessions have been ended

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await anyio.sleep(POLL_INTERVAL_S)
            if self._live.table.is_empty():
                continue
            try:
                await self.end_sessions()
                if self._store.is_shared:
                    await self.end_ended()
            except Exception:  # the outermost edge of this task: the next poll tries again
                log.exception("revocation_failed")

    async def end_sessions(self) -> None:
        """End the live sessions of revoked keys, and close those that wait to be started."""
        revoked = await self._accounts.revoked_ids()
        live = self._live.table.sessions_of(revoked)
        async with anyio.create_task_group() as group:
            tasks = IsolatedTasks(group)
            for session_id in live:
                tasks.start("end", partial(self._live.end, session_id, EndReason.KEY_REVOKED), session_id=session_id)
        for key_id in revoked - self._handled:
            for record in await self._store.created_of(key_id):
                to = next_status(Status.CREATED, Transition.ABANDON)
                await self._store.move(record, to=to, ended_at_ms=now_ms(), end_reason=EndReason.KEY_REVOKED)
        self._handled = revoked
        if live:
            log.info("sessions_of_revoked_keys_ended", sessions=len(live))

    async def end_ended(self) -> None:
        """End the performances of sessions that another server has ended: a client has asked that one."""
        for session_id in await self._store.ended_among(list(self._live.table.running)):
            await self._live.end(session_id, EndReason.CLIENT)  # the reason that its row has counts
