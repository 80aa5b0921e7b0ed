"""Leaves all sessions to the next server of this data folder: nothing ends, and no word is lost."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import structlog

from visavis.channel.conversation import Conversations
from visavis.errors import StorageUnusable
from visavis.sessions.live_sessions import LiveSessions

STARTED_WITHIN_S = 3.0  # sessions that are being started
CHANNELS_LEAVE_WITHIN_S = 5.0
CHECK_EVERY_S = 0.02

log = structlog.get_logger()


async def hand_over(live: LiveSessions, conversations: Conversations) -> None:
    """Take no new sessions; have each channel answer what it has taken, and close; then let go of all sessions. The
    caller has stopped to accept connections, and lets go of the stages afterwards. Takes at most 8 s, and 10 s more
    if a stage or the database does not answer.
    """
    live.starts.stop()
    live.leaving = True
    await _wait_until(lambda: not live.table.starting, within_s=STARTED_WITHIN_S)
    sessions = list(live.table.running.values())
    for session in sessions:
        session.leave_channel()
    await _wait_until(lambda: not any(session.has_channel for session in sessions), within_s=CHANNELS_LEAVE_WITHIN_S)
    async with anyio.create_task_group() as tasks:  # a stage or a database that hangs is waited for once
        for session in sessions:
            if (note := conversations.hand_over(session.session_id)) is not None:
                tasks.start_soon(session.take_note, note)
        tasks.start_soon(_save_metering, live)
        tasks.start_soon(live.flush_news)
    live.let_go()
    log.info("sessions_handed_over", sessions=len(sessions))


async def _save_metering(live: LiveSessions) -> None:
    try:
        await live.save_metering()
    except StorageUnusable as error:  # the stages know enough
        log.warning("metering_not_saved", problem=error.message)
    except Exception:  # part of the outermost edge of the server
        log.exception("metering_not_saved")


async def _wait_until(condition: Callable[[], bool], *, within_s: float) -> None:
    with anyio.move_on_after(within_s):
        while not condition():  # noqa: ASYNC110 (tables tell nobody)
            await anyio.sleep(CHECK_EVERY_S)
