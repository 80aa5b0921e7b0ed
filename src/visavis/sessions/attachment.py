"""A channel's hold on a live session."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

import anyio
import msgspec
import structlog

from visavis.channel.port import SessionEvent, SessionOver, TakenOver
from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.errors import SessionEnded
from visavis.fleet.port import Performer
from visavis.output_json import OutputChange
from visavis.stage.port.events import MotionFrames
from visavis.stage.port.values import Speech

EVENTS_HELD = 1024  # a quarter of an hour of figures; the channel gives up on a client that takes nothing long before
MOTION_HELD = 128  # a dozen seconds of motion: what comes later than that is of no use

log = structlog.get_logger()


class AttachableSession(Protocol):
    """What an attachment needs of its session.

    `last_number`: the highest number of speech or interrupt that a channel of the session has used.
    """

    session_id: str
    performer: Performer
    last_number: int

    async def update(self, change: OutputChange) -> Output:
        """As `channel.port.AttachedSession.update`."""
        ...

    async def stream_motion(self, on: bool) -> None:
        """Have the performer tell the motion from now on, or no more."""
        ...

    def channel_closed(self, attachment: Attachment) -> bool:
        """Note that the attachment's channel has closed; return whether the session has no channel now."""
        ...


class Attachment:
    """Implements `channel.port.AttachedSession`.

    The numbers of a channel's speech count from its first message; those of a performer never start anew. So a channel
    counts on from `numbers_from`, the highest number that the session has used.
    """

    def __init__(self, session: AttachableSession) -> None:
        self.session_id = session.session_id
        self._session = session
        self._numbers_from = session.last_number
        self._events: deque[SessionEvent] = deque()  # at most EVENTS_HELD, and the last one
        self._told = anyio.Event()  # replaced each time the channel waits
        self._finished = False  # set once: no event follows those that are held

    async def speak(self, speech: Speech) -> str:
        number = self._numbered(speech.number)
        return await self._performer().speak(msgspec.structs.replace(speech, number=number))

    async def interrupt(self, *, through: int) -> None:
        await self._performer().interrupt(through=self._numbered(through))

    async def set_state(self, state: SettableState) -> None:
        await self._performer().set_state(state)

    def _numbered(self, number: int) -> int:
        number += self._numbers_from
        self._session.last_number = max(self._session.last_number, number)
        return number

    async def update(self, change: OutputChange) -> Output:
        self._performer()
        return await self._session.update(change)

    def _performer(self) -> Performer:
        if self._finished:
            raise SessionEnded
        return self._session.performer

    async def events(self) -> AsyncIterator[SessionEvent]:
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, SessionOver | TakenOver):
                    return
            if self._finished:
                return
            self._told = anyio.Event()
            await self._told.wait()

    async def detach(self) -> None:
        self._finished = True
        self._told.set()
        if self._session.channel_closed(self):
            await self._session.stream_motion(False)

    def tell(self, event: SessionEvent) -> None:
        """Hold an event for the channel. One that takes nothing loses what it has not taken beyond a bound, figures or
        not.
        """
        if self._finished:
            return
        if len(self._events) >= (MOTION_HELD if isinstance(event, MotionFrames) else EVENTS_HELD):
            log.warning("channel_event_dropped", session_id=self.session_id, event_type=type(event).__name__)
            return
        self._events.append(event)
        self._told.set()

    def finish(self, event: SessionOver | TakenOver) -> None:
        """Tell the last event, and no more."""
        if self._finished:
            return
        self._finished = True
        self._events.append(event)
        self._told.set()
