"""A performer on a stage: sends one session's commands over the stage's link, and queues its events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine

from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.errors import PerformerLost, StaleOwner
from visavis.fleet.link import StageLink
from visavis.stage.port import messages
from visavis.stage.port.events import DroppableEvent, PerformerEnded, PerformerEvent
from visavis.stage.port.messages import Command, OfferAnswered, Result, ViewerRemoved
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken

MAX_QUEUED_EVENTS = 60  # with more in the queue, metrics and motion are dropped


class StagePerformer:
    """Implements `fleet.port.Performer`."""

    def __init__(
        self,
        spec: PerformanceSpec,
        link: StageLink,
        in_background: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
        on_ended: Callable[[str], None],
    ) -> None:
        self.session_id = spec.session_id
        self._epoch = spec.epoch
        self._link = link
        self._in_background, self._on_ended = in_background, on_ended
        self._ending: asyncio.Task[None] | None = None  # set by the first `end`
        self._all_completed = asyncio.Event()  # set when the latest call in order and all before it have completed
        self._all_completed.set()
        self._events: deque[PerformerEvent] = deque()
        self._event_added = asyncio.Event()
        self._ended = False

    async def speak(self, speech: Speech) -> Spoken:
        spoken = await self._request_in_order(messages.Speak(speech=speech))
        assert isinstance(spoken, Spoken), spoken
        return spoken

    async def interrupt(self, *, through: int) -> None:
        await self._request(messages.Interrupt(through=through))

    async def resize(self, *, width_px: int, height_px: int) -> None:
        await self._request_in_order(messages.Resize(width_px=width_px, height_px=height_px))

    async def set_output(self, output: Output) -> None:
        await self._request_in_order(messages.SetOutput(output=output))

    async def set_state(self, state: SettableState) -> None:
        await self._request_in_order(messages.SetState(state=state))

    async def hold_for_viewer(self, seconds: float) -> None:
        await self._request_in_order(messages.HoldForViewer(seconds=seconds))

    async def stream_motion(self, on: bool) -> None:
        await self._request_in_order(messages.StreamMotion(on=on))

    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        answered = await self._request(messages.Offer(viewer_id=viewer_id, sdp=sdp))
        assert isinstance(answered, OfferAnswered), answered
        return answered.sdp

    async def remove_viewer(self, viewer_id: str) -> bool:
        removed = await self._request(messages.RemoveViewer(viewer_id=viewer_id))
        assert isinstance(removed, ViewerRemoved), removed
        return removed.was_there

    async def end(self) -> None:
        if self._ended:
            return
        if self._ending is None:
            self._ending = self._in_background(self._request_end())
        await asyncio.wait((self._ending,))  # if the caller waits no longer, the end goes on

    @property
    def ending(self) -> bool:
        """Whether `end` was called: the stage ends the session, or will when it answers again."""
        return self._ending is not None

    async def _request_end(self) -> None:
        try:
            await self._request(messages.End())
        except PerformerLost:
            pass  # its PerformerEnded is queued, or will come
        else:
            self.emit(PerformerEnded(reason="ended"))

    async def events(self) -> AsyncIterator[PerformerEvent]:
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, PerformerEnded):
                    return
            self._event_added.clear()
            await self._event_added.wait()

    async def _request_in_order(self, command: Command) -> Result:
        """Send a command at once, but return only when all earlier calls in order have completed.

        So many pieces of speech are sent without waiting for each answer, and no call completes before an earlier one.
        """
        earlier_completed, self._all_completed = self._all_completed, asyncio.Event()
        completed = self._all_completed
        try:
            try:
                return await self._request(command)
            finally:
                await earlier_completed.wait()
        finally:
            completed.set()

    async def _request(self, command: Command) -> Result:
        if self._ended:
            raise PerformerLost("This performance has ended")
        try:
            return await self._link.request(self.session_id, self._epoch, command)
        except StaleOwner as error:
            self.emit(PerformerEnded(reason="lost", detail=error.message))
            raise PerformerLost("Another server owns this session") from error

    def emit(self, event: PerformerEvent) -> None:
        """Queue an event for the consumer of `events`. Events after `PerformerEnded` are ignored, and so is an end that
        nobody has asked for: it is found to be lost.
        """
        if self._ended or (event == PerformerEnded(reason="ended") and not self.ending):
            return
        if isinstance(event, PerformerEnded):
            self._ended = True
            self._on_ended(self.session_id)
        if isinstance(event, DroppableEvent) and len(self._events) >= MAX_QUEUED_EVENTS:
            return
        self._events.append(event)
        self._event_added.set()
