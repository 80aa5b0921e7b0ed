"""Leaves all sessions to the next server of this data folder: nothing ends, and no word is lost."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import structlog

from visavis.channel.conversation import Conversations
from visavis.sessions.live_sessions import LiveSessions

STARTED_WITHIN_S = 3.0  # sessions that are being started
CHANNELS_LEAVE_WITHIN_S = 5.0
CHECK_EVERY_S = 0.02

log = structlog.get_logger()


async def hand_over(live: LiveSessions, conversations: Conversations) -> None:
    """Take no new sessions; have each channel answer what it has taken, and close; then let go of all sessions. The
    caller has stopped to accept connections, and lets go of the stages afterwards. Takes at most 9 s.
    """
    live.starts.stop()
    live.leaving = True
    await _wait_until(lambda: not live.table.starting, within_s=STARTED_WITHIN_S)
    sessions = list(live.table.running.values())
    for session in sessions:
        session.leave_channel()
    await _wait_until(lambda: not any(session.has_channel for session in sessions), within_s=CHANNELS_LEAVE_WITHIN_S)
    for session in sessions:
        if (note := conversations.hand_over(session.session_id)) is not None:
            await session.take_note(note)
    try:
        await live.save_metering()
    except Exception:  # part of the outermost edge of the server: the stages know enough
        log.exception("metering_not_saved")
    await live.flush_news()
    live.let_go()
    log.info("sessions_handed_over", sessions=len(sessions))


async def _wait_until(condition: Callable[[], bool], *, within_s: float) -> None:
    with anyio.move_on_after(within_s):
        while not condition():  # noqa: ASYNC110 (tables tell nobody)
            await anyio.sleep(CHECK_EVERY_S)
