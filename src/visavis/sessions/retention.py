"""How long things are kept: sessions, the usage ledger and photos. Once an hour, what was kept long enough is deleted.
Deliveries of webhooks are webhooks/service.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import anyio
import structlog

from visavis.avatars.service import Avatars
from visavis.sessions.observer import Observer
from visavis.settings import Settings
from visavis.store.retention import RetentionStore
from visavis.timestamps import now_ms

EVERY_S = 3600.0
DAY_MS = 24 * 3600 * 1000
PAUSE_S = 0.05  # between two parts: others write, too

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDays:
    """None: for ever."""

    sessions: float | None = None
    usage: float | None = None
    photos: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            sessions=settings.sessions_kept_days, usage=settings.usage_kept_days, photos=settings.photos_kept_days
        )


class Retention:
    def __init__(self, *, store: RetentionStore, avatars: Avatars, observer: Observer, kept: KeptDays) -> None:
        self._store, self._avatars, self._observer, self._kept = store, avatars, observer, kept

    async def run(self) -> None:
        """Delete at once, and then every hour, until cancelled."""
        while True:
            try:
                await self.sweep()
            except Exception:  # the outermost edge of a sweep: the next one goes on with what is left
                log.exception("retention_failed")
            await anyio.sleep(EVERY_S)

    async def sweep(self) -> None:
        """Delete all that was kept long enough."""
        await self._store.forget_old_copies()
        now, kept = now_ms(), self._kept
        sessions = entries = photos = 0
        if kept.sessions is not None:
            while deleted := await self._store.delete_sessions(ended_before_ms=now - int(kept.sessions * DAY_MS)):
                for session_id in deleted:
                    self._observer.ended_metrics.pop(session_id, None)
                sessions += len(deleted)
                await anyio.sleep(PAUSE_S)
        if kept.usage is not None:
            while count := await self._store.delete_usage(before_ms=now - int(kept.usage * DAY_MS)):
                entries += count
                await anyio.sleep(PAUSE_S)
        if kept.photos is not None:
            while count := await self._avatars.remove_photos(before_ms=now - int(kept.photos * DAY_MS)):
                photos += count
                await anyio.sleep(PAUSE_S)
        if sessions or entries or photos:
            await self._store.forget()
            log.info("kept_long_enough", sessions=sessions, usage_entries=entries, photos=photos)
