"""Ends the sessions that nothing else ends: sessions that nobody has started, sessions without a performer, and the
sessions of a server that died.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from visavis.fleet.port import Adopted
from visavis.sessions.lifecycle import EndReason, Status, Transition, next_status
from visavis.sessions.live_sessions import LiveSessions
from visavis.sessions.metering import ended_at_ms, last_seen_ms
from visavis.sessions.observer import Observer
from visavis.store.last_seen import Seen
from visavis.store.records import SessionRecord
from visavis.store.sessions import SessionStore
from visavis.timestamps import now_ms

log = structlog.get_logger()

ABANDONED_AFTER_S = 300  # of its server without a renewal of its lease: then another server ends a session


async def adopt_or_end(
    store: SessionStore,
    live: LiveSessions,
    observer: Observer,
    adopted: Sequence[Adopted],
    seen: Mapping[str, Seen],
    *,
    asks_stages: bool = False,
) -> list[SessionRecord]:
    """Go on with the sessions that stages still perform, and end all others that this server has left started before
    this start, as of when it last saw them. Runs at server start, before any session is started.

    `asks_stages`: in a fleet, where this server may have taken sessions over and died before it asked a stage for them.
    Those are neither adopted nor ended but returned, for `OwnerWatch.expect`: their stages perform them for the server
    before.
    """
    performed, unasked = {one.held.spec.session_id: one for one in adopted}, list[SessionRecord]()
    for record in await store.started_here():
        last = seen.get(record.id, Seen(seen_at_ms=0))
        if last.end_reason is None and (one := performed.pop(record.id, None)) is not None:
            await live.adopt(record, one)
            continue
        if asks_stages and record.stage_id is not None and record.id not in seen:
            unasked.append(record)
            continue
        reason = next((one for one in EndReason if one == last.end_reason), EndReason.SERVER_DIED)
        end_ms = ended_at_ms(record, reason, now_ms=max(last_seen_ms(record), last.seen_at_ms))
        to = next_status(Status.STARTED, Transition.END)
        ended = await store.move(
            record,
            to=to,
            ended_at_ms=end_ms,
            end_reason=reason,
            first_frame_at_ms=record.first_frame_at_ms or last.first_frame_at_ms,
            last_frame_at_ms=last.last_frame_at_ms or record.last_frame_at_ms,
        )
        if ended is not None:
            observer.ended(ended)
    for session_id, one in performed.items():
        now = await store.get(session_id) if store.is_shared else None
        if now is not None and now.status == Status.STARTED and store.is_of_another(now):
            live.of_others.append(one.performer)  # its new owner has not asked for it yet
        else:  # it has ended, or was not started yet
            live.end_stray(one.performer)
    return unasked


async def sweep_sessions(store: SessionStore, live: LiveSessions, *, created_ttl_s: float) -> None:
    """Sweep once: save the metering of live sessions, and end started sessions of this server without a performer,
    those of servers that were not seen for long, and created sessions that are older than `created_ttl_s`.
    """
    if live.leaving:  # what is started belongs to the next server
        return
    await live.save_metering()
    table = live.table
    async with table.owning:
        unperformed = [record for record in await store.started_here() if not table.is_live(record.id)]
    for record in unperformed:
        if live.leaving:
            return
        if not table.is_live(record.id) and table.current_record(record) is record:
            await live.end(record.id, EndReason.PERFORMER_LOST)
    now = now_ms()
    if store.is_shared:
        await _end_abandoned(store)
    for record in await store.created_before(now - int(created_ttl_s * 1000)):
        if not live.table.is_live(record.id):
            to = next_status(Status.CREATED, Transition.ABANDON)
            await store.move(record, to=to, ended_at_ms=now, end_reason=EndReason.NEVER_STARTED)


async def _end_abandoned(store: SessionStore) -> None:
    """End the sessions of other servers that were not seen for long, as of when they were last seen."""
    for record in await store.abandoned(unseen_for_ms=ABANDONED_AFTER_S * 1000):
        end_ms = ended_at_ms(record, EndReason.SERVER_DIED, now_ms=last_seen_ms(record))
        to = next_status(Status.STARTED, Transition.END)
        if await store.move(record, to=to, ended_at_ms=end_ms, end_reason=EndReason.SERVER_DIED) is not None:
            log.warning("abandoned_session_ended", session_id=record.id, server=record.server_id)
