"""Ends all sessions when the server stops. Speech that was accepted may finish first."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import anyio
import structlog

from visavis.sessions.isolated_tasks import IsolatedTasks
from visavis.sessions.lifecycle import EndReason
from visavis.sessions.live_sessions import LiveSessions

CHECK_EVERY_S = 0.05
CHANNELS_CLOSE_WITHIN_S = 0.3

log = structlog.get_logger()


async def drain(live: LiveSessions, *, within_s: float, is_forced: Callable[[], bool]) -> None:
    """Refuse new sessions, tell all channels, and end each session as soon as its speech has ended; after `within_s`,
    or as soon as `is_forced`, end those that still speak.
    """
    live.starts.stop()
    waiting = dict(live.table.running)
    if waiting:
        log.info("sessions_draining", sessions=len(waiting), within_s=within_s)
    for session in waiting.values():
        session.warn_expiring(math.ceil(within_s), EndReason.SERVER_STOPPED)
    deadline_s = anyio.current_time() + within_s
    async with anyio.create_task_group() as group:
        tasks = IsolatedTasks(group)
        while waiting and anyio.current_time() < deadline_s and not is_forced():
            for session_id, session in list(waiting.items()):
                if session.ending or not session.is_speaking():
                    del waiting[session_id]
                    tasks.start("end", partial(live.end, session_id, EndReason.SERVER_STOPPED), session_id=session_id)
            await anyio.sleep(CHECK_EVERY_S)
    await live.end_all(EndReason.SERVER_STOPPED)
    if waiting:  # the server closes the connections that are left, without a reason
        await anyio.sleep(CHANNELS_CLOSE_WITHIN_S)
