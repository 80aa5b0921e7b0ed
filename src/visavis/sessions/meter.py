"""Brings the usage ledger of the sessions that run up to date once a second: one transaction for all of them."""

from __future__ import annotations

import anyio
import structlog

from visavis.sessions.lifecycle import EndReason
from visavis.sessions.live_session import LiveSession
from visavis.sessions.live_table import LiveTable
from visavis.sessions.metering import ended_at_ms
from visavis.store.usage import Place, Reading, UsageStore

SAVE_EVERY_S = 1.0

log = structlog.get_logger()


class Meter:
    def __init__(self, *, table: LiveTable, usage: UsageStore) -> None:
        self._table, self._usage = table, usage
        self._places: dict[str, Place] = {}  # by session, as of the last save
        self._failed = False  # since the last save that succeeded

    async def run(self) -> None:
        """Save until cancelled. What cannot be saved now is saved later: the end of each session writes its whole
        ledger.
        """
        while True:
            await anyio.sleep(SAVE_EVERY_S)
            try:
                await self.save()
            except Exception as error:  # noqa: BLE001  # whatever it was, the next second tries again
                if not self._failed:
                    log.error("usage_not_saved", problem=str(getattr(error, "orig", None) or error))
                self._failed = True
            else:
                self._failed = False

    async def save(self) -> None:
        # A session whose end is decided has come to it: its ledger is written with its end.
        readings = [_reading(session) for session in self._table.running.values() if session.end is None]
        self._places = await self._usage.save(readings, self._places) if readings else {}


def _reading(session: LiveSession) -> Reading:
    # A session ends at its expiration, however late that is noticed; until then nothing else limits it.
    until_ms = ended_at_ms(session.record, EndReason.CLIENT, now_ms=session.now_ms())
    frames = session.metering(until_ms=until_ms)
    return Reading(
        session=session.record,
        until_ms=until_ms,
        first_frame_at_ms=frames["first_frame_at_ms"],
        last_frame_at_ms=frames["last_frame_at_ms"],
    )
