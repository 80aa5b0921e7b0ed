"""Events for those who listen: each listener gets every event once, in order, and the end last."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from visavis_client.events import Ended, Event

# A listener that reads nothing loses the oldest events beyond this.
KEPT_EVENTS = 4096


class EventStream:
    def __init__(self) -> None:
        self._listeners: list[_Listener] = []
        self._end: Ended | None = None

    def emit(self, event: Event) -> None:
        """Tell all listeners. Nothing comes after `Ended`, and that comes once."""
        if self._end is not None:
            return
        if isinstance(event, Ended):
            self._end = event
        for listener in self._listeners:
            listener.take(event)

    def listen(self) -> AsyncIterator[Event]:
        """Return the events from now on. The iterator ends after `Ended`."""
        listener = _Listener()
        self._listeners.append(listener)
        if self._end is not None:
            listener.take(self._end)
        return self._events(listener)

    async def _events(self, listener: _Listener) -> AsyncIterator[Event]:
        try:
            while True:
                event = await listener.next()
                yield event
                if isinstance(event, Ended):
                    return
        finally:
            self._listeners.remove(listener)


class _Listener:
    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._arrived = asyncio.Event()

    def take(self, event: Event) -> None:
        self._events.append(event)
        self._arrived.set()

    async def next(self) -> Event:
        while not self._events:
            self._arrived.clear()
            await self._arrived.wait()
        return self._events.popleft()
