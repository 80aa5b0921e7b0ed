"""What slips through: sessions nobody started, sessions without a performer, and sessions that a dead server left
behind.
"""

from __future__ import annotations

import structlog

from visavis.sessions.lifecycle import Act, EndReason, Status, move
from visavis.sessions.live_sessions import LiveSessions
from visavis.store.sessions import SessionStore
from visavis.timestamps import now_ms

log = structlog.get_logger()


async def end_left_behind(store: SessionStore) -> None:
    """At server start, before anything is performed: end what a server that died was performing, as of its last sign of
    life.
    """
    for record in await store.with_status(Status.STARTED):
        ended_at_ms = max(record.started_at_ms or 0, record.seen_at_ms or 0)
        to = move(Status.STARTED, Act.END)
        if await store.move(record, to=to, ended_at_ms=ended_at_ms, end_reason=EndReason.SERVER_DIED) is not None:
            log.info("session_ended", session_id=record.id, reason=EndReason.SERVER_DIED)


async def sweep_sessions(store: SessionStore, live: LiveSessions, *, created_ttl_s: float) -> None:
    """One sweep."""
    await live.note_signs_of_life()
    for record in await store.with_status(Status.STARTED):
        if not live.performing(record.id):
            await live.end(record.id, EndReason.PERFORMER_LOST)
    now = now_ms()
    for record in await store.created_before(now - int(created_ttl_s * 1000)):
        if not live.performing(record.id):
            to = move(Status.CREATED, Act.ABANDON)
            await store.move(record, to=to, ended_at_ms=now, end_reason=EndReason.NEVER_STARTED)
