"""Ends the sessions that nothing else ends: sessions that nobody has started, sessions without a performer, and the
sessions of a server that died.
"""

from __future__ import annotations

from visavis.sessions.lifecycle import EndReason, Status, Transition, next_status
from visavis.sessions.live_sessions import LiveSessions
from visavis.sessions.metering import ended_at_ms, last_seen_ms
from visavis.sessions.observer import Observer
from visavis.store.sessions import SessionStore
from visavis.timestamps import now_ms


async def end_orphaned_sessions(store: SessionStore, observer: Observer) -> None:
    """End the sessions that a server that died has left started, as of the time when it last saved their metering. Runs
    at server start, before any session is performed.
    """
    for record in await store.with_status(Status.STARTED):
        end_ms = ended_at_ms(record, EndReason.SERVER_DIED, now_ms=last_seen_ms(record))
        to = next_status(Status.STARTED, Transition.END)
        ended = await store.move(record, to=to, ended_at_ms=end_ms, end_reason=EndReason.SERVER_DIED)
        if ended is not None:
            observer.ended(ended)


async def sweep_sessions(store: SessionStore, live: LiveSessions, *, created_ttl_s: float) -> None:
    """Sweep once: save the metering of live sessions, and end started sessions without a performer and created sessions
    that are older than `created_ttl_s`.
    """
    await live.save_metering()
    for record in await store.with_status(Status.STARTED):
        if not live.table.is_live(record.id) and live.table.current_record(record) is record:
            await live.end(record.id, EndReason.PERFORMER_LOST)
    now = now_ms()
    for record in await store.created_before(now - int(created_ttl_s * 1000)):
        if not live.table.is_live(record.id):
            to = next_status(Status.CREATED, Transition.ABANDON)
            await store.move(record, to=to, ended_at_ms=now, end_reason=EndReason.NEVER_STARTED)
