"""Takes news of sessions that run, and writes them soon: nobody waits for the database. The news of a session stay in
order. docs/decisions/0042.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import structlog

from visavis.store.deliveries import DeliveryStore
from visavis.store.news import News, Viewers
from visavis.timestamps import now_ms

AT_ONCE = 50  # in one transaction
MOST_WAITING = 10_000  # beyond it the oldest are dropped
PAUSE_S = 1.0  # after a failure

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    news: News | Viewers
    written: Callable[[], None] | None


class Feed:
    """`wake`: called when something was written."""

    def __init__(self, store: DeliveryStore, wake: Callable[[], None]) -> None:
        self._store, self._wake = store, wake
        self._items: deque[_Item] = deque()
        self._ended: set[str] = set()  # sessions whose utterances have ended
        self._writing = anyio.Lock()
        self._told = anyio.Event()  # replaced before each wait
        self._failed = False  # since the last write that succeeded

    def tell(self, news: News | Viewers, *, written: Callable[[], None] | None = None) -> None:
        """Take news. `written` is called when they are in the database, or dropped."""
        self._items.append(_Item(news=news, written=written))
        if len(self._items) > MOST_WAITING:
            dropped = self._items.popleft()
            log.error("webhook_news_dropped")
            if dropped.written is not None:
                dropped.written()
        self._told.set()

    def session_over(self, session_id: str) -> None:
        """No more news of this session come: its end can be sent."""
        self._ended.add(session_id)
        self._told.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            self._told = anyio.Event()
            try:
                await self.flush()
            except Exception as error:  # noqa: BLE001  # whatever it was, they are written later
                if not self._failed:
                    log.error("webhook_news_not_written", problem=str(getattr(error, "orig", None) or error))
                self._failed = True
                await anyio.sleep(PAUSE_S)
            else:
                self._failed = False
                await self._told.wait()

    async def flush(self) -> None:
        """Write all that were told until now. Raises if the database fails: then they are still to be written."""
        async with self._writing:
            while self._items:
                some = [self._items[place] for place in range(min(AT_ONCE, len(self._items)))]
                await self._store.write([one.news for one in some])
                for one in some:
                    if self._items and self._items[0] is one:  # it was not dropped meanwhile
                        self._items.popleft()
                    if one.written is not None:
                        one.written()
                self._wake()
            if self._ended:
                ended = frozenset(self._ended)
                await self._store.number_ends(list(ended), at_ms=now_ms())
                self._ended -= ended
                self._wake()
